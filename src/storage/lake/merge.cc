// Merging runs. A look-up asks every run, newest first; merging the newest runs of one tier into one run of the next keeps
// their number logarithmic while each file is rewritten once per tier. The merged run is cut by the leading bits of the hash
// into segments of the usual size, and a look-up asks only the one its hash falls into.
// A tombstone goes with the merge that leaves nothing behind it that it hides.
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

// What a merge left out because newer records replace it.
struct Dropped {
  int64_t content_bytes = 0;
  int64_t tombstones = 0;
};

// One run's records that nothing replaced, in hash order: its segments one after another, one open at a time.
class LiveCursor {
 public:
  LiveCursor(std::vector<Segment*> segments, const DeadRanks& dead) : segments_(std::move(segments)), dead_(dead) {}
  // False at the end.
  Result<bool> next(Dropped& dropped) {
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
        dropped.content_bytes += cursor_->head().content_bytes;
        dropped.tombstones += cursor_->head().deleted;
      }
    }
  }
  const SegmentCursor& record() const { return *cursor_; }
  Hash128 key;

 private:
  std::vector<Segment*> segments_;
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
    return writer_->add(key, record.head(), record.content());
  }

  // The first segment carries what the run replaces outside itself.
  void set_supersedes(std::vector<RecordRef> refs) { supersedes_ = std::move(refs); }

  Status end_segment() {
    if (!writer_) return {};
    BGL_ASSIGN(SegmentRow row, writer_->finish(rows_.empty() ? supersedes_ : std::vector<RecordRef>(), 0));
    row.run = first_id_;
    row.tier = tier_;
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
  std::vector<RecordRef> supersedes_;
  std::vector<SegmentRow> rows_;
};

}  // namespace

int64_t LakeImpl::merge_start() const {
  const auto& rows = segments_.rows();
  if (options_.merge_runs < 2 || rows.empty()) return -1;
  const auto& runs = segments_.runs();
  size_t first = runs.size();
  while (first > 0 && rows[runs[first - 1].begin].tier == rows.back().tier) --first;
  // Sealed logs sooner: their index takes four times as much.
  const int64_t enough = rows.back().tier == 0 ? std::max<int64_t>(2, options_.merge_runs / 2) : options_.merge_runs;
  return static_cast<int64_t>(runs.size() - first) >= enough ? static_cast<int64_t>(runs[first].begin) : -1;
}

Status LakeImpl::merge_runs() {
  while (true) {
    const int64_t start = merge_start();
    if (start < 0) return remove_old_garbage();
    BGL_TRY(merge_from(static_cast<size_t>(start), segments_.rows().back().tier + 1));
  }
}

Status LakeImpl::compact(int64_t runs) { return explain(compact_to(runs)); }

Status LakeImpl::compact_to(int64_t runs) {
  BGL_TRY(require_writer());
  if (runs < 1) return invalid_argument("lake {}: it cannot be compacted to {} runs; at least 1", dir_, runs);
  BGL_TRY(seal());
  const auto& rows = segments_.rows();
  // Sealed logs are put into hash order in any case.
  const auto is_log = [](const SegmentRow& row) { return row.form == SegmentRow::kSealedLog; };
  auto start = static_cast<size_t>(std::find_if(rows.begin(), rows.end(), is_log) - rows.begin());
  if (static_cast<int64_t>(segments_.runs().size()) > runs) {
    start = std::min(start, segments_.runs()[static_cast<size_t>(runs) - 1].begin);
  }
  if (start < rows.size()) BGL_TRY(merge_from(start, std::max<int64_t>(1, rows[start].tier)));
  return remove_unreferenced();
}

Status LakeImpl::merge_from(size_t start, int64_t tier) {
  BGL_ASSIGN(const std::vector<SegmentRow> merged, write_merged(start, tier));
  Manifest next = manifest_;
  next.next_id += std::max<int64_t>(1, static_cast<int64_t>(merged.size()));
  std::vector<SegmentRow> rows = segments_.rows();
  const int64_t now = env_.now_ns();
  for (size_t i = start; i < rows.size(); ++i) garbage_.emplace_back(now, rows[i].id);
  rows.resize(start);
  rows.insert(rows.end(), merged.begin(), merged.end());
  return swap(next, std::move(rows));
}

Result<bool> LakeImpl::lies_before(size_t start, const Hash128& key) {
  for (const SegmentTable::Run& run : segments_.runs()) {
    if (run.begin >= start) break;
    const auto segment = segments_.segment_for(run, key);
    if (!segment) continue;
    BGL_ASSIGN(const IndexHit hit, segments_.reader(*segment).locate(key));
    if (hit.count > 0) return true;
  }
  return false;
}

// What the segments from `start` on replace in older ones, and how much the merge will hold at most.
struct LakeImpl::MergeInput {
  std::vector<RecordRef> outside;
  int64_t files = 0;
  int64_t bytes = 0;
  int64_t superseded_bytes = 0;
  int64_t revived = 0;
};

Result<LakeImpl::MergeInput> LakeImpl::merge_input(size_t start, const DeadRanks& dead) {
  MergeInput in;
  const auto& rows = segments_.rows();
  std::set<int64_t> inside;
  for (size_t i = start; i < rows.size(); ++i) {
    inside.insert(rows[i].id);
    const auto ranks = dead.find(rows[i].id);
    in.files += rows[i].files - (ranks == dead.end() ? 0 : static_cast<int64_t>(ranks->second.size()));
    in.bytes += rows[i].segment_bytes;
    in.superseded_bytes += rows[i].superseded_bytes;
    in.revived += rows[i].revived;
  }
  for (size_t i = start; i < rows.size(); ++i) {
    BGL_ASSIGN(const auto refs, segments_.reader(i).supersedes());
    for (const RecordRef& ref : refs) {
      if (!inside.count(ref.segment)) in.outside.push_back(ref);
    }
  }
  std::sort(in.outside.begin(), in.outside.end());
  return in;
}

// All records of the segments from `start` on that nothing replaced, as one run. Each is read and its checksum checked on the
// way.
Result<std::vector<SegmentRow>> LakeImpl::write_merged(size_t start, int64_t tier) {
  BGL_ASSIGN(const DeadRanks dead, dead_ranks());
  BGL_ASSIGN(MergeInput in, merge_input(start, dead));
  int prefix_bits = 0;
  while ((in.files >> prefix_bits) > options_.segment_files || (in.bytes >> prefix_bits) > options_.segment_bytes)
    ++prefix_bits;
  RunWriter out(store_, manifest_.next_id, tier, prefix_bits, in.files, in.bytes);
  const bool refers_outside = !in.outside.empty();
  out.set_supersedes(std::move(in.outside));

  Dropped dropped;
  std::vector<std::unique_ptr<LiveCursor>> cursors;
  const auto later = [](const LiveCursor* a, const LiveCursor* b) { return b->key < a->key; };
  std::priority_queue<LiveCursor*, std::vector<LiveCursor*>, decltype(later)> heap(later);
  for (const SegmentTable::Run& run : segments_.runs()) {
    if (run.begin < start) continue;
    std::vector<Segment*> readers;
    for (size_t i = run.begin; i < run.end; ++i) readers.push_back(&segments_.reader(i));
    cursors.push_back(std::make_unique<LiveCursor>(std::move(readers), dead));
    BGL_ASSIGN(const bool more, cursors.back()->next(dropped));
    if (more) heap.push(cursors.back().get());
  }
  while (!heap.empty()) {
    LiveCursor* least = heap.top();
    heap.pop();
    bool is_needed = true;
    if (least->record().head().deleted) {
      BGL_ASSIGN(is_needed, lies_before(start, least->key));
    }
    if (is_needed) BGL_TRY(out.add(least->key, least->record()));
    BGL_ASSIGN(const bool more, least->next(dropped));
    if (more) heap.push(least);
  }
  BGL_TRY(out.end_segment());
  // What hides an older record was kept above, so there is a segment to carry the references.
  BGL_CHECK(!refers_outside || !out.rows().empty(), "a merge lost the references to {}", dir_);
  if (!out.rows().empty()) {
    out.rows()[0].superseded_bytes = in.superseded_bytes - dropped.content_bytes;
    out.rows()[0].revived = in.revived - dropped.tombstones;
  }
  BGL_TRY(write_merged_names(start, out.rows()));
  return out.rows();
}

// The same files as write_merged() kept, by the same rules: of equal paths the newest, and a tombstone where it hides something.
Status LakeImpl::write_merged_names(size_t start, std::vector<SegmentRow>& merged) {
  int64_t files = 0;
  for (const SegmentRow& row : merged) files += row.files;
  const auto parts = static_cast<int64_t>(merged.size());
  BGL_ASSIGN(const auto walk, NamesWalk::open(store_, dir_, std::span(segments_.rows()).subspan(start), ""));
  std::unique_ptr<NamesWriter> writer;
  int64_t part = 0, written = 0;
  while (walk->valid()) {
    const NameEntry& entry = walk->entry();
    bool is_needed = true;
    if (entry.deleted) {
      BGL_ASSIGN(is_needed, lies_before(start, path_key(entry.path)));
    }
    if (is_needed) {
      if (part == parts) break;
      if (!writer) {
        BGL_ASSIGN(writer, NamesWriter::create(store_, merged[static_cast<size_t>(part)].id));
      }
      BGL_TRY(writer->add(entry));
      if (++written == files * (part + 1) / parts) {
        BGL_TRY(writer->finish(merged[static_cast<size_t>(part++)]));
        writer.reset();
      }
    }
    BGL_TRY(walk->next());
  }
  if (part == parts && !walk->valid()) return {};
  return data_loss("{}: the names of {} and later do not tell of the same files as the segments; bgl verify {} says where", dir_,
                   segment_key(segments_.rows()[start].id), dir_);
}

Status LakeImpl::remove_old_garbage() {
  const int64_t now = env_.now_ns();
  const auto is_old = [now](const auto& g) { return g.first + kKeepGarbageNs <= now; };
  if (garbage_.empty() || !is_old(garbage_.front())) return {};
  BGL_ASSIGN(const auto wanted, snapshot_segments());
  BGL_ASSIGN(const Leases leases, Leases::read(env_, dir_));
  for (; !garbage_.empty() && is_old(garbage_.front()); garbage_.erase(garbage_.begin())) {
    const int64_t id = garbage_.front().second;
    // What a reader needs now is left to compact() and the next writer.
    if (std::binary_search(wanted.begin(), wanted.end(), id) || leases.need(id)) continue;
    for (const std::string& key : {segment_key(id), log_key(id), index_key(id), names_key(id)}) BGL_TRY(store_.remove(key));
  }
  return {};
}

}  // namespace bgl::storage
