// A file that appears whole or not at all: bytes go to "<path>.tmp", which is locked, and commit() flushes them to the disk and
// renames. A writer that is killed leaves at most that one file, never a torn result, and the next writer of `path` uses it up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace bgl::text {

class AtomicFile {
 public:
  // Removes the temporary file unless commit() succeeded.
  ~AtomicFile();
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;

  // kAlreadyExists while another AtomicFile of the same path is open, in any process.
  static Result<AtomicFile> create(const std::string& path);
  // Appends through a buffer of 256 KiB.
  Status write(std::span<const std::byte> bytes);
  Status write(std::string_view bytes) { return write(std::as_bytes(std::span(bytes.data(), bytes.size()))); }
  uint64_t size() const { return written_ + buffer_.size(); }
  // Flush, fsync, rename over `path`, fsync of the folder.
  Status commit();

 private:
  AtomicFile() = default;
  Status flush();
  Status write_all(const char* data, size_t size);

  std::string path_, temporary_, buffer_;
  uint64_t written_ = 0;
  int fd_ = -1;
};

// Writes `bytes` as the whole content of `path`, atomically.
Status write_file_atomic(const std::string& path, std::string_view bytes);
// The whole content of `path`.
Result<std::string> read_file(const std::string& path);
// Creates `dir` and its parents; an existing folder is fine.
Status make_directories(const std::string& dir);

}  // namespace bgl::text
