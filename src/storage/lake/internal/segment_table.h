// The segments of one manifest: which may hold a key, and their readers, made when first asked for, so that a lake of 10^6
// segments opens without touching any.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "storage/lake/internal/sealed_log.h"

namespace bgl::storage {

class SegmentTable {
 public:
  // `dir` only names files in messages. Indexes of up to `index_memory_bytes` are kept.
  SegmentTable(Env& env, ObjectStore& store, std::string dir, int64_t index_memory_bytes)
      : env_(env), store_(store), dir_(std::move(dir)), budget_(index_memory_bytes) {}

  // Takes the manifest's rows. Readers of segments that stay at their place are kept, their loaded indexes with them. Not while
  // another thread uses the table.
  void assign(std::vector<SegmentRow> rows);
  const std::vector<SegmentRow>& rows() const { return rows_; }
  size_t size() const { return rows_.size(); }
  // Any number of threads at once.
  Segment& reader(size_t i);

  // Neighbouring segments of one merge: each key falls into at most one of them.
  struct Run {
    size_t begin = 0;
    size_t end = 0;
  };
  const std::vector<Run>& runs() const { return runs_; }
  // The segment of the run into whose part of the hashes `key` falls.
  std::optional<size_t> segment_for(const Run& run, const Hash128& key) const;

 private:
  Env& env_;
  ObjectStore& store_;
  std::string dir_;
  std::vector<SegmentRow> rows_;  // oldest first
  std::vector<Run> runs_;         // oldest first
  IndexBudget budget_;
  std::mutex mutex_;  // of making readers
  std::vector<std::unique_ptr<Segment>> readers_;
};

}  // namespace bgl::storage
