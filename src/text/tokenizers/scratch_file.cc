#include "text/tokenizers/internal/scratch_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace bgl::text {

Result<ScratchFile> ScratchFile::create(const std::string& folder) {
  ScratchFile out;
  const char* temporary = std::getenv("TMPDIR");
  out.folder_ = !folder.empty() ? folder : temporary && *temporary ? temporary : "/tmp";
  std::string path = out.folder_ + "/bgl-scratch-XXXXXX";
  const int descriptor = ::mkostemp(path.data(), O_CLOEXEC);
  if (descriptor < 0) return errno_status(errno, fmt::format("{}: cannot make a scratch file", out.folder_));
  ::unlink(path.c_str());
  out.file_.reset(::fdopen(descriptor, "w+"));
  if (!out.file_) {
    ::close(descriptor);
    return errno_status(errno, fmt::format("{}: cannot open a scratch file", out.folder_));
  }
  return out;
}

Status ScratchFile::write(const void* bytes, size_t count) {
  if (count == 0 || std::fwrite(bytes, 1, count, file_.get()) == count) return {};
  return errno_status(errno, fmt::format("{}: cannot write a scratch file", folder_));
}

Status ScratchFile::rewind() {
  if (std::fflush(file_.get()) == 0 && std::fseek(file_.get(), 0, SEEK_SET) == 0) return {};
  return errno_status(errno, fmt::format("{}: cannot write a scratch file", folder_));
}

Result<bool> ScratchFile::read(void* bytes, size_t count) {
  if (count == 0) return true;
  const size_t n = std::fread(bytes, 1, count, file_.get());
  if (n == count) return true;
  if (n == 0 && std::feof(file_.get())) return false;
  return errno_status(std::ferror(file_.get()) ? errno : EIO, fmt::format("{}: cannot read a scratch file", folder_));
}

}  // namespace bgl::text
