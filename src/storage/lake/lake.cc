#include "storage/lake/lake.h"

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "storage/lake/internal/lake_impl.h"

namespace bgl::storage {
namespace {

constexpr const char* kManifestName = "MANIFEST";
constexpr const char* kLockName = "LOCK";
constexpr const char* kSnapshotFolder = "snapshots/";

// The number N of "segment-N.bgl", "names-N.bgl", "index-N.bgl" and "log-N.bgl"; 0 for every other name.
int64_t id_of(const std::string& name, std::string_view kind) {
  int64_t id = 0;
  if (name.starts_with(kind)) std::from_chars(name.data() + kind.size(), name.data() + name.size(), id);
  return id;
}

// What a writer killed while it made the lake may have left in the folder.
bool is_ours(const std::string& name) {
  return name == kLockName || name.starts_with(kManifestName) || name.starts_with("log-1.bgl");
}

}  // namespace

Result<std::unique_ptr<Lake>> Lake::open(Env& env, const std::string& dir, LakeOptions options) {
  if (options.segment_files < 1 || options.segment_bytes < 1) {
    return invalid_argument("segment_files and segment_bytes must be at least 1");
  }
  if (!options.snapshot.empty() && options.write) return invalid_argument("a snapshot cannot be written to");
  auto lake = std::make_unique<LakeImpl>(env, dir, std::move(options));
  BGL_TRY(lake->open());
  return std::unique_ptr<Lake>(std::move(lake));
}

Status LakeImpl::open() {
  if (dir_.empty()) return invalid_argument("a lake needs a folder; its name is empty");
  const bool there = env_.exists(join_path(dir_, kManifestName));
  if (!there && !(options_.write && options_.create)) {
    return not_found("no lake at {}; \"bgl lake put {} FILES\" makes one", dir_, dir_);
  }
  if (!there) BGL_TRY(create());
  if (options_.write && !lock_) {
    auto lock = env_.lock_file(join_path(dir_, kLockName), lock_holder_text(env_));
    if (lock.status().code() == Code::kAlreadyExists) {
      return make_status(Code::kAlreadyExists, "lake {} is being written by {}", dir_, lock.status().message());
    }
    BGL_ASSIGN(lock_, std::move(lock));
  }
  BGL_TRY(load());
  return options_.write ? remove_unreferenced() : Status();
}

Status LakeImpl::create() {
  BGL_TRY(env_.make_dirs_synced(dir_));
  auto lock = env_.lock_file(join_path(dir_, kLockName), lock_holder_text(env_));
  if (lock.status().code() == Code::kAlreadyExists) {
    return make_status(Code::kAlreadyExists, "lake {} is being written by {}", dir_, lock.status().message());
  }
  BGL_ASSIGN(lock_, std::move(lock));
  if (env_.exists(join_path(dir_, kManifestName))) return {};  // another writer made it between our two looks
  BGL_ASSIGN(const auto entries, env_.list_dir(dir_));
  for (const DirEntry& entry : entries) {
    if (is_ours(entry.name)) continue;
    return invalid_argument("{} is no lake and holds other files ({}); name a new or empty folder", dir_, entry.name);
  }
  BGL_TRY(Log::create(env_, dir_, 1));
  return store_.swap_manifest(kManifestName, "", write_manifest({.next_id = 2, .log_id = 1}, {})).status();
}

// A reader may meet the moment in which a writer seals or merges: what the manifest it read names may be gone before its lease
// is seen. The next manifest names what is there.
Status LakeImpl::load() {
  for (int tries = 0;; ++tries) {
    BGL_TRY(load_manifest());
    BGL_ASSIGN(const bool is_safe, protect());
    const Status opened = is_safe ? open_log() : Status();
    // A log goes on under the next manifest, and its newest batches then name segments of that one as replaced.
    BGL_ASSIGN(const bool is_one_moment, is_safe && opened.ok() ? is_current() : is_safe);
    if (is_one_moment && (opened.code() != Code::kNotFound || options_.write || tries == 100)) return opened;
    if (tries == 100) return make_status(Code::kUnavailable, "lake {}: it changes faster than it can be opened", dir_);
  }
}

// Keeps writers from removing what this reader needs, until it refreshes or ends. False: the manifest has changed meanwhile.
Result<bool> LakeImpl::protect() {
  if (options_.write) return true;
  std::vector<int64_t> ids = {manifest_.log_id};
  for (const SegmentRow& row : segments_.rows()) ids.push_back(row.id);
  auto lease = ReaderLease::take(env_, dir_, std::move(ids));
  if (!lease.ok()) {
    log_debug("lake {}: read without protection from compaction: {}", dir_, lease.status().message());
    return true;
  }
  lease_ = std::move(lease).value();
  return is_current();
}

Result<bool> LakeImpl::is_current() {
  if (options_.write) return true;
  const auto now = store_.read_manifest(manifest_name());
  if (!now.ok() && now.status().code() != Code::kNotFound) return now.status();
  return now.ok() && now->version == version_;
}

std::string LakeImpl::manifest_name() const {
  return options_.snapshot.empty() ? kManifestName : kSnapshotFolder + options_.snapshot;
}

Status LakeImpl::load_manifest() {
  const std::string name = manifest_name();
  auto read = store_.read_manifest(name);
  if (!options_.snapshot.empty() && read.status().code() == Code::kNotFound) return no_snapshot(options_.snapshot);
  BGL_ASSIGN(const Versioned manifest, std::move(read));
  std::vector<SegmentRow> rows;
  BGL_ASSIGN(manifest_, parse_manifest(manifest.bytes, join_path(dir_, name), rows));
  version_ = manifest.version;
  segments_.assign(std::move(rows));
  return {};
}

Status LakeImpl::no_snapshot(const std::string& name) {
  BGL_ASSIGN(const auto names, snapshot_names());
  std::string known;
  for (const std::string& n : names) known += " " + n;
  return not_found("no snapshot {} in lake {}; there are:{}", name, dir_, known.empty() ? " none" : known);
}

Status LakeImpl::open_log() {
  record_map_.reset();  // it points into the log's files
  log_.reset();
  log_files_.clear();
  if (manifest_.log_id == 0) return {};
  BGL_ASSIGN(log_,
             Log::open(env_, dir_, manifest_.log_id, options_.write, [this](std::string_view path, const LogEntry& entry) {
               log_files_.insert_or_assign(std::string(path), entry);
             }));
  return {};
}

// Takes away what a killed writer left, and what merges replaced: objects in the making, logs and segments that no manifest, no
// snapshot and no reader needs.
Status LakeImpl::remove_unreferenced() {
  BGL_TRY(store_.remove_leftovers());
  BGL_ASSIGN(std::vector<int64_t> wanted, snapshot_segments());
  for (const SegmentRow& row : segments_.rows()) wanted.push_back(row.id);
  std::sort(wanted.begin(), wanted.end());
  BGL_ASSIGN(const Leases leases, Leases::read(env_, dir_));
  int64_t kept = 0;
  BGL_ASSIGN(const auto entries, env_.list_dir(dir_));
  for (const DirEntry& entry : entries) {
    int64_t id = 0;
    for (const char* kind : {"segment-", "names-", "index-", "log-"}) id = std::max(id, id_of(entry.name, kind));
    if (id == 0 || id == manifest_.log_id || std::binary_search(wanted.begin(), wanted.end(), id)) continue;
    if (leases.need(id)) {
      ++kept;
    } else {
      BGL_TRY(store_.remove(entry.name));
    }
  }
  if (kept > 0) {
    std::string readers;
    for (const std::string& holder : leases.holders()) readers += (readers.empty() ? "" : ", ") + holder;
    log_info("lake {}: {} replaced files stay until their readers end or refresh ({}); the next writer removes them", dir_, kept,
             readers);
  }
  garbage_.clear();
  return {};
}

Result<std::vector<std::string>> LakeImpl::snapshot_names() {
  std::vector<std::string> names;
  const std::string folder = join_path(dir_, "snapshots");
  if (!env_.exists(folder)) return names;
  BGL_ASSIGN(const auto entries, env_.list_dir(folder));
  for (const DirEntry& entry : entries) {
    if (check_key(entry.name).ok()) names.push_back(entry.name);
  }
  return names;
}

Result<std::vector<SegmentRow>> LakeImpl::read_snapshot(const std::string& name) {
  const std::string key = kSnapshotFolder + name;
  BGL_ASSIGN(const Versioned manifest, store_.read_manifest(key));
  std::vector<SegmentRow> rows;
  BGL_TRY(parse_manifest(manifest.bytes, join_path(dir_, key), rows).status());
  return rows;
}

Result<std::vector<int64_t>> LakeImpl::snapshot_segments() {
  std::vector<int64_t> wanted;
  BGL_ASSIGN(const auto names, snapshot_names());
  for (const std::string& name : names) {
    BGL_ASSIGN(const auto rows, read_snapshot(name));
    for (const SegmentRow& row : rows) wanted.push_back(row.id);
  }
  std::sort(wanted.begin(), wanted.end());
  return wanted;
}

Status LakeImpl::require_writer() const {
  BGL_TRY(broken_);
  if (options_.write && lock_) return {};
  return invalid_argument("lake {} is open for reading only", dir_);
}

Status LakeImpl::require_snapshot_name(const std::string& name) const {
  if (name.find('/') == std::string::npos && check_key(name).ok()) return {};
  return invalid_argument("snapshot name \"{}\": use letters, digits, \".\", \"_\", \"-\"", name);
}

Status LakeImpl::snapshot(const std::string& name) {
  BGL_TRY(require_writer());
  BGL_TRY(require_snapshot_name(name));
  BGL_TRY(seal());
  Manifest kept = manifest_;
  kept.log_id = 0;
  const std::string key = kSnapshotFolder + name;
  const Status status = [&] {
    BGL_TRY(env_.make_dirs_synced(join_path(dir_, "snapshots")));
    return store_.swap_manifest(key, "", write_manifest(kept, segments_.rows())).status();
  }();
  if (status.code() != Code::kAlreadyExists) return status;
  return make_status(Code::kAlreadyExists, "lake {} has a snapshot {} already; choose another name", dir_, name);
}

Result<std::vector<LakeSnapshot>> LakeImpl::snapshots() {
  std::vector<LakeSnapshot> out;
  BGL_ASSIGN(const auto names, snapshot_names());
  for (const std::string& name : names) {
    BGL_ASSIGN(const auto rows, read_snapshot(name));
    LakeSnapshot& s = out.emplace_back();
    s.name = name;
    for (const SegmentRow& row : rows) {
      s.files += row.live_files();
      s.bytes += row.bytes - row.superseded_bytes;
    }
  }
  return out;
}

// The name is gone for good before anything it needs goes: after a power cut between them there is no torn snapshot.
Status LakeImpl::drop_snapshot(const std::string& name) {
  BGL_TRY(require_writer());
  BGL_TRY(require_snapshot_name(name));
  const std::string folder = join_path(dir_, kSnapshotFolder);
  if (!env_.exists(folder + name)) return no_snapshot(name);
  BGL_TRY(store_.remove(kSnapshotFolder + name));
  BGL_TRY(env_.sync_dir(folder));
  return remove_unreferenced();
}

Status LakeImpl::refresh() {
  if (options_.write) return invalid_argument("lake {}: its writer sees everything already", dir_);
  return load();
}

// After a failed swap it is not known which manifest, hence which log, the next reader sees: nothing more may be acknowledged.
Status LakeImpl::swap(Manifest next, std::vector<SegmentRow> rows) {
  auto version = store_.swap_manifest(kManifestName, version_, write_manifest(next, rows));
  broken_ = version.status();
  BGL_TRY(broken_);
  version_ = std::move(version).value();
  manifest_ = next;
  segments_.assign(std::move(rows));
  return {};
}

Status LakeImpl::close() {
  const size_t left = buffered_.size();
  buffered_.clear();
  lock_.reset();
  lease_.reset();
  if (left > 0) return invalid_argument("lake {}: closed with {} files put and not committed", dir_, left);
  return {};
}

}  // namespace bgl::storage
