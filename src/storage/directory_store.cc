#include "storage/directory_store.h"

#include <algorithm>
#include <list>
#include <map>
#include <mutex>

#include "base/hash.h"

namespace bgl::storage {
namespace {

constexpr std::string_view kInTheMaking = ".tmp";
constexpr std::string_view kSwapLock = ".lock";
constexpr size_t kWriteBuffer = 1 << 20;

class DirectoryWriter final : public ObjectWriter {
 public:
  DirectoryWriter(Env& env, std::unique_ptr<File> file, std::string path)
      : env_(env), file_(std::move(file)), path_(std::move(path)) {}
  ~DirectoryWriter() override {
    if (!file_) return;
    file_.reset();
    (void)env_.remove(path_ + std::string(kInTheMaking));  // a leftover only costs room
  }

  Status append(std::string_view bytes) override {
    // What is large goes past the buffer, so that a file of gigabytes is not copied.
    if (buffer_.size() + bytes.size() >= kWriteBuffer) BGL_TRY(flush());
    if (bytes.size() >= kWriteBuffer) return file_->append(bytes);
    buffer_ += bytes;
    return {};
  }

  Status commit() override {
    BGL_TRY(flush());
    BGL_TRY(file_->sync());
    BGL_TRY(file_->close());
    BGL_TRY(env_.rename(path_ + std::string(kInTheMaking), path_));
    file_.reset();
    return env_.sync_dir(parent_path(path_));
  }

 private:
  Status flush() {
    if (buffer_.empty()) return {};
    const Status written = file_->append(buffer_);
    buffer_.clear();
    return written;
  }

  Env& env_;
  std::unique_ptr<File> file_;
  std::string path_;
  std::string buffer_;
};

}  // namespace

// The files read most recently; a file in use outlives its eviction through the shared pointer.
struct DirectoryStore::OpenFiles {
  using Entry = std::pair<std::string, std::shared_ptr<File>>;
  explicit OpenFiles(size_t limit) : limit(std::max<size_t>(1, limit)) {}

  Result<std::shared_ptr<File>> get(Env& env, const std::string& path) {
    const std::lock_guard lock(mutex);
    const auto found = by_path.find(path);
    if (found != by_path.end()) {
      recent.splice(recent.begin(), recent, found->second);
      return found->second->second;
    }
    BGL_ASSIGN(std::shared_ptr<File> file, env.open(path, OpenMode::kRead));
    recent.emplace_front(path, file);
    by_path[path] = recent.begin();
    if (recent.size() > limit) {
      by_path.erase(recent.back().first);
      recent.pop_back();
    }
    return file;
  }

  void forget(const std::string& path) {
    const std::lock_guard lock(mutex);
    const auto found = by_path.find(path);
    if (found == by_path.end()) return;
    recent.erase(found->second);
    by_path.erase(found);
  }

  std::mutex mutex;
  size_t limit;
  std::list<Entry> recent;
  std::map<std::string, std::list<Entry>::iterator> by_path;
};

DirectoryStore::DirectoryStore(Env& env, std::string dir, int open_files)
    : env_(env), dir_(std::move(dir)), open_(std::make_unique<OpenFiles>(static_cast<size_t>(open_files))) {}
DirectoryStore::~DirectoryStore() = default;

Result<std::unique_ptr<ObjectWriter>> DirectoryStore::create(const std::string& key) {
  BGL_TRY(check_key(key));
  const std::string path = join_path(dir_, key);
  BGL_TRY(env_.make_dirs_synced(parent_path(path)));
  open_->forget(path);
  BGL_ASSIGN(auto file, env_.open(path + std::string(kInTheMaking), OpenMode::kWrite));
  return std::unique_ptr<ObjectWriter>(std::make_unique<DirectoryWriter>(env_, std::move(file), path));
}

Result<std::string> DirectoryStore::get_range(const std::string& key, int64_t offset, int64_t length) {
  BGL_ASSIGN(auto file, open_->get(env_, join_path(dir_, key)));
  BGL_ASSIGN(auto bytes, file->pread(offset, length));
  if (static_cast<int64_t>(bytes.size()) != length) {
    return data_loss("{}: ends at byte {}, {} bytes were expected at byte {}: the file was cut", join_path(dir_, key),
                     offset + static_cast<int64_t>(bytes.size()), length, offset);
  }
  return bytes;
}

Result<int64_t> DirectoryStore::size(const std::string& key) {
  BGL_ASSIGN(auto file, open_->get(env_, join_path(dir_, key)));
  return file->size();
}

Status DirectoryStore::list_below(const std::string& folder, std::vector<ObjectInfo>& out) {
  BGL_ASSIGN(const auto entries, env_.list_dir(folder.empty() ? dir_ : join_path(dir_, folder)));
  for (const DirEntry& entry : entries) {
    const std::string key = folder.empty() ? entry.name : folder + "/" + entry.name;
    if (entry.is_dir) {
      BGL_TRY(list_below(key, out));
    } else if (!key.ends_with(kInTheMaking) && !key.ends_with(kSwapLock)) {
      const auto info = env_.stat(join_path(dir_, key));
      if (info.ok()) out.push_back({key, (*info).size});  // one removed meanwhile is no failure
    }
  }
  return {};
}

Result<std::vector<ObjectInfo>> DirectoryStore::list(const std::string& prefix) {
  std::vector<ObjectInfo> all;
  BGL_TRY(list_below("", all));
  std::erase_if(all, [&prefix](const ObjectInfo& o) { return o.key.compare(0, prefix.size(), prefix) != 0; });
  std::sort(all.begin(), all.end(), [](const ObjectInfo& a, const ObjectInfo& b) { return a.key < b.key; });
  return all;
}

Status DirectoryStore::remove(const std::string& key) {
  BGL_TRY(check_key(key));
  const std::string path = join_path(dir_, key);
  open_->forget(path);
  const Status removed = env_.remove(path);
  return removed.code() == Code::kNotFound ? Status() : removed;
}

Result<Versioned> DirectoryStore::read_manifest(const std::string& key) {
  BGL_ASSIGN(auto bytes, env_.read_file(join_path(dir_, key)));
  std::string version = hash128_hex(bytes);
  return Versioned{std::move(bytes), std::move(version)};
}

Result<std::string> DirectoryStore::swap_manifest(const std::string& key, const std::string& expected, std::string_view bytes) {
  BGL_TRY(check_key(key));
  const std::string path = join_path(dir_, key);
  auto lock = env_.lock_file(path + std::string(kSwapLock), lock_holder_text(env_));
  if (!lock.ok()) return lock.status().with_context("manifest " + path + " is being swapped");
  const auto now = read_manifest(key);
  if (!now.ok() && now.status().code() != Code::kNotFound) return now.status();
  const std::string version = now.ok() ? now.value().version : "";
  if (version != expected) return make_status(Code::kAlreadyExists, "manifest {} was changed by somebody else", path);
  BGL_TRY(env_.write_file_atomic(path, bytes));
  return hash128_hex(bytes);
}

Status DirectoryStore::remove_leftovers() {
  std::vector<std::string> folders = {dir_};
  while (!folders.empty()) {
    const std::string folder = folders.back();
    folders.pop_back();
    BGL_ASSIGN(const auto entries, env_.list_dir(folder));
    for (const DirEntry& entry : entries) {
      const std::string path = join_path(folder, entry.name);
      if (entry.is_dir) {
        folders.push_back(path);
      } else if (entry.name.ends_with(kInTheMaking)) {
        BGL_TRY(env_.remove(path));
      }
    }
  }
  return {};
}

}  // namespace bgl::storage
