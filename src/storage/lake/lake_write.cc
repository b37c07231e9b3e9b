#include <algorithm>

#include "storage/lake/internal/lake_impl.h"

namespace bgl::storage {

Status LakeImpl::put(std::string_view path, std::string_view bytes) {
  BGL_TRY(require_writer());
  if (path.empty()) return invalid_argument("lake {}: a file needs a path", dir_);
  if (static_cast<int64_t>(path.size()) > kMaxPathBytes) {
    return invalid_argument("lake {}: path {} has {} bytes, at most {} are possible", dir_, show_path(path), path.size(),
                            kMaxPathBytes);
  }
  if (static_cast<int64_t>(bytes.size()) > kMaxContentBytes) {
    return invalid_argument("lake {}: file {} has {} bytes, at most {} are possible; keep it beside the lake", dir_,
                            show_path(path), bytes.size(), kMaxContentBytes);
  }
  buffered_.insert_or_assign(std::string(path), std::string(bytes));
  return {};
}

Result<std::optional<LakeImpl::Change>> LakeImpl::change_of(std::string_view path, std::string_view content) {
  Change change;
  change.put = {path, content, hash128(content), {}};
  const auto same = [&](int64_t bytes, const Hash128& hash) {
    return bytes == static_cast<int64_t>(content.size()) && hash == change.put.content_hash;
  };
  const auto in_log = log_files_.find(path);
  if (in_log != log_files_.end()) {
    if (same(in_log->second.content_bytes, in_log->second.content_hash)) return std::optional<Change>();
    change.put.replaced = in_log->second.replaced;
    return std::optional(change);
  }
  BGL_ASSIGN(const auto sealed, find_sealed(path, false));
  change.is_new = !sealed;
  if (sealed) {
    if (same(sealed->found.content_bytes, sealed->found.content_hash)) return std::optional<Change>();
    change.put.replaced = {sealed->ref, sealed->found.content_bytes};
  }
  return std::optional(change);
}

Result<LakeCommit> LakeImpl::commit() {
  BGL_TRY(require_writer());
  LakeCommit done;
  std::vector<LogPut> puts;
  for (const auto& [path, content] : buffered_) {
    BGL_ASSIGN(const auto change, change_of(path, content));
    if (!change) {
      ++done.unchanged;
      continue;
    }
    ++(change->is_new ? done.added : done.replaced);
    done.bytes += static_cast<int64_t>(content.size());
    puts.push_back(change->put);
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

// The log's live files in hash order as one segment with its names.
Result<SegmentRow> LakeImpl::write_log_segment() {
  using Entry = std::map<std::string, LogEntry, std::less<>>::value_type;
  std::vector<std::pair<Hash128, const Entry*>> order;
  std::vector<NameEntry> names;
  std::vector<RecordRef> supersedes;
  int64_t superseded_bytes = 0, bytes = 0;
  for (const Entry& file : log_files_) {
    const auto& [path, entry] = file;
    order.emplace_back(path_key(path), &file);
    names.push_back({path, entry.content_bytes, entry.content_hash});
    bytes += record_bytes(static_cast<int64_t>(path.size()), entry.content_bytes);
    if (entry.replaced.ref.segment == 0) continue;
    supersedes.push_back(entry.replaced.ref);
    superseded_bytes += entry.replaced.content_bytes;
  }
  std::sort(order.begin(), order.end());
  std::sort(supersedes.begin(), supersedes.end());
  BGL_ASSIGN(auto writer, SegmentWriter::create(store_, {.id = manifest_.next_id,
                                                         .expected_files = static_cast<int64_t>(order.size()),
                                                         .expected_bytes = bytes}));
  for (const auto& [key, file] : order) {
    BGL_ASSIGN(const std::string content, log_->read(file->first, file->second));
    BGL_TRY(writer->add(key, file->first, content, file->second.content_hash));
  }
  BGL_ASSIGN(SegmentRow row, writer->finish(supersedes, superseded_bytes));
  row.run = row.id;
  BGL_TRY(write_names(store_, std::move(names), row));
  return row;
}

// Everything the next manifest names is on disk before the manifest is swapped; the old log goes after. A stop between leaves
// files that remove_unreferenced() takes away.
Status LakeImpl::seal() {
  BGL_TRY(require_writer());
  if (log_files_.empty()) return {};
  BGL_ASSIGN(const SegmentRow row, write_log_segment());
  const int64_t old_log = manifest_.log_id;
  Manifest next = manifest_;
  next.segments.push_back(row);
  next.log_id = row.id + 1;
  next.next_id = row.id + 2;
  BGL_TRY(Log::create(env_, dir_, next.log_id));
  BGL_TRY(swap(std::move(next)));
  segments_.push_back(std::make_unique<SegmentReader>(store_, dir_, row));
  BGL_TRY(open_log());
  BGL_TRY(store_.remove(log_key(old_log)));
  return merge_runs();
}

}  // namespace bgl::storage
