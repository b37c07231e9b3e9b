// Merging runs. A look-up asks every run, newest first; merging the newest runs of one tier into one run of the next keeps
// their number logarithmic while each file is rewritten once per tier. The merged run is cut by the leading bits of the hash
// into segments of the usual size, and a look-up asks only the one its hash falls into.
//
// Only the newest segments of the manifest are merged, right after a seal, so the log holds no reference to a record that
// moves, and no newer segment does.
#include <algorithm>
#include <queue>
#include <set>

#include "storage/lake/internal/lake_impl.h"

namespace bgl::storage {
namespace {

constexpr int64_t kKeepGarbageNs = int64_t{600} * 1'000'000'000;

// One run's live records, in hash order: its segments one after another, one open at a time.
class LiveCursor {
 public:
  LiveCursor(std::vector<SegmentReader*> segments, const DeadRanks& dead) : segments_(std::move(segments)), dead_(dead) {}
  // False at the end. Counts the content bytes of the dead into `dead_bytes`.
  Result<bool> next(int64_t& dead_bytes) {
    while (true) {
      while (!cursor_) {
        if (at_ == segments_.size()) return false;
        BGL_ASSIGN(cursor_, segments_[at_]->cursor());
        const auto found = dead_.find(segments_[at_]->row().id);
        ranks_ = found == dead_.end() ? std::span<const int64_t>() : found->second;
        ++at_;
      }
      BGL_ASSIGN(const bool more, cursor_->next());
      if (!more) {
        cursor_.reset();
      } else if (ranks_.empty() || ranks_.front() != cursor_->rank()) {
        key = path_key(cursor_->head().path);
        return true;
      } else {
        ranks_ = ranks_.subspan(1);
        dead_bytes += cursor_->head().content_bytes;
      }
    }
  }
  const SegmentCursor& record() const { return *cursor_; }
  Hash128 key;

 private:
  std::vector<SegmentReader*> segments_;
  const DeadRanks& dead_;
  size_t at_ = 0;
  std::unique_ptr<SegmentCursor> cursor_;
  std::span<const int64_t> ranks_;  // the dead of the open segment that are still to come
};

// Writes a run's segments one after another, going to the next where the hash leaves the part.
class RunWriter {
 public:
  RunWriter(ObjectStore& store, int64_t first_id, int64_t tier, int prefix_bits, int64_t expected_files, int64_t expected_bytes)
      : store_(store),
        first_id_(first_id),
        tier_(tier),
        prefix_bits_(prefix_bits),
        files_(expected_files),
        bytes_(expected_bytes) {}

  Status add(const Hash128& key, const SegmentCursor& record) {
    const uint64_t prefix = prefix_bits_ == 0 ? 0 : key.high >> (64 - prefix_bits_);
    if (writer_ && prefix != prefix_) BGL_TRY(end_segment());
    if (!writer_) {
      prefix_ = prefix;
      BGL_ASSIGN(writer_, SegmentWriter::create(store_, {.id = next_id(),
                                                         .prefix_bits = prefix_bits_,
                                                         .prefix = prefix,
                                                         .expected_files = files_,
                                                         .expected_bytes = bytes_}));
    }
    const RecordHead& head = record.head();
    names_.push_back({std::string(head.path), head.content_bytes, head.content_hash});
    return writer_->add(key, head.path, record.content(), head.content_hash);
  }

  // The first segment carries what the run replaces outside itself.
  void set_supersedes(std::vector<RecordRef> refs) { supersedes_ = std::move(refs); }

  Status end_segment() {
    if (!writer_) return {};
    BGL_ASSIGN(SegmentRow row, writer_->finish(rows_.empty() ? supersedes_ : std::vector<RecordRef>(), 0));
    row.run = first_id_;
    row.tier = tier_;
    BGL_TRY(write_names(store_, std::move(names_), row));
    names_.clear();
    writer_.reset();
    rows_.push_back(row);
    return {};
  }
  std::vector<SegmentRow>& rows() { return rows_; }

 private:
  int64_t next_id() const { return first_id_ + static_cast<int64_t>(rows_.size()); }
  ObjectStore& store_;
  int64_t first_id_, tier_;
  int prefix_bits_;
  int64_t files_, bytes_;
  uint64_t prefix_ = 0;
  std::unique_ptr<SegmentWriter> writer_;
  std::vector<NameEntry> names_;
  std::vector<RecordRef> supersedes_;
  std::vector<SegmentRow> rows_;
};

}  // namespace

int64_t LakeImpl::merge_start() const {
  const auto& rows = manifest_.segments;
  if (options_.merge_runs < 2 || rows.empty()) return -1;
  const int64_t tier = rows.back().tier;
  std::set<int64_t> runs;
  size_t start = rows.size();
  while (start > 0 && rows[start - 1].tier == tier) runs.insert(rows[--start].run);
  return static_cast<int64_t>(runs.size()) >= options_.merge_runs ? static_cast<int64_t>(start) : -1;
}

Status LakeImpl::merge_runs() {
  while (true) {
    const int64_t start = merge_start();
    if (start < 0) return remove_old_garbage();
    BGL_ASSIGN(const auto merged, merge_from(static_cast<size_t>(start)));
    Manifest next = manifest_;
    for (size_t i = static_cast<size_t>(start); i < next.segments.size(); ++i) {
      garbage_.emplace_back(env_.now_ns(), segment_key(next.segments[i].id));
      garbage_.emplace_back(env_.now_ns(), names_key(next.segments[i].id));
    }
    next.segments.resize(static_cast<size_t>(start));
    next.segments.insert(next.segments.end(), merged.begin(), merged.end());
    next.next_id += static_cast<int64_t>(merged.size());
    BGL_TRY(swap(std::move(next)));
    segments_.resize(static_cast<size_t>(start));
    for (const SegmentRow& row : merged) segments_.push_back(std::make_unique<SegmentReader>(store_, dir_, row));
  }
}

// All live records of the segments from `start` on, as one run. Each record is read and its checksum checked on the way.
Result<std::vector<SegmentRow>> LakeImpl::merge_from(size_t start) {
  BGL_ASSIGN(DeadRanks dead, dead_ranks());
  const auto& rows = manifest_.segments;
  std::set<int64_t> inside;
  int64_t files = 0, bytes = 0, superseded_bytes = 0, dead_bytes = 0;
  for (size_t i = start; i < rows.size(); ++i) {
    inside.insert(rows[i].id);
    files += rows[i].files - static_cast<int64_t>(dead[rows[i].id].size());
    bytes += rows[i].segment_bytes;
    superseded_bytes += rows[i].superseded_bytes;
  }
  std::vector<RecordRef> outside;
  for (size_t i = start; i < rows.size(); ++i) {
    BGL_ASSIGN(const auto refs, segments_[i]->supersedes());
    for (const RecordRef& ref : refs) {
      if (!inside.count(ref.segment)) outside.push_back(ref);
    }
  }
  std::sort(outside.begin(), outside.end());
  int prefix_bits = 0;
  while ((files >> prefix_bits) > options_.segment_files || (bytes >> prefix_bits) > options_.segment_bytes) ++prefix_bits;

  RunWriter out(store_, manifest_.next_id, rows.back().tier + 1, prefix_bits, files, bytes);
  out.set_supersedes(std::move(outside));
  std::vector<std::unique_ptr<LiveCursor>> cursors;
  const auto later = [](const LiveCursor* a, const LiveCursor* b) { return b->key < a->key; };
  std::priority_queue<LiveCursor*, std::vector<LiveCursor*>, decltype(later)> heap(later);
  for (size_t i = start; i < rows.size();) {
    std::vector<SegmentReader*> run;
    for (const int64_t id = rows[i].run; i < rows.size() && rows[i].run == id; ++i) run.push_back(segments_[i].get());
    cursors.push_back(std::make_unique<LiveCursor>(std::move(run), dead));
    BGL_ASSIGN(const bool more, cursors.back()->next(dead_bytes));
    if (more) heap.push(cursors.back().get());
  }
  while (!heap.empty()) {
    LiveCursor* least = heap.top();
    heap.pop();
    BGL_TRY(out.add(least->key, least->record()));
    BGL_ASSIGN(const bool more, least->next(dead_bytes));
    if (more) heap.push(least);
  }
  BGL_TRY(out.end_segment());
  if (!out.rows().empty()) out.rows()[0].superseded_bytes = superseded_bytes - dead_bytes;
  return out.rows();
}

Status LakeImpl::remove_old_garbage() {
  const int64_t now = env_.now_ns();
  const auto is_old = [now](const auto& g) { return g.first + kKeepGarbageNs <= now; };
  if (garbage_.empty() || !is_old(garbage_.front())) return {};
  BGL_ASSIGN(const auto wanted, snapshot_objects());
  for (; !garbage_.empty() && is_old(garbage_.front()); garbage_.erase(garbage_.begin())) {
    if (!wanted.count(garbage_.front().second)) BGL_TRY(store_.remove(garbage_.front().second));
  }
  return {};
}

}  // namespace bgl::storage
