#include <algorithm>
#include <set>

#include "base/hash.h"
#include "storage/lake/internal/lake_impl.h"

namespace bgl::storage {
namespace {

LakeEntry lake_entry(std::string_view path, int64_t bytes, const Hash128& hash) {
  return {std::string(path), bytes, hash.hex()};
}

}  // namespace

// Newest first: the first record found is the live one, or says that there is none.
Result<std::optional<LakeImpl::Sealed>> LakeImpl::find_sealed(std::string_view path, bool want_content) {
  const Hash128 key = path_key(path);
  const auto& runs = segments_.runs();
  for (size_t r = runs.size(); r-- > 0;) {
    const auto i = segments_.segment_for(runs[r], key);
    if (!i) continue;
    Segment& segment = segments_.reader(*i);
    BGL_ASSIGN(const IndexHit hit, segment.locate(key));
    if (hit.count == 0) continue;
    BGL_ASSIGN(auto found, segment.read(hit, path, want_content));
    if (found) return std::optional(Sealed{{segment.row().id, found->rank}, *std::move(found)});
  }
  return std::optional<Sealed>();
}

Result<std::string> LakeImpl::get(std::string_view path) {
  const auto in_log = log_files_.find(path);
  if (in_log != log_files_.end() && !in_log->second.deleted) return log_->read(path, in_log->second);
  std::optional<Sealed> sealed;
  if (in_log == log_files_.end()) {
    BGL_ASSIGN(sealed, find_sealed(path, true));
  }
  if (!sealed || sealed->found.deleted) return not_found("no file {} in lake {}", path, dir_);
  return std::move(sealed->found.content);
}

Result<std::vector<std::optional<std::string>>> LakeImpl::get_many(std::span<const std::string> paths) {
  std::vector<std::optional<std::string>> out(paths.size());
  struct Ask {
    size_t path;
    Hash128 key;
    size_t runs_left;  // the older runs, still to be asked
    size_t segment;
    IndexHit hit;
  };
  const auto& runs = segments_.runs();
  std::vector<Ask> asks;
  for (size_t i = 0; i < paths.size(); ++i) {
    const auto in_log = log_files_.find(paths[i]);
    if (in_log == log_files_.end()) {
      asks.push_back({i, path_key(paths[i]), runs.size(), 0, {}});
    } else if (!in_log->second.deleted) {
      BGL_ASSIGN(out[i], log_->read(paths[i], in_log->second));
    }
  }
  // Each round finds the next segment that may hold each path and reads in disk order; a false hit goes on to the next round.
  while (!asks.empty()) {
    std::vector<Ask> found;
    for (Ask ask : asks) {
      for (ask.hit = {}; ask.runs_left > 0 && ask.hit.count == 0;) {
        const auto segment = segments_.segment_for(runs[--ask.runs_left], ask.key);
        if (!segment) continue;
        ask.segment = *segment;
        BGL_ASSIGN(ask.hit, segments_.reader(*segment).locate(ask.key));
      }
      if (ask.hit.count > 0) found.push_back(ask);
    }
    std::sort(found.begin(), found.end(),
              [](const Ask& a, const Ask& b) { return std::pair(a.segment, a.hit.begin) < std::pair(b.segment, b.hit.begin); });
    asks.clear();
    for (const Ask& ask : found) {
      BGL_ASSIGN(auto record, segments_.reader(ask.segment).read(ask.hit, paths[ask.path], true));
      if (!record) {
        asks.push_back(ask);
      } else if (!record->deleted) {
        out[ask.path] = std::move(record->content);
      }
    }
  }
  return out;
}

Result<std::vector<LakeEntry>> LakeImpl::ls(std::string_view prefix) {
  std::vector<LakeEntry> entries;
  BGL_TRY(ls_each(prefix, [&entries](const LakeEntry& entry) -> Status {
    entries.push_back(entry);
    return {};
  }));
  return entries;
}

// Merges the sorted names of the runs and the log; of equal paths the newest source's is told.
Status LakeImpl::ls_each(std::string_view prefix, const std::function<Status(const LakeEntry&)>& fn) {
  BGL_ASSIGN(const auto sealed, NamesWalk::open(store_, dir_, segments_.rows(), prefix));
  auto log = log_files_.lower_bound(prefix);
  while (true) {
    const bool in_log = log != log_files_.end() && log->first.starts_with(prefix);
    if (!sealed->valid() && !in_log) return {};
    const bool log_first = in_log && (!sealed->valid() || log->first <= sealed->entry().path);
    const bool is_same = log_first && sealed->valid() && log->first == sealed->entry().path;
    if (log_first) {
      const LogEntry& entry = log->second;
      if (!entry.deleted) BGL_TRY(fn(lake_entry(log->first, entry.content_bytes, entry.content_hash)));
      ++log;
    } else if (!sealed->entry().deleted) {
      const NameEntry& entry = sealed->entry();
      BGL_TRY(fn(lake_entry(entry.path, entry.content_bytes, entry.content_hash)));
    }
    if (is_same || !log_first) BGL_TRY(sealed->next());
  }
}

std::vector<LakeImpl::LogFiles::const_iterator> LakeImpl::log_order() const {
  std::vector<LogFiles::const_iterator> order;
  for (auto it = log_files_.cbegin(); it != log_files_.cend(); ++it) {
    if (!it->second.deleted) order.push_back(it);
  }
  std::sort(order.begin(), order.end(), [](auto a, auto b) { return a->second.record_at < b->second.record_at; });
  return order;
}

Result<DeadRanks> LakeImpl::dead_ranks() {
  DeadRanks dead;
  for (size_t i = 0; i < segments_.size(); ++i) {
    if (segments_.rows()[i].supersedes == 0) continue;
    BGL_ASSIGN(const auto refs, segments_.reader(i).supersedes());
    for (const RecordRef& ref : refs) dead[ref.segment].push_back(ref.rank);
  }
  for (const auto& [path, entry] : log_files_) {
    if (entry.replaced.ref.segment != 0) dead[entry.replaced.ref.segment].push_back(entry.replaced.ref.rank);
  }
  for (auto& [id, ranks] : dead) std::sort(ranks.begin(), ranks.end());
  return dead;
}

Status LakeImpl::scan(const std::function<Status(const LakeEntry&, std::string_view)>& fn) {
  BGL_ASSIGN(DeadRanks dead, dead_ranks());
  for (size_t i = 0; i < segments_.size(); ++i) {
    Segment& segment = segments_.reader(i);
    const std::vector<int64_t>& ranks = dead[segment.row().id];
    BGL_TRY(segment.for_each([&](int64_t rank, const RecordHead& head, std::string_view content) -> Status {
      if (head.deleted || std::binary_search(ranks.begin(), ranks.end(), rank)) return {};
      return fn(lake_entry(head.path, head.content_bytes, head.content_hash), content);
    }));
  }
  for (const auto& it : log_order()) {
    BGL_ASSIGN(const std::string content, log_->read(it->first, it->second));
    BGL_TRY(fn(lake_entry(it->first, it->second.content_bytes, it->second.content_hash), content));
  }
  return {};
}

int64_t LakeImpl::disk_bytes() const {
  int64_t bytes = log_ ? log_->bytes() : 0;
  for (const SegmentRow& row : segments_.rows()) bytes += row.disk_bytes();
  return bytes;
}

Result<LakeStat> LakeImpl::stat() {
  LakeStat s;
  s.runs = static_cast<int64_t>(segments_.runs().size());
  for (const SegmentRow& row : segments_.rows()) {
    ++s.segments;
    s.segment_files += row.files;
    s.files += row.live_files();
    s.bytes += row.bytes - row.superseded_bytes;
    s.names_bytes += row.names_bytes;
    s.index_memory_bytes += row.index_bytes;
  }
  for (const auto& [path, entry] : log_files_) {
    ++s.log_files;
    s.files += !entry.deleted - entry.replaced.is_live();
    s.bytes += entry.content_bytes - entry.replaced.content_bytes;
  }
  s.disk_bytes = disk_bytes();
  s.torn_bytes = log_ ? log_->torn_bytes() : 0;
  return s;
}

Status LakeImpl::verify(const std::function<void(int64_t, int64_t)>& progress) {
  const int64_t total = disk_bytes();
  int64_t done = 0;
  for (const SegmentTable::Run& run : segments_.runs()) {
    const auto rows = std::span(segments_.rows()).subspan(run.begin, run.end - run.begin);
    BGL_TRY(verify_run(rows, done, total, progress));
    for (const SegmentRow& row : rows) done += row.disk_bytes();
  }
  BGL_TRY(verify_replaced());
  if (options_.snapshot.empty()) BGL_TRY(verify_snapshots());
  if (log_) BGL_TRY(log_->verify());
  if (progress) progress(total, total);
  return {};
}

// Beside the files' own checksums: a run's names and records tell of the same files. Sums do not depend on the order.
Status LakeImpl::verify_run(std::span<const SegmentRow> rows, int64_t before, int64_t total,
                            const std::function<void(int64_t, int64_t)>& progress) {
  const auto mix = [](std::string_view path, const auto& facts) {
    const auto bytes = static_cast<uint64_t>(facts.deleted ? -1 : facts.content_bytes);
    return hash64(path, facts.content_hash.low ^ facts.content_hash.high ^ bytes);
  };
  uint64_t records = 0, names = 0;
  int64_t read = 0, files = 0, named = 0;
  for (const SegmentRow& row : rows) {
    const auto segment = open_segment(env_, store_, dir_, row, nullptr);
    BGL_TRY(segment->verify(
        [&](int64_t bytes) {
          read += bytes;
          if (progress) progress(before + read, total);
        },
        [&](const RecordHead& head) { records += mix(head.path, head); }));
    files += row.files;
  }
  for (const SegmentRow& row : rows) {
    BGL_ASSIGN(auto reader, NamesReader::open(store_, dir_, row, ""));
    for (; reader->valid(); ++named) {
      names += mix(reader->entry().path, reader->entry());
      BGL_TRY(reader->next());
    }
  }
  if (names == records && files == named) return {};
  const auto range = [&](auto key) { return rows.size() == 1 ? key(rows[0].id) : key(rows[0].id) + " to " + key(rows.back().id); };
  return data_loss("{}/{} and {} do not tell of the same files", dir_, range(names_key),
                   rows[0].form == SegmentRow::kSealedLog ? log_key(rows[0].id) : range(segment_key));
}

// The runs that only snapshots need: a run is in a manifest whole or not at all.
Status LakeImpl::verify_snapshots() {
  std::set<int64_t> checked;
  for (const SegmentTable::Run& run : segments_.runs()) checked.insert(segments_.rows()[run.begin].run);
  BGL_ASSIGN(const auto names, snapshot_names());
  for (const std::string& name : names) {
    BGL_ASSIGN(const auto rows, read_snapshot(name));
    for (size_t begin = 0; begin < rows.size();) {
      size_t end = begin + 1;
      while (end < rows.size() && rows[end].run == rows[begin].run) ++end;
      if (checked.insert(rows[begin].run).second) BGL_TRY(verify_run(std::span(rows).subspan(begin, end - begin), 0, 0, {}));
      begin = end;
    }
  }
  return {};
}

// Every replaced file is a record of a segment in the manifest, and no record is replaced twice.
Status LakeImpl::verify_replaced() {
  BGL_ASSIGN(const DeadRanks dead, dead_ranks());
  for (const auto& [id, ranks] : dead) {
    const auto row =
        std::find_if(segments_.rows().begin(), segments_.rows().end(), [id = id](const SegmentRow& r) { return r.id == id; });
    const bool fine = row != segments_.rows().end() && ranks.front() >= 0 && ranks.back() < row->files &&
                      std::adjacent_find(ranks.begin(), ranks.end()) == ranks.end();
    if (!fine) return data_loss("{}: the lists of replaced files do not fit {}", dir_, segment_key(id));
  }
  return {};
}

}  // namespace bgl::storage
