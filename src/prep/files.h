// Where the raw files are: a lake, or a plain folder tree read the same way.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "text/files/byte_stream.h"

namespace bgl::prep {

struct FileEntry {
  std::string path;
  int64_t bytes = 0;
  std::string hash;  // XXH3-128 of the content, 32 hex digits
};

class FileSource {
 public:
  virtual ~FileSource() = default;
  // All files, sorted by path.
  virtual Result<std::vector<FileEntry>> list() = 0;
  // Thread-safe.
  virtual Result<std::string> get(const std::string& path) = 0;
  // The content of a listed file in pieces. Thread-safe. A file of a folder takes no memory; one of a lake is read whole, since
  // its checksum is of the whole.
  virtual Result<std::unique_ptr<text::ByteStream>> open(const std::string& path) = 0;
  // Larger files are not for open().
  virtual int64_t open_bytes_max() const { return INT64_MAX; }
};

// The lake at `dir` when one is there, else the files below the folder (each is read once to hash it).
Result<std::unique_ptr<FileSource>> open_files(Env& env, const std::string& dir);

}  // namespace bgl::prep
