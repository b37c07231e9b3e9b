#include "cli/counting_env.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace bgl::cli {
namespace {

constexpr int64_t kSector = 4096;

// Passes everything on; writes are counted.
class CountedFile final : public File {
 public:
  CountedFile(std::unique_ptr<File> file, std::atomic<int64_t>& written) : file_(std::move(file)), written_(written) {}
  Status append(std::string_view bytes) override {
    written_ += static_cast<int64_t>(bytes.size());
    return file_->append(bytes);
  }
  Status write_at(int64_t offset, std::string_view bytes) override {
    written_ += static_cast<int64_t>(bytes.size());
    return file_->write_at(offset, bytes);
  }
  Result<std::string> pread(int64_t offset, int64_t length) const override { return file_->pread(offset, length); }
  Result<int64_t> pread_into(int64_t offset, char* out, int64_t length) const override {
    return file_->pread_into(offset, out, length);
  }
  Status sync() override { return file_->sync(); }
  Result<int64_t> size() const override { return file_->size(); }
  Status truncate(int64_t size) override { return file_->truncate(size); }
  Status close() override { return file_->close(); }

 private:
  std::unique_ptr<File> file_;
  std::atomic<int64_t>& written_;
};

// A segment read past the page cache, whole sectors at a time; each call is one read of the device.
class DirectFile final : public File {
 public:
  DirectFile(int fd, std::string path, std::atomic<int64_t>& reads) : fd_(fd), path_(std::move(path)), reads_(reads) {}
  ~DirectFile() override { ::close(fd_); }
  Result<std::string> pread(int64_t offset, int64_t length) const override {
    const int64_t begin = offset / kSector * kSector;
    const int64_t room = (offset + length + kSector - 1) / kSector * kSector - begin;
    std::unique_ptr<char, decltype(&std::free)> buffer(
        static_cast<char*>(std::aligned_alloc(kSector, static_cast<size_t>(room))), std::free);
    ++reads_;
    const ssize_t n = ::pread(fd_, buffer.get(), static_cast<size_t>(room), begin);
    if (n < 0) return errno_status(errno, "cannot read " + path_);
    const int64_t have = std::clamp<int64_t>(n - (offset - begin), 0, length);
    return std::string(buffer.get() + (offset - begin), static_cast<size_t>(have));
  }
  Result<int64_t> pread_into(int64_t offset, char* out, int64_t length) const override {
    BGL_ASSIGN(const std::string bytes, pread(offset, length));
    std::memcpy(out, bytes.data(), bytes.size());
    return static_cast<int64_t>(bytes.size());
  }
  Result<int64_t> size() const override {
    struct stat st {};
    if (::fstat(fd_, &st) != 0) return errno_status(errno, "cannot stat " + path_);
    return static_cast<int64_t>(st.st_size);
  }
  Status append(std::string_view) override { return read_only(); }
  Status write_at(int64_t, std::string_view) override { return read_only(); }
  Status sync() override { return read_only(); }
  Status truncate(int64_t) override { return read_only(); }
  Status close() override { return {}; }

 private:
  Status read_only() const { return invalid_argument("{} is open for reading only", path_); }
  int fd_;
  std::string path_;
  std::atomic<int64_t>& reads_;
};

class CountingEnv final : public Env {
 public:
  explicit CountingEnv(IoCounts& counts) : counts_(counts) {}
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    const std::string name = base_name(path);
    if (mode == OpenMode::kRead && name.starts_with("segment-")) {
      const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
      if (fd >= 0) {
        counts_.direct_reads = true;
        return std::unique_ptr<File>(std::make_unique<DirectFile>(fd, path, counts_.segment_reads));
      }
    }
    BGL_ASSIGN(auto file, real_env().open(path, mode));
    if (mode == OpenMode::kRead) return file;
    const bool is_segment = name.starts_with("segment-") || name.starts_with("names-") || name.starts_with("index-");
    std::atomic<int64_t>& kind = name.starts_with("log-") ? counts_.log_bytes
                                 : is_segment             ? counts_.segment_bytes
                                                          : counts_.manifest_bytes;
    return std::unique_ptr<File>(std::make_unique<CountedFile>(std::move(file), kind));
  }
  int64_t now_ns() override { return real_env().now_ns(); }
  int64_t wall_ns() override { return real_env().wall_ns(); }
  int64_t process_id() override { return real_env().process_id(); }
  Result<std::unique_ptr<FileView>> map(const std::string& path) override { return real_env().map(path); }
  Status rename(const std::string& from, const std::string& to) override { return real_env().rename(from, to); }
  Status remove(const std::string& path) override { return real_env().remove(path); }
  Result<std::vector<DirEntry>> list_dir(const std::string& path) override { return real_env().list_dir(path); }
  Status make_dirs(const std::string& path) override { return real_env().make_dirs(path); }
  Result<FileStat> stat(const std::string& path) override { return real_env().stat(path); }
  Status sync_dir(const std::string& path) override { return real_env().sync_dir(path); }
  Result<std::unique_ptr<FileLock>> lock_file(const std::string& path, const std::string& text) override {
    return real_env().lock_file(path, text);
  }

 private:
  IoCounts& counts_;
};

}  // namespace

std::unique_ptr<Env> make_counting_env(IoCounts& counts) { return std::make_unique<CountingEnv>(counts); }

}  // namespace bgl::cli
