#include "text/files/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

namespace bgl::text {
namespace {
constexpr size_t kAtomicBuffer = 256 * 1024;

// A rename is durable only once the folder that holds the name is.
Status sync_parent(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string dir = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const int fd = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno_status(errno, dir);
  const int rc = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  // Some file systems refuse fsync on a folder; they promise nothing better, so there is nothing to report.
  if (rc != 0 && error != EINVAL) return errno_status(error, dir + ": fsync");
  return {};
}
}  // namespace

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      buffer_(std::move(other.buffer_)),
      written_(other.written_),
      fd_(std::exchange(other.fd_, -1)) {}

Result<AtomicFile> AtomicFile::create(const std::string& path) {
  AtomicFile file;
  file.path_ = path;
  const std::string temporary = path + ".tmp";
  while (true) {
    // Not emptied at the open: until the lock is held the bytes may be another writer's.
    file.fd_ = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (file.fd_ < 0) return errno_status(errno, temporary);
    if (::flock(file.fd_, LOCK_EX | LOCK_NB) != 0) return make_status(Code::kAlreadyExists, "{}: another process is writing it", path);
    struct stat held {}, named {};
    // Between open and lock the other writer may have renamed this very file: then it is no longer ours to empty.
    if (::fstat(file.fd_, &held) == 0 && ::stat(temporary.c_str(), &named) == 0 && held.st_ino == named.st_ino) break;
    ::close(std::exchange(file.fd_, -1));
  }
  file.temporary_ = temporary;
  if (::ftruncate(file.fd_, 0) != 0) return errno_status(errno, temporary);
  return file;
}

Status AtomicFile::write_all(const char* data, size_t size) {
  while (size > 0) {
    const ssize_t n = ::write(fd_, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_status(errno, temporary_);
    data += n;
    size -= static_cast<size_t>(n);
    written_ += static_cast<uint64_t>(n);
  }
  return {};
}

Status AtomicFile::flush() {
  BGL_TRY(write_all(buffer_.data(), buffer_.size()));
  buffer_.clear();
  return {};
}

Status AtomicFile::write(std::span<const std::byte> bytes) {
  if (fd_ < 0) return make_status(Code::kInternal, "{}: write after commit", path_);
  if (buffer_.size() + bytes.size() > kAtomicBuffer) BGL_TRY(flush());
  const char* data = reinterpret_cast<const char*>(bytes.data());
  if (bytes.size() >= kAtomicBuffer) return write_all(data, bytes.size());
  buffer_.append(data, bytes.size());
  return {};
}

Status AtomicFile::commit() {
  if (fd_ < 0) return make_status(Code::kInternal, "{}: committed twice", path_);
  BGL_TRY(flush());
  if (::fsync(fd_) != 0) return errno_status(errno, temporary_ + ": fsync");
  const int rc = ::close(std::exchange(fd_, -1));
  if (rc != 0) return errno_status(errno, temporary_ + ": close");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return errno_status(errno, path_ + ": rename");
  temporary_.clear();
  return sync_parent(path_);
}

Status write_file_atomic(const std::string& path, std::string_view bytes) {
  BGL_ASSIGN(AtomicFile file, AtomicFile::create(path));
  BGL_TRY(file.write(bytes));
  return file.commit();
}

Result<std::string> read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno_status(errno, path);
  std::string out;
  char buffer[65536];
  for (;;) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      ::close(fd);
      return errno_status(error, path);
    }
    if (n == 0) break;
    out.append(buffer, static_cast<size_t>(n));
  }
  ::close(fd);
  return out;
}

Status make_directories(const std::string& dir) {
  for (size_t i = 1; i <= dir.size(); ++i) {
    if (i != dir.size() && dir[i] != '/') continue;
    const std::string part = dir.substr(0, i);
    if (::mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) return errno_status(errno, part);
  }
  struct stat st {};
  if (::stat(dir.c_str(), &st) != 0) return errno_status(errno, dir);
  if (!S_ISDIR(st.st_mode)) return invalid_argument("{}: exists and is not a folder", dir);
  return {};
}

}  // namespace bgl::text
