#include <algorithm>

#include "storage/lake/internal/lake_impl.h"

namespace bgl::storage {

Status LakeImpl::check_path(std::string_view path) const {
  if (path.empty()) return invalid_argument("lake {}: a file needs a path", dir_);
  if (static_cast<int64_t>(path.size()) > kMaxPathBytes) {
    return invalid_argument("lake {}: path {} has {} bytes, at most {} are possible", dir_, show_path(path), path.size(),
                            kMaxPathBytes);
  }
  return {};
}

Status LakeImpl::put(std::string_view path, std::string_view bytes) {
  BGL_TRY(require_writer());
  BGL_TRY(check_path(path));
  if (static_cast<int64_t>(bytes.size()) > kMaxContentBytes) {
    return invalid_argument("lake {}: file {} has {} bytes, at most {} are possible; keep it beside the lake", dir_,
                            show_path(path), bytes.size(), kMaxContentBytes);
  }
  buffered_.insert_or_assign(std::string(path), std::string(bytes));
  return {};
}

Status LakeImpl::remove(std::string_view path) {
  BGL_TRY(require_writer());
  BGL_TRY(check_path(path));
  buffered_.insert_or_assign(std::string(path), std::nullopt);
  return {};
}

Result<LakeImpl::Before> LakeImpl::before(std::string_view path) {
  const auto in_log = log_files_.find(path);
  if (in_log != log_files_.end()) {
    const LogEntry& e = in_log->second;
    return Before{!e.deleted, e.content_bytes, e.content_hash, e.replaced};
  }
  BGL_ASSIGN(const auto sealed, find_sealed(path, false));
  if (!sealed) return Before{};
  const Segment::Found& f = sealed->found;
  return Before{!f.deleted, f.content_bytes, f.content_hash, {sealed->ref, f.content_bytes, f.deleted}};
}

Status LakeImpl::explain(Status status) const {
  constexpr std::string_view kToDo = "; what was acknowledged is safe: free space and open it again";
  if (status.code() != Code::kResourceExhausted || status.message().ends_with(kToDo)) return status;
  return make_status(Code::kResourceExhausted, "lake {}: {}{}", dir_, status.message(), kToDo);
}

Result<LakeCommit> LakeImpl::commit() {
  auto done = commit_buffered();
  if (!done.ok()) return explain(done.status());
  return done;
}

Status LakeImpl::seal() { return explain(seal_log()); }

Result<LakeCommit> LakeImpl::commit_buffered() {
  BGL_TRY(require_writer());
  LakeCommit done;
  std::vector<LogPut> puts;
  for (const auto& [path, content] : buffered_) {
    BGL_ASSIGN(const Before old, before(path));
    if (!content) {
      ++(old.is_live ? done.removed : done.missing);
      if (old.is_live) puts.push_back({path, {}, hash128({}), true, old.replaced});
      continue;
    }
    const auto bytes = static_cast<int64_t>(content->size());
    const Hash128 hash = hash128(*content);
    if (old.is_live && old.content_bytes == bytes && old.content_hash == hash) {
      ++done.unchanged;
      continue;
    }
    ++(old.is_live ? done.replaced : done.added);
    done.bytes += bytes;
    puts.push_back({path, *content, hash, false, old.replaced});
  }
  if (!puts.empty()) {
    std::vector<LogEntry> entries;
    BGL_TRY(log_->append(puts, entries));
    for (size_t i = 0; i < puts.size(); ++i) log_files_.insert_or_assign(std::string(puts[i].path), entries[i]);
  }
  buffered_.clear();
  const bool full =
      static_cast<int64_t>(log_files_.size()) >= options_.segment_files || log_->bytes() >= options_.segment_bytes;
  if (full) BGL_TRY(seal());
  return done;
}

Result<std::optional<SegmentRow>> LakeImpl::index_log() {
  std::vector<LoggedRecord> records;
  std::vector<RecordRef> supersedes;
  SegmentRow sums;
  for (const auto& [path, entry] : log_files_) {
    if (!is_sealed(entry)) continue;
    records.push_back(
        {path_key(path), entry.record_at, record_bytes(static_cast<int64_t>(path.size()), entry.content_bytes)});
    sums.bytes += entry.content_bytes;
    sums.tombstones += entry.deleted;
    if (entry.replaced.ref.segment == 0) continue;
    supersedes.push_back(entry.replaced.ref);
    sums.superseded_bytes += entry.replaced.content_bytes;
    sums.revived += entry.replaced.deleted;
  }
  if (records.empty()) return std::optional<SegmentRow>();
  std::sort(records.begin(), records.end(), [](const LoggedRecord& a, const LoggedRecord& b) { return a.key < b.key; });
  std::sort(supersedes.begin(), supersedes.end());
  BGL_ASSIGN(SegmentRow row, write_log_index(store_, manifest_.log_id, log_->bytes(), records, supersedes));
  row.bytes = sums.bytes;
  row.tombstones = sums.tombstones;
  row.superseded_bytes = sums.superseded_bytes;
  row.revived = sums.revived;
  BGL_TRY(write_log_names(row));
  return std::optional(row);
}

Status LakeImpl::write_log_names(SegmentRow& row) {
  BGL_ASSIGN(const auto names, NamesWriter::create(store_, row.id));
  for (const auto& [path, entry] : log_files_) {
    if (is_sealed(entry)) BGL_TRY(names->add({path, entry.content_bytes, entry.content_hash, entry.deleted}));
  }
  return names->finish(row);
}

// Everything the next manifest names is on disk before the manifest is swapped; the log stays where it is, as the segment's
// records. A stop between leaves files that remove_unreferenced() takes away.
Status LakeImpl::seal_log() {
  BGL_TRY(require_writer());
  BGL_TRY(log_->broken());  // behind its last batch there may be a part of one that nobody was told of
  if (log_files_.empty()) return {};
  BGL_ASSIGN(const std::optional<SegmentRow> row, index_log());
  const int64_t old_log = manifest_.log_id;
  Manifest next = manifest_;
  std::vector<SegmentRow> rows = segments_.rows();
  if (row) rows.push_back(*row);
  next.log_id = next.next_id++;
  BGL_TRY(Log::create(env_, dir_, next.log_id));
  BGL_TRY(swap(std::move(next), std::move(rows)));
  BGL_TRY(open_log());
  if (!row) BGL_TRY(store_.remove(log_key(old_log)));
  return merge_runs();
}

}  // namespace bgl::storage
