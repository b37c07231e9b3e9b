// The paths of several runs as one sorted list, of equal paths the newest run's. Holds one names file open per run, whatever
// the number of its segments.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "storage/lake/internal/names.h"

namespace bgl::storage {

// The names files of one run, one after another.
class RunNames {
 public:
  // `rows`: a run whose names files follow one another, or one segment. Stands at the first path >= `from`.
  static Result<std::unique_ptr<RunNames>> open(ObjectStore& store, const std::string& dir, std::span<const SegmentRow> rows,
                                                std::string_view from);
  bool valid() const { return reader_ != nullptr && reader_->valid(); }
  const NameEntry& entry() const { return reader_->entry(); }
  Status next();

 private:
  RunNames(ObjectStore& store, std::string dir, std::span<const SegmentRow> rows)
      : store_(store), dir_(std::move(dir)), rows_(rows.begin(), rows.end()) {}
  // Goes on to the next file that has a path >= `from` while the open one is at its end.
  Status settle(std::string_view from);
  ObjectStore& store_;
  std::string dir_;
  std::vector<SegmentRow> rows_;
  size_t at_ = 0;  // the file that is opened next
  std::unique_ptr<NamesReader> reader_;
};

class NamesWalk {
 public:
  // The paths that begin with `prefix` in the runs that `rows` (whole runs, oldest first) consist of.
  static Result<std::unique_ptr<NamesWalk>> open(ObjectStore& store, const std::string& dir, std::span<const SegmentRow> rows,
                                                 std::string_view prefix);
  bool valid() const { return !heap_.empty(); }
  const NameEntry& entry() const { return runs_[heap_.front()]->entry(); }
  Status next();

 private:
  bool later(size_t a, size_t b) const;
  void push(size_t run);
  std::string prefix_;
  std::vector<std::unique_ptr<RunNames>> runs_;
  std::vector<size_t> heap_;  // of runs: the least path on top, of equal ones the newest
};

}  // namespace bgl::storage
