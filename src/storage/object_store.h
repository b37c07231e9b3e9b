// The port behind which objects lie: immutable objects under a key, put whole, read by range, and small manifests swapped by
// comparison. A directory (directory_store.h) here; a cluster's store elsewhere.
//
// Keys are "a/b/c": parts of letters, digits, ".", "_", "-", none of them "." or ".." or ending in ".tmp" or ".lock".
// Everything is thread-safe, except one ObjectWriter, which has one user.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace bgl::storage {

struct ObjectInfo {
  std::string key;
  int64_t bytes = 0;
};

// An object in the making. Without commit() it never appears.
class ObjectWriter {
 public:
  virtual ~ObjectWriter() = default;
  virtual Status append(std::string_view bytes) = 0;
  // When it returns OK the whole object is there for every reader, and survives a power cut.
  virtual Status commit() = 0;
};

// A manifest's bytes and the version to name when swapping it.
struct Versioned {
  std::string bytes;
  std::string version;
};

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;
  // Begins the object `key`; a whole object of that key is replaced at commit().
  virtual Result<std::unique_ptr<ObjectWriter>> create(const std::string& key) = 0;
  Status put(const std::string& key, std::string_view bytes);
  // Exactly `length` bytes at `offset`: kDataLoss when the object ends before, kNotFound when it is not there.
  virtual Result<std::string> get_range(const std::string& key, int64_t offset, int64_t length) = 0;
  virtual Result<int64_t> size(const std::string& key) = 0;
  Result<std::string> get(const std::string& key);
  // Objects whose key starts with `prefix`, sorted by key.
  virtual Result<std::vector<ObjectInfo>> list(const std::string& prefix) = 0;
  // OK when the object is not there.
  virtual Status remove(const std::string& key) = 0;

  virtual Result<Versioned> read_manifest(const std::string& key) = 0;
  // Makes `bytes` the manifest if its version is still `expected` ("": it must not exist), and returns the new version;
  // kAlreadyExists when somebody else was first: read it again and decide anew.
  virtual Result<std::string> swap_manifest(const std::string& key, const std::string& expected, std::string_view bytes) = 0;
};

// kInvalidArgument unless `key` has the form above.
Status check_key(const std::string& key);

}  // namespace bgl::storage
