// Records by number: the segments in the manifest's order, each in hash order, then the log.
#include <algorithm>

#include "storage/lake/internal/lake_impl.h"

namespace bgl::storage {

// Where the numbers of each segment begin, and which records are dead: found once and kept until the lake changes.
struct LakeImpl::RecordMap {
  std::string version;
  int64_t log_bytes = 0;
  std::vector<int64_t> first;  // per segment, and one more: where the log's files begin
  DeadRanks dead;
  std::vector<LogFiles::const_iterator> log;
};

Result<std::shared_ptr<const LakeImpl::RecordMap>> LakeImpl::record_map() {
  const std::lock_guard lock(record_map_mutex_);
  const int64_t log_bytes = log_ ? log_->bytes() : 0;
  if (record_map_ && record_map_->version == version_ && record_map_->log_bytes == log_bytes) return record_map_;
  auto map = std::make_shared<RecordMap>();
  map->version = version_;
  map->log_bytes = log_bytes;
  int64_t records = 0;
  for (const SegmentRow& row : segments_.rows()) {
    map->first.push_back(records);
    records += row.files;
  }
  map->first.push_back(records);
  BGL_ASSIGN(map->dead, dead_ranks());
  map->log = log_order();
  record_map_ = map;
  return std::shared_ptr<const RecordMap>(map);
}

Result<int64_t> LakeImpl::record_count() {
  BGL_ASSIGN(const auto map, record_map());
  return map->first.back() + static_cast<int64_t>(map->log.size());
}

Result<std::vector<std::optional<LakeFile>>> LakeImpl::read_records(std::span<const int64_t> numbers) {
  BGL_ASSIGN(const auto map, record_map());
  const int64_t in_segments = map->first.back();
  const int64_t count = in_segments + static_cast<int64_t>(map->log.size());
  std::vector<std::optional<LakeFile>> out(numbers.size());
  struct Ask {
    size_t place;
    size_t segment;
    IndexHit hit;
  };
  std::vector<Ask> asks;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const int64_t n = numbers[i];
    if (n < 0 || n >= count) return invalid_argument("lake {}: record {} of {} does not exist", dir_, n, count);
    if (n >= in_segments) {
      const auto& [path, entry] = *map->log[static_cast<size_t>(n - in_segments)];
      BGL_ASSIGN(std::string bytes, log_->read(path, entry));
      out[i] = LakeFile{path, std::move(bytes)};
      continue;
    }
    const auto after = std::upper_bound(map->first.begin(), map->first.end() - 1, n);
    const auto segment = static_cast<size_t>(after - map->first.begin()) - 1;
    const int64_t rank = n - map->first[segment];
    const auto dead = map->dead.find(segments_.rows()[segment].id);
    if (dead != map->dead.end() && std::binary_search(dead->second.begin(), dead->second.end(), rank)) continue;
    BGL_ASSIGN(const IndexHit hit, segments_.reader(segment).locate_rank(rank));
    asks.push_back({i, segment, hit});
  }
  std::sort(asks.begin(), asks.end(),
            [](const Ask& a, const Ask& b) { return std::pair(a.segment, a.hit.begin) < std::pair(b.segment, b.hit.begin); });
  for (const Ask& ask : asks) {
    BGL_ASSIGN(Segment::Record record, segments_.reader(ask.segment).read_rank(ask.hit));
    if (!record.deleted) out[ask.place] = LakeFile{std::move(record.path), std::move(record.content)};
  }
  return out;
}

}  // namespace bgl::storage
