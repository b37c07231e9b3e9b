// A whole file mapped read-only. The pages belong to the page cache, so a 10 GB model costs no private memory and two processes
// share one copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace bgl::text {

class MmapFile {
 public:
  MmapFile() = default;
  ~MmapFile();
  MmapFile(MmapFile&& other) noexcept;
  MmapFile& operator=(MmapFile&& other) noexcept;

  // Maps `path`. An empty file gives an empty span. The file must not shrink while it is mapped: reading a page past its end
  // raises SIGBUS, so writers replace files (AtomicFile) and never cut them.
  static Result<MmapFile> open(const std::string& path);

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  const std::string& path() const { return path_; }

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::string path_;
};

}  // namespace bgl::text
