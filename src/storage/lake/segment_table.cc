#include "storage/lake/internal/segment_table.h"

#include <algorithm>

namespace bgl::storage {

void SegmentTable::assign(std::vector<SegmentRow> rows) {
  readers_.resize(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i >= rows_.size() || rows_[i].id != rows[i].id) readers_[i].reset();
  }
  rows_ = std::move(rows);
  runs_.clear();
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (i == 0 || rows_[i].run != rows_[i - 1].run) runs_.push_back({i, i});
    runs_.back().end = i + 1;
  }
}

Segment& SegmentTable::reader(size_t i) {
  const std::lock_guard lock(mutex_);
  if (!readers_[i]) readers_[i] = open_segment(env_, store_, dir_, rows_[i], &budget_);
  return *readers_[i];
}

std::optional<size_t> SegmentTable::segment_for(const Run& run, const Hash128& key) const {
  // The segments of a run have prefixes of one length, in rising order; a part without files has no segment.
  const SegmentRow& first = rows_[run.begin];
  if (first.prefix_bits == 0) return run.begin;
  const auto prefix = static_cast<int64_t>(key.high >> (64 - first.prefix_bits));
  const auto begin = rows_.begin() + static_cast<std::ptrdiff_t>(run.begin);
  const auto end = rows_.begin() + static_cast<std::ptrdiff_t>(run.end);
  const auto found = std::lower_bound(begin, end, prefix, [](const SegmentRow& row, int64_t p) { return row.prefix < p; });
  if (found == end || !found->may_hold(key)) return std::nullopt;
  return static_cast<size_t>(found - rows_.begin());
}

}  // namespace bgl::storage
