#include "storage/lake/lake.h"

#include <algorithm>
#include <set>

#include "storage/lake/internal/lake_impl.h"

namespace bgl::storage {
namespace {

constexpr const char* kManifestName = "MANIFEST";
constexpr const char* kLockName = "LOCK";
constexpr const char* kSnapshotFolder = "snapshots/";

void want_objects(const Manifest& manifest, std::set<std::string>& wanted) {
  for (const SegmentRow& row : manifest.segments) wanted.insert({segment_key(row.id), names_key(row.id)});
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
  return store_.swap_manifest(kManifestName, "", write_manifest({.next_id = 2, .log_id = 1})).status();
}

// A reader may meet the moment in which a writer seals: the manifest it read names a log that is gone. The next manifest names
// one that is there.
Status LakeImpl::load() {
  for (int tries = 0;; ++tries) {
    BGL_TRY(load_manifest());
    const Status opened = open_log();
    if (opened.code() != Code::kNotFound || options_.write || tries == 100) return opened;
  }
}

Status LakeImpl::load_manifest() {
  const std::string name = options_.snapshot.empty() ? kManifestName : kSnapshotFolder + options_.snapshot;
  auto read = store_.read_manifest(name);
  if (!options_.snapshot.empty() && read.status().code() == Code::kNotFound) {
    std::string known;
    BGL_ASSIGN(const auto objects, store_.list(kSnapshotFolder));
    for (const ObjectInfo& o : objects) known += " " + o.key.substr(std::string_view(kSnapshotFolder).size());
    return not_found("no snapshot {} in lake {}; there are:{}", options_.snapshot, dir_, known.empty() ? " none" : known);
  }
  BGL_ASSIGN(const Versioned manifest, std::move(read));
  BGL_ASSIGN(manifest_, parse_manifest(manifest.bytes, join_path(dir_, name)));
  version_ = manifest.version;
  segments_.clear();
  for (const SegmentRow& row : manifest_.segments) segments_.push_back(std::make_unique<SegmentReader>(store_, dir_, row));
  return {};
}

Status LakeImpl::open_log() {
  log_.reset();
  log_files_.clear();
  if (manifest_.log_id == 0) return {};
  BGL_ASSIGN(log_,
             Log::open(env_, dir_, manifest_.log_id, options_.write, [this](std::string_view path, const LogEntry& entry) {
               log_files_.insert_or_assign(std::string(path), entry);
             }));
  return {};
}

// Takes away what a killed writer left: objects in the making, logs and segments that no manifest and no snapshot names.
Status LakeImpl::remove_unreferenced() {
  BGL_TRY(store_.remove_leftovers());
  BGL_ASSIGN(std::set<std::string> wanted, snapshot_objects());
  wanted.insert(log_key(manifest_.log_id));
  want_objects(manifest_, wanted);
  BGL_ASSIGN(const auto objects, store_.list(""));
  for (const ObjectInfo& o : objects) {
    const bool kind = o.key.starts_with("segment-") || o.key.starts_with("names-") || o.key.starts_with("log-");
    if (kind && !wanted.count(o.key)) BGL_TRY(store_.remove(o.key));
  }
  return {};
}

Result<std::set<std::string>> LakeImpl::snapshot_objects() {
  std::set<std::string> wanted;
  BGL_ASSIGN(const auto snapshots, store_.list(kSnapshotFolder));
  for (const ObjectInfo& o : snapshots) {
    BGL_ASSIGN(const Versioned snapshot, store_.read_manifest(o.key));
    BGL_ASSIGN(const Manifest manifest, parse_manifest(snapshot.bytes, join_path(dir_, o.key)));
    want_objects(manifest, wanted);
  }
  return wanted;
}

Status LakeImpl::require_writer() const {
  BGL_TRY(broken_);
  if (options_.write && lock_) return {};
  return invalid_argument("lake {} is open for reading only", dir_);
}

Status LakeImpl::snapshot(const std::string& name) {
  BGL_TRY(require_writer());
  if (name.find('/') != std::string::npos || !check_key(name).ok()) {
    return invalid_argument("snapshot name \"{}\": use letters, digits, \".\", \"_\", \"-\"", name);
  }
  BGL_TRY(seal());
  Manifest kept = manifest_;
  kept.log_id = 0;
  const std::string key = kSnapshotFolder + name;
  const Status status = [&] {
    BGL_TRY(env_.make_dirs_synced(join_path(dir_, "snapshots")));
    return store_.swap_manifest(key, "", write_manifest(kept)).status();
  }();
  if (status.code() != Code::kAlreadyExists) return status;
  return make_status(Code::kAlreadyExists, "lake {} has a snapshot {} already; choose another name", dir_, name);
}

// After a failed swap it is not known which manifest, hence which log, the next reader sees: nothing more may be acknowledged.
Status LakeImpl::swap(Manifest next) {
  auto version = store_.swap_manifest(kManifestName, version_, write_manifest(next));
  broken_ = version.status();
  BGL_TRY(broken_);
  version_ = std::move(version).value();
  manifest_ = std::move(next);
  return {};
}

Status LakeImpl::close() {
  const size_t left = buffered_.size();
  buffered_.clear();
  lock_.reset();
  if (left > 0) return invalid_argument("lake {}: closed with {} files put and not committed", dir_, left);
  return {};
}

}  // namespace bgl::storage
