// A sealed log: log-N.bgl stays where it is, and index-N.bgl makes a segment of it, so that sealing writes no record again. The
// records lie in the order of arrival; the ranks are those of hash order, as in every segment. The first merge puts the records
// into hash order. index-N.bgl:
//
//   0        "BGLIDX1\n", zeros to byte 64
//   64       index pages (index_page.h), which give the rank of a key
//   then     places, 7 bytes a rank: u40 byte of the record in the log, u16 bytes of the record in units of 64, rounded up; 65535:
//            more
//   then     supersedes, as in segment.h
//   end-128  footer:
//            0  "BGLIDXF1"      8  u64 log id          16 u64 files        24 u64 content bytes
//            32 u64 log bytes   40 u64 index pages     48 u64 buckets per page
//            56 u64 supersedes  64 u64 u64 XXH3-128 of all bytes before the footer
//            80 zeros           120 u64 XXH3-64 of footer bytes 0..119
//
// The log's bytes are under the checksums of its batches (log.h). Its records that later ones of the same log replace are in no
// index.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "storage/lake/internal/log.h"
#include "storage/lake/internal/segment.h"

namespace bgl::storage {

// A record of the log that the index shall find.
struct LoggedRecord {
  Hash128 key;
  int64_t record_at = 0;
  int64_t record_bytes = 0;
};
// Writes index-ID.bgl for a log of `log_bytes` with `records` in rising order of key. The row lacks what names.h knows and
// `tombstones` and `bytes`.
Result<SegmentRow> write_log_index(ObjectStore& store, int64_t id, int64_t log_bytes, const std::vector<LoggedRecord>& records,
                                   const std::vector<RecordRef>& supersedes);

class SealedLog final : public Segment {
 public:
  // `dir` is the folder of `store` in `env`.
  SealedLog(Env& env, ObjectStore& store, std::string dir, SegmentRow row);
  const SegmentRow& row() const override { return row_; }
  Result<IndexHit> locate(const Hash128& key) override;
  Result<std::optional<Found>> read(const IndexHit& hit, std::string_view path, bool want_content) override;
  Result<IndexHit> locate_rank(int64_t rank) override;
  Result<Record> read_rank(const IndexHit& hit) override;
  // In the order of arrival, so that ranks do not rise.
  Status for_each(const RecordFn& fn) override;
  Result<std::vector<RecordRef>> supersedes() override;
  Status verify(const std::function<void(int64_t)>& read_bytes, const std::function<void(const RecordHead&)>& seen) override;
  Result<std::unique_ptr<SegmentCursor>> cursor() override;

 private:
  friend class SealedLogCursor;
  struct Place {
    int64_t at = 0;
    int64_t bytes = 0;  // at least those of the record, unless it is huge
    bool is_huge = false;
  };
  Status load();
  Status load_locked();
  Place place(uint64_t rank) const;
  // The bytes of the record of this rank, the whole of it.
  Result<std::string> record(uint64_t rank);
  Status damaged(const std::string& file, const std::string& what) const;
  Status damaged_record(int64_t at, const Status& why) const;

  Env& env_;
  ObjectStore& store_;
  std::string dir_;
  SegmentRow row_;
  std::mutex mutex_;  // of loading
  bool loaded_ = false;
  IndexShape shape_;
  std::string pages_;   // and places
  std::string supersedes_;
};

// The segment of this row, whatever its form.
std::unique_ptr<Segment> open_segment(Env& env, ObjectStore& store, const std::string& dir, const SegmentRow& row,
                                      IndexBudget* budget);

}  // namespace bgl::storage
