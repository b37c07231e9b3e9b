// A file without a name, written once and read from its beginning; gone with its object, or with the process.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "base/status.h"

namespace bgl::text {

class ScratchFile {
 public:
  // In `folder`; empty: in TMPDIR or /tmp.
  static Result<ScratchFile> create(const std::string& folder);
  Status write(const void* bytes, size_t count);
  // From here on reads begin at the first byte.
  Status rewind();
  // False at the end of the file; a part of `count` bytes is an error.
  Result<bool> read(void* bytes, size_t count);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> file_;
  std::string folder_;
};

}  // namespace bgl::text
