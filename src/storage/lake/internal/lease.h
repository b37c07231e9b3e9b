// What readers still need. A reader keeps DIR/readers/NAME locked for as long as it lives, however it ends; the file says who it
// is and which segments and logs it reads, by ranges of their numbers:
//
//   pid 123 (since 2024-05-01 10:00:00)
//   3-9 12-12 40-47 end
//
// A writer swaps the manifest first and looks at the leases then; a reader takes its lease first and looks whether the manifest is
// still the same then. So one of the two sees the other.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/env.h"
#include "base/status.h"

namespace bgl::storage {

class ReaderLease {
 public:
  // `ids`: in any order. Errors: whatever keeps this process from writing below `dir`.
  static Result<std::unique_ptr<ReaderLease>> take(Env& env, const std::string& dir, std::vector<int64_t> ids);
  ~ReaderLease();

 private:
  ReaderLease(Env& env, std::string path, std::unique_ptr<FileLock> lock)
      : env_(env), path_(std::move(path)), lock_(std::move(lock)) {}
  Env& env_;
  std::string path_;
  std::unique_ptr<FileLock> lock_;
};

// The leases of readers that live. Files of those that do not are taken away.
class Leases {
 public:
  static Result<Leases> read(Env& env, const std::string& dir);
  bool need(int64_t id) const;
  const std::vector<std::string>& holders() const { return holders_; }

 private:
  void add(const std::string& text);
  bool need_all_ = false;  // a lease is just being written
  std::vector<std::pair<int64_t, int64_t>> ranges_;
  std::vector<std::string> holders_;
};

}  // namespace bgl::storage
