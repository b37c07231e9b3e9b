#include "storage/lake/internal/names_walk.h"

#include <algorithm>

namespace bgl::storage {

// The last file whose first path is not after `from` may hold it.
Result<std::unique_ptr<RunNames>> RunNames::open(ObjectStore& store, const std::string& dir, std::span<const SegmentRow> rows,
                                                 std::string_view from) {
  std::unique_ptr<RunNames> names(new RunNames(store, dir, rows));
  size_t low = 0, high = rows.size();
  while (!from.empty() && high - low > 1) {
    const size_t middle = (low + high) / 2;
    BGL_ASSIGN(const std::string first, NamesReader::first_path(store, dir, rows[middle]));
    (first <= from ? low : high) = middle;
  }
  names->at_ = low;
  BGL_TRY(names->settle(from));
  return names;
}

Status RunNames::settle(std::string_view from) {
  while (!valid() && at_ < rows_.size()) {
    BGL_ASSIGN(reader_, NamesReader::open(store_, dir_, rows_[at_++], from));
  }
  return {};
}

Status RunNames::next() {
  BGL_TRY(reader_->next());
  return settle({});
}

Result<std::unique_ptr<NamesWalk>> NamesWalk::open(ObjectStore& store, const std::string& dir, std::span<const SegmentRow> rows,
                                                   std::string_view prefix) {
  std::unique_ptr<NamesWalk> walk(new NamesWalk());
  walk->prefix_ = prefix;
  for (size_t begin = 0; begin < rows.size();) {
    size_t end = begin + 1;
    // In a run of an older version every segment has the names of its own records.
    while (rows[begin].run_names != 0 && end < rows.size() && rows[end].run == rows[begin].run) ++end;
    BGL_ASSIGN(auto run, RunNames::open(store, dir, rows.subspan(begin, end - begin), prefix));
    walk->runs_.push_back(std::move(run));
    begin = end;
  }
  for (size_t i = 0; i < walk->runs_.size(); ++i) walk->push(i);
  return walk;
}

bool NamesWalk::later(size_t a, size_t b) const {
  const int order = runs_[a]->entry().path.compare(runs_[b]->entry().path);
  return order != 0 ? order > 0 : a < b;
}

void NamesWalk::push(size_t run) {
  if (!runs_[run]->valid() || !runs_[run]->entry().path.starts_with(prefix_)) return;
  heap_.push_back(run);
  std::push_heap(heap_.begin(), heap_.end(), [this](size_t a, size_t b) { return later(a, b); });
}

Status NamesWalk::next() {
  const std::string path = entry().path;
  while (valid() && entry().path == path) {
    const size_t run = heap_.front();
    std::pop_heap(heap_.begin(), heap_.end(), [this](size_t a, size_t b) { return later(a, b); });
    heap_.pop_back();
    BGL_TRY(runs_[run]->next());
    push(run);
  }
  return {};
}

}  // namespace bgl::storage
