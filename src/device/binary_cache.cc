// The layout of a file, little-endian. Its name is the XXH3-128 of the key in hex, with ".bin".
//   8  "BGLBIN01"
//   8  bytes of the payload
//  16  XXH3-128 of the key, low half first
//  16  XXH3-128 of the payload
//   n  the payload
#include "device/binary_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/log.h"
#include "base/status.h"

namespace bgl::device {
namespace {

constexpr char kMagic[] = "BGLBIN01";
struct Header {
  char magic[8];
  uint64_t bytes;
  XXH128_hash_t key, payload;
};
static_assert(sizeof(Header) == 48);

std::string default_folder() {
  if (const char* own = std::getenv("BGL_CACHE_DIR")) return own;
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache) return std::string(cache) + "/bagualu";
  if (const char* home = std::getenv("HOME"); home && *home) return std::string(home) + "/.cache/bagualu";
  return {};
}

bool make_folders(const std::string& path) {
  for (size_t at = 1; at != std::string::npos;) {
    at = path.find('/', at + 1);
    const std::string part = path.substr(0, at);
    if (mkdir(part.c_str(), 0777) != 0 && errno != EEXIST && access(part.c_str(), F_OK) != 0) return false;
  }
  return true;
}

bool write_all(int fd, const void* data, size_t n) {
  for (const char* p = static_cast<const char*>(data); n > 0;) {
    const ssize_t done = write(fd, p, n);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    p += done, n -= static_cast<size_t>(done);
  }
  return true;
}
// The whole file, or false with errno.
bool read_all(const std::string& path, std::string& out) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char buffer[1 << 16];
  ssize_t n;
  while ((n = read(fd, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR)) {
    if (n > 0) out.append(buffer, static_cast<size_t>(n));
  }
  const int error = errno;
  close(fd);
  errno = error;
  return n == 0;
}

std::string name_of(XXH128_hash_t key) { return fmt::format("{:016x}{:016x}", key.high64, key.low64); }

// What is wrong with a file, or null. key: of the kernel that is wanted, if one is.
const char* wrong_with(const std::string& file, const XXH128_hash_t* key) {
  Header h{};
  if (file.size() < sizeof h) return "cut short";
  std::memcpy(&h, file.data(), sizeof h);
  if (std::memcmp(h.magic, kMagic, 8) != 0) return "not one of ours";
  if (h.bytes != file.size() - sizeof h) return "cut short";
  if (key && !XXH128_isEqual(h.key, *key)) return "of another kernel";
  return XXH128_isEqual(h.payload, XXH3_128bits(file.data() + sizeof h, h.bytes)) ? nullptr : "damaged";
}

}  // namespace

BinaryCache::BinaryCache(std::string folder) : folder_(std::move(folder)) {}

BinaryCache& BinaryCache::shared() {
  static BinaryCache cache(default_folder());
  return cache;
}

std::string BinaryCache::path_of(std::string_view key) const {
  return fmt::format("{}/{}.bin", folder_, name_of(XXH3_128bits(key.data(), key.size())));
}

bool BinaryCache::is_kept_name(std::string_view name) {
  return name.size() == 36 && name.ends_with(".bin") && name.find_first_not_of("0123456789abcdef") == 32;
}

Result<std::vector<std::string>> BinaryCache::files(Env& env, const std::string& folder) {
  std::vector<std::string> out;
  if (!env.exists(folder)) return out;
  BGL_ASSIGN(const auto entries, env.list_dir(folder));
  for (const DirEntry& e : entries) {
    if (is_kept_name(e.name)) out.push_back(join_path(folder, e.name));
  }
  return out;
}

Status BinaryCache::check_file(const std::string& path) {
  std::string file;
  if (!read_all(path, file)) return make_status(Code::kIo, "{}: {}", path, std::strerror(errno));
  const std::string_view name = std::string_view(path).substr(path.size() - 36, 32);
  if (const char* wrong = wrong_with(file, nullptr); wrong) return data_loss("{} is {}", path, wrong);
  Header h{};
  std::memcpy(&h, file.data(), sizeof h);
  if (name_of(h.key) != name) return data_loss("{} is of another kernel", path);
  return {};
}

std::string BinaryCache::get(std::string_view key) const {
  if (folder_.empty()) return {};
  const std::string path = path_of(key);
  std::string file;
  if (!read_all(path, file)) return {};
  const XXH128_hash_t expected = XXH3_128bits(key.data(), key.size());
  if (const char* wrong = wrong_with(file, &expected); wrong) {
    log_warn("cached kernel {} is {}: compiling again", path, wrong);
    return {};
  }
  return file.substr(sizeof(Header));
}

void BinaryCache::put(std::string_view key, std::string_view bytes) const {
  if (folder_.empty()) return;
  static std::atomic<uint64_t> serial{0};
  static std::atomic<bool> said{false};
  const std::string path = path_of(key), temporary = fmt::format("{}.{}.{}", path, getpid(), serial++);
  Header h{};
  std::memcpy(h.magic, kMagic, 8);
  h.bytes = bytes.size();
  h.key = XXH3_128bits(key.data(), key.size());
  h.payload = XXH3_128bits(bytes.data(), bytes.size());
  int fd = -1;
  bool good = make_folders(folder_) && (fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) >= 0 &&
              write_all(fd, &h, sizeof h) && write_all(fd, bytes.data(), bytes.size());
  int error = errno;
  if (fd >= 0 && close(fd) != 0 && good) good = false, error = errno;
  if (good && rename(temporary.c_str(), path.c_str()) != 0) good = false, error = errno;
  if (good) return;
  if (fd >= 0) unlink(temporary.c_str());
  if (!said.exchange(true))
    log_warn("compiled kernels are not kept in {}: {}; set BGL_CACHE_DIR", folder_, std::strerror(error));
}

}  // namespace bgl::device
