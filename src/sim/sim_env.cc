#include "sim/sim_env.h"

#include <cerrno>
#include <map>
#include <mutex>

#include "sim/internal/sim_disk.h"

namespace bgl::sim {

struct SimEnv::State {
  mutable std::mutex mutex;
  SimRandom random;
  SimDisk disk;
  SimFaults faults;
  int64_t operations = 0;
  int64_t generation = 1;  // of the process; also its id
  int64_t now_ns = 0;
  bool stopped = false;
  std::map<NodeId, int64_t> locks;  // node of the lock file -> generation that holds it

  explicit State(uint64_t seed) : random(seed) {}

  static Status stopped_status() { return make_status(Code::kUnavailable, "the simulated process has stopped"); }

  // Before anything: a stopped process, or a handle of an earlier one, does nothing.
  Status alive(int64_t handle_generation) const {
    if (stopped || handle_generation != generation) return stopped_status();
    return {};
  }

  // Counts a change and runs it, unless this is the operation at which something happens. `grows`: bytes it would add.
  template <typename Change>
  Status change(const std::string& what, int64_t grows, const Change& run) {
    now_ns += 1000;
    ++operations;
    if (operations == faults.stop_at) {
      stopped = true;
      if (random.coin()) run();
      return stopped_status();
    }
    if (operations == faults.fail_at) return errno_status(EIO, "cannot " + what);
    if (faults.disk_bytes > 0 && grows > 0 && disk.total_bytes() + grows > faults.disk_bytes) {
      return errno_status(ENOSPC, "cannot " + what);
    }
    run();
    return {};
  }
};

namespace {

class SimFile final : public File {
 public:
  SimFile(std::shared_ptr<SimEnv::State> state, NodeId node, std::string path)
      : state_(std::move(state)), node_(node), generation_(state_->generation), path_(std::move(path)) {}

  Status append(std::string_view bytes) override {
    const std::lock_guard lock(state_->mutex);
    return write_locked(static_cast<int64_t>(state_->disk.data(node_).size()), bytes);
  }
  Status write_at(int64_t offset, std::string_view bytes) override {
    const std::lock_guard lock(state_->mutex);
    return write_locked(offset, bytes);
  }
  Result<std::string> pread(int64_t offset, int64_t length) const override {
    const std::lock_guard lock(state_->mutex);
    BGL_TRY(state_->alive(generation_));
    const std::string& data = state_->disk.data(node_);
    if (offset >= static_cast<int64_t>(data.size())) return std::string();
    return data.substr(static_cast<size_t>(offset), static_cast<size_t>(length));
  }
  Result<int64_t> pread_into(int64_t offset, char* out, int64_t length) const override {
    BGL_ASSIGN(const std::string bytes, pread(offset, length));
    bytes.copy(out, bytes.size());
    return static_cast<int64_t>(bytes.size());
  }
  Status sync() override {
    const std::lock_guard lock(state_->mutex);
    BGL_TRY(state_->alive(generation_));
    return state_->change("sync " + path_, 0, [this] { state_->disk.sync(node_); });
  }
  Result<int64_t> size() const override {
    const std::lock_guard lock(state_->mutex);
    BGL_TRY(state_->alive(generation_));
    return static_cast<int64_t>(state_->disk.data(node_).size());
  }
  Status truncate(int64_t size) override {
    const std::lock_guard lock(state_->mutex);
    BGL_TRY(state_->alive(generation_));
    return state_->change("truncate " + path_, 0, [&] { state_->disk.truncate(node_, size); });
  }
  Status close() override { return {}; }

 private:
  Status write_locked(int64_t offset, std::string_view bytes) {
    BGL_TRY(state_->alive(generation_));
    if (bytes.empty()) return {};
    const int64_t grows = offset + static_cast<int64_t>(bytes.size()) - static_cast<int64_t>(state_->disk.data(node_).size());
    return state_->change(fmt::format("write {} at byte {}", path_, offset), grows,
                          [&] { state_->disk.write(node_, offset, bytes); });
  }

  std::shared_ptr<SimEnv::State> state_;
  NodeId node_;
  int64_t generation_;
  std::string path_;
};

class SimView final : public FileView {
 public:
  explicit SimView(std::string data) : data_(std::move(data)) { bytes_ = data_; }

 private:
  std::string data_;
};

class SimLock final : public FileLock {
 public:
  SimLock(std::shared_ptr<SimEnv::State> state, NodeId node)
      : state_(std::move(state)), node_(node), generation_(state_->generation) {}
  ~SimLock() override {
    const std::lock_guard lock(state_->mutex);
    const auto held = state_->locks.find(node_);
    if (held != state_->locks.end() && held->second == generation_) state_->locks.erase(held);
  }

 private:
  std::shared_ptr<SimEnv::State> state_;
  NodeId node_;
  int64_t generation_;
};

void list_below(const SimDisk& disk, NodeId dir, const std::string& prefix, std::vector<std::string>& out) {
  for (const auto& [name, node] : disk.names(dir)) {
    const bool is_dir = disk.is_dir(node);
    const std::string path = prefix + name + (is_dir ? "/" : "");
    out.push_back(path);
    if (is_dir) list_below(disk, node, path, out);
  }
}

}  // namespace

SimEnv::SimEnv(uint64_t seed) : state_(std::make_shared<State>(seed)) {}
SimEnv::~SimEnv() = default;

void SimEnv::set_faults(SimFaults faults) {
  const std::lock_guard lock(state_->mutex);
  state_->faults = faults;
}

int64_t SimEnv::operations() const {
  const std::lock_guard lock(state_->mutex);
  return state_->operations;
}

bool SimEnv::stopped() const {
  const std::lock_guard lock(state_->mutex);
  return state_->stopped;
}

void SimEnv::restart(Crash crash) {
  const std::lock_guard lock(state_->mutex);
  if (crash == Crash::kPowerCut) state_->disk.power_cut(state_->random);
  state_->faults = {};
  state_->operations = 0;
  state_->stopped = false;
  state_->locks.clear();
  ++state_->generation;
}

void SimEnv::advance_ns(int64_t ns) {
  const std::lock_guard lock(state_->mutex);
  state_->now_ns += ns;
}

void SimEnv::flip(const std::string& path, int64_t offset, unsigned char mask) {
  const std::lock_guard lock(state_->mutex);
  const NodeId node = state_->disk.find(path);
  BGL_CHECK(node != kNoNode, "{}", path);
  state_->disk.flip(node, offset, mask);
}

std::vector<std::string> SimEnv::all_paths() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<std::string> out;
  list_below(state_->disk, kRootNode, "/", out);
  return out;
}

int64_t SimEnv::now_ns() {
  const std::lock_guard lock(state_->mutex);
  return state_->now_ns;
}

int64_t SimEnv::wall_ns() { return now_ns() + int64_t{1'700'000'000} * 1'000'000'000; }

int64_t SimEnv::process_id() {
  const std::lock_guard lock(state_->mutex);
  return state_->generation;
}

Result<std::unique_ptr<File>> SimEnv::open(const std::string& path, OpenMode mode) {
  const std::lock_guard lock(state_->mutex);
  BGL_TRY(state_->alive(state_->generation));
  SimDisk& disk = state_->disk;
  NodeId node = disk.find(path);
  if (node != kNoNode && disk.is_dir(node)) return errno_status(EISDIR, "cannot open " + path);
  if (node == kNoNode) {
    const NodeId dir = disk.find(parent_path(path));
    if (mode == OpenMode::kRead || dir == kNoNode) return errno_status(ENOENT, "cannot open " + path);
    if (!disk.is_dir(dir)) return errno_status(ENOTDIR, "cannot open " + path);
    BGL_TRY(state_->change("open " + path, 0, [&] { node = disk.create(path, false); }));
  } else if (mode == OpenMode::kWrite && !disk.data(node).empty()) {
    BGL_TRY(state_->change("open " + path, 0, [&] { disk.truncate(node, 0); }));
  }
  return std::unique_ptr<File>(std::make_unique<SimFile>(state_, node, path));
}

Result<std::unique_ptr<FileView>> SimEnv::map(const std::string& path) {
  BGL_ASSIGN(auto file, open(path, OpenMode::kRead));
  BGL_ASSIGN(const int64_t size, file->size());
  BGL_ASSIGN(auto data, file->pread(0, size));
  return std::unique_ptr<FileView>(std::make_unique<SimView>(std::move(data)));
}

Status SimEnv::rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(state_->mutex);
  BGL_TRY(state_->alive(state_->generation));
  SimDisk& disk = state_->disk;
  const std::string what = fmt::format("rename {} to {}", from, to);
  const NodeId node = disk.find(from);
  if (node == kNoNode || disk.find(parent_path(to)) == kNoNode) return errno_status(ENOENT, "cannot " + what);
  const NodeId target = disk.find(to);
  if (target != kNoNode && disk.is_dir(node) && !disk.is_dir(target)) return errno_status(ENOTDIR, "cannot " + what);
  if (target != kNoNode && !disk.is_dir(node) && disk.is_dir(target)) return errno_status(EISDIR, "cannot " + what);
  if (target != kNoNode && disk.is_dir(target) && !disk.names(target).empty()) return errno_status(ENOTEMPTY, "cannot " + what);
  return state_->change(what, 0, [&] { disk.rename(from, to); });
}

Status SimEnv::remove(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  BGL_TRY(state_->alive(state_->generation));
  const NodeId node = state_->disk.find(path);
  if (node == kNoNode) return errno_status(ENOENT, "cannot remove " + path);
  if (state_->disk.is_dir(node) && !state_->disk.names(node).empty()) return errno_status(ENOTEMPTY, "cannot remove " + path);
  return state_->change("remove " + path, 0, [&] { state_->disk.remove(path); });
}

Result<std::vector<DirEntry>> SimEnv::list_dir(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  BGL_TRY(state_->alive(state_->generation));
  const NodeId node = state_->disk.find(path);
  if (node == kNoNode) return errno_status(ENOENT, "cannot list " + path);
  if (!state_->disk.is_dir(node)) return errno_status(ENOTDIR, "cannot list " + path);
  std::vector<DirEntry> entries;
  for (const auto& [name, child] : state_->disk.names(node)) entries.push_back({name, state_->disk.is_dir(child)});
  return entries;
}

Status SimEnv::make_dirs(const std::string& path) {
  std::vector<std::string> missing;
  const std::lock_guard lock(state_->mutex);
  BGL_TRY(state_->alive(state_->generation));
  SimDisk& disk = state_->disk;
  std::string at = path;
  while (disk.find(at) == kNoNode) {
    missing.push_back(at);
    at = parent_path(at);
  }
  if (!disk.is_dir(disk.find(at))) return errno_status(EEXIST, "cannot make folder " + path);
  while (!missing.empty()) {
    BGL_TRY(state_->change("make folder " + path, 0, [&] { disk.create(missing.back(), true); }));
    missing.pop_back();
  }
  return {};
}

Result<FileStat> SimEnv::stat(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  BGL_TRY(state_->alive(state_->generation));
  const NodeId node = state_->disk.find(path);
  if (node == kNoNode) return errno_status(ENOENT, "cannot stat " + path);
  return FileStat{static_cast<int64_t>(state_->disk.data(node).size()), 0, state_->disk.is_dir(node), !state_->disk.is_dir(node)};
}

Status SimEnv::sync_dir(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  BGL_TRY(state_->alive(state_->generation));
  const NodeId node = state_->disk.find(path);
  if (node == kNoNode) return errno_status(ENOENT, "cannot open folder " + path);
  return state_->change("sync folder " + path, 0, [&] { state_->disk.sync_dir(node); });
}

Result<std::unique_ptr<FileLock>> SimEnv::lock_file(const std::string& path, const std::string& text) {
  BGL_ASSIGN(auto file, open(path, OpenMode::kUpdate));
  const std::lock_guard lock(state_->mutex);
  const NodeId node = state_->disk.find(path);
  if (state_->locks.count(node)) return make_status(Code::kAlreadyExists, "{}", state_->disk.data(node));
  BGL_TRY(state_->change("write " + path, 0, [&] {
    state_->disk.truncate(node, 0);
    state_->disk.write(node, 0, text);
  }));
  state_->locks[node] = state_->generation;
  return std::unique_ptr<FileLock>(std::make_unique<SimLock>(state_, node));
}

}  // namespace bgl::sim
