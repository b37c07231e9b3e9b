// The Env of a POSIX system.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>

#include "base/env.h"

namespace bgl {
namespace {

int64_t clock_ns(clockid_t id) {
  timespec ts{};
  clock_gettime(id, &ts);
  return static_cast<int64_t>(ts.tv_sec) * 1'000'000'000 + ts.tv_nsec;
}

int open_fd(const std::string& path, int flags) {
  int fd;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

class PosixFile final : public File {
 public:
  PosixFile(int fd, std::string path, int64_t end) : fd_(fd), path_(std::move(path)), end_(end) {}
  ~PosixFile() override {
    if (fd_ >= 0) ::close(fd_);
  }

  Status append(std::string_view bytes) override { return write_at(end_, bytes); }

  Status write_at(int64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), offset);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno_status(errno, fmt::format("cannot write {} at byte {}", path_, offset));
      bytes.remove_prefix(static_cast<size_t>(n));
      offset += n;
      end_ = std::max(end_, offset);
    }
    return {};
  }

  Result<std::string> pread(int64_t offset, int64_t length) const override {
    std::string out(static_cast<size_t>(length), '\0');
    BGL_ASSIGN(int64_t n, pread_into(offset, out.data(), length));
    out.resize(static_cast<size_t>(n));
    return out;
  }

  Result<int64_t> pread_into(int64_t offset, char* out, int64_t length) const override {
    int64_t done = 0;
    while (done < length) {
      const ssize_t n = ::pread(fd_, out + done, static_cast<size_t>(length - done), offset + done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno_status(errno, fmt::format("cannot read {} at byte {}", path_, offset + done));
      if (n == 0) break;
      done += n;
    }
    return done;
  }

  Status sync() override {
    // After a failed fsync the kernel may have dropped the dirty pages, so a second try that "succeeds" would lie: no retry.
    if (::fsync(fd_) != 0) return errno_status(errno, "cannot sync " + path_);
    return {};
  }

  Result<int64_t> size() const override {
    struct stat st {};
    if (::fstat(fd_, &st) != 0) return errno_status(errno, "cannot stat " + path_);
    return static_cast<int64_t>(st.st_size);
  }

  Status truncate(int64_t size) override {
    if (::ftruncate(fd_, size) != 0) return errno_status(errno, "cannot truncate " + path_);
    end_ = size;
    return {};
  }

  Status close() override {
    const int fd = std::exchange(fd_, -1);
    if (fd >= 0 && ::close(fd) != 0) return errno_status(errno, "cannot close " + path_);
    return {};
  }

 private:
  int fd_;
  std::string path_;
  int64_t end_;
};

class MappedView final : public FileView {
 public:
  MappedView(void* data, size_t size) {
    if (size) bytes_ = {static_cast<const char*>(data), size};
  }
  ~MappedView() override {
    if (!bytes_.empty()) ::munmap(const_cast<char*>(bytes_.data()), bytes_.size());
  }
};

// flock() is bound to the open file, so the kernel frees it when the process dies, however it dies. The file itself stays:
// removing it would let two processes lock two files of one name.
class PosixLock final : public FileLock {
 public:
  explicit PosixLock(int fd) : fd_(fd) {}
  ~PosixLock() override { ::close(fd_); }

 private:
  int fd_;
};

class PosixEnv final : public Env {
 public:
  int64_t now_ns() override { return clock_ns(CLOCK_MONOTONIC); }
  int64_t wall_ns() override { return clock_ns(CLOCK_REALTIME); }
  int64_t process_id() override { return ::getpid(); }

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    int flags = O_RDONLY;
    if (mode == OpenMode::kWrite) flags = O_RDWR | O_CREAT | O_TRUNC;
    if (mode == OpenMode::kAppend || mode == OpenMode::kUpdate) flags = O_RDWR | O_CREAT;
    const int fd = open_fd(path, flags);
    if (fd < 0) return errno_status(errno, "cannot open " + path);
    struct stat st {};
    if (::fstat(fd, &st) != 0 || S_ISDIR(st.st_mode)) {
      const int reason = S_ISDIR(st.st_mode) ? EISDIR : errno;
      ::close(fd);
      return errno_status(reason, "cannot open " + path);
    }
    return std::unique_ptr<File>(std::make_unique<PosixFile>(fd, path, st.st_size));
  }

  Result<std::unique_ptr<FileView>> map(const std::string& path) override {
    const int fd = open_fd(path, O_RDONLY);
    if (fd < 0) return errno_status(errno, "cannot open " + path);
    struct stat st {};
    void* data = nullptr;
    int reason = ::fstat(fd, &st) == 0 ? 0 : errno;
    if (reason == 0 && S_ISDIR(st.st_mode)) reason = EISDIR;
    if (reason == 0 && st.st_size > 0) {
      data = ::mmap(nullptr, static_cast<size_t>(st.st_size), PROT_READ, MAP_SHARED, fd, 0);
      if (data == MAP_FAILED) reason = errno;
    }
    ::close(fd);
    if (reason != 0) return errno_status(reason, "cannot map " + path);
    return std::unique_ptr<FileView>(std::make_unique<MappedView>(data, static_cast<size_t>(st.st_size)));
  }

  Status rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return errno_status(errno, fmt::format("cannot rename {} to {}", from, to));
    return {};
  }

  Status remove(const std::string& path) override {
    if (::remove(path.c_str()) != 0) return errno_status(errno, "cannot remove " + path);
    return {};
  }

  Result<std::vector<DirEntry>> list_dir(const std::string& path) override {
    DIR* dir = ::opendir(path.c_str());
    if (!dir) return errno_status(errno, "cannot list " + path);
    std::vector<DirEntry> entries;
    while (const dirent* entry = ::readdir(dir)) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      bool is_dir = entry->d_type == DT_DIR;
      if (entry->d_type == DT_UNKNOWN) {
        struct stat st {};
        is_dir = ::lstat(join_path(path, name).c_str(), &st) == 0 && S_ISDIR(st.st_mode);
      }
      entries.push_back({name, is_dir});
    }
    ::closedir(dir);
    std::sort(entries.begin(), entries.end(), [](const DirEntry& a, const DirEntry& b) { return a.name < b.name; });
    return entries;
  }

  Status make_dirs(const std::string& path) override {
    if (path.empty() || ::mkdir(path.c_str(), 0755) == 0) return {};
    if (errno == ENOENT) {
      BGL_TRY(make_dirs(parent_path(path)));
      if (::mkdir(path.c_str(), 0755) == 0) return {};
    }
    const int reason = errno;
    struct stat st {};
    if (reason == EEXIST && ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) return {};
    return errno_status(reason, "cannot make folder " + path);
  }

  Result<FileStat> stat(const std::string& path) override {
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0) return errno_status(errno, "cannot stat " + path);
    return FileStat{static_cast<int64_t>(st.st_size),
                    static_cast<int64_t>(st.st_mtim.tv_sec) * 1'000'000'000 + st.st_mtim.tv_nsec, S_ISDIR(st.st_mode), S_ISREG(st.st_mode)};
  }

  Status sync_dir(const std::string& path) override {
    const int fd = open_fd(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) return errno_status(errno, "cannot open folder " + path);
    const int reason = ::fsync(fd) == 0 ? 0 : errno;
    ::close(fd);
    if (reason != 0) return errno_status(reason, "cannot sync folder " + path);
    return {};
  }

  Result<std::unique_ptr<FileLock>> lock_file(const std::string& path, const std::string& text) override {
    const int fd = open_fd(path, O_RDWR | O_CREAT);
    if (fd < 0) return errno_status(errno, "cannot open " + path);
    auto lock = std::make_unique<PosixLock>(fd);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return errno_status(errno, "cannot lock " + path);
      char held[512];
      const ssize_t n = ::pread(fd, held, sizeof held, 0);
      if (n <= 0) return make_status(Code::kAlreadyExists, "another process");
      return make_status(Code::kAlreadyExists, "{}", std::string_view(held, static_cast<size_t>(n)));
    }
    if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
      return errno_status(errno, "cannot write " + path);
    }
    return std::unique_ptr<FileLock>(std::move(lock));
  }
};

}  // namespace

Env& real_env() {
  static PosixEnv env;
  return env;
}

}  // namespace bgl
