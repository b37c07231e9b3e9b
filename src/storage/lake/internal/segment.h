// segment-N.bgl: immutable records in the order of their paths' XXH3-128, and the index that finds one with one read.
//
//   0        "BGLSEG1\n", zeros to byte 64
//   64       records (record.h), each beginning at a multiple of `align` bytes from byte 64, zeros between
//   index_at index pages (index_page.h); index_at is a multiple of 4096
//   then     supersedes: per file of an older segment that a file here replaces, u64 segment, u32 rank, sorted
//   end-128  footer:
//            0  "BGLSEGF1"      8  u64 segment id      16 u64 files        24 u64 content bytes
//            32 u64 index_at    40 u64 index pages     48 u64 buckets per page
//            56 u64 supersedes  64 u64 align           72 u64 prefix       80 u32 prefix_bits   84 u32 zero
//            88 u64 XXH3-64 of the supersedes          96 u64 u64 XXH3-128 of all bytes before the index
//            112 u64 zero       120 u64 XXH3-64 of footer bytes 0..119
//
// Every byte is under a checksum: a record's header and content by itself, padding and records by the footer, index pages by
// themselves, the footer by itself and by the manifest.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/status.h"
#include "storage/lake/internal/index_page.h"
#include "storage/lake/internal/record.h"
#include "storage/lake/internal/segment_row.h"
#include "storage/object_store.h"

namespace bgl::storage {

// A record of a segment; rank is its place in hash order.
struct RecordRef {
  int64_t segment = 0;
  int64_t rank = 0;
  auto operator<=>(const RecordRef&) const = default;
};

class SegmentWriter {
 public:
  struct Options {
    int64_t id = 0;
    int prefix_bits = 0;
    uint64_t prefix = 0;
    int64_t expected_files = 0;  // with expected_bytes: the average record, from which `align` is chosen
    int64_t expected_bytes = 0;
  };
  static Result<std::unique_ptr<SegmentWriter>> create(ObjectStore& store, const Options& options);

  // In rising order of `key` (= path_key(path)).
  Status add(const Hash128& key, const RecordHead& head, std::string_view content);
  int64_t files() const { return static_cast<int64_t>(keys_.size()); }
  int64_t bytes() const { return content_bytes_; }
  // Writes index, `supersedes` (sorted, once each) and footer and commits the object. The row lacks what names.h knows.
  Result<SegmentRow> finish(const std::vector<RecordRef>& supersedes, int64_t superseded_bytes);

 private:
  SegmentWriter() = default;
  Status write(std::string_view bytes);
  Options options_;
  int64_t align_ = 8;
  std::unique_ptr<ObjectWriter> out_;
  Hasher data_hash_;
  uint64_t at_ = 0;  // bytes written
  int64_t content_bytes_ = 0;
  int64_t tombstones_ = 0;
  std::vector<uint64_t> keys_;   // without the prefix
  std::vector<uint64_t> units_;  // where records begin
  std::string scratch_;
};

// A list of records that are replaced, as files keep it; 12 bytes each.
void append_refs(std::string& out, const std::vector<RecordRef>& refs);
std::vector<RecordRef> parse_refs(std::string_view bytes);
// kUnavailable: a file that a merge took away.
Status segment_is_gone(const std::string& path);

// Reads a segment's records one by one in hash order.
class SegmentCursor {
 public:
  virtual ~SegmentCursor() = default;
  // Goes to the next record and checks it; false at the end. The views are valid until the next call.
  virtual Result<bool> next() = 0;
  virtual int64_t rank() const = 0;
  virtual const RecordHead& head() const = 0;
  virtual std::string_view content() const = 0;
};

// What the lake asks of a segment, whatever its form. Any number of threads at once.
class Segment {
 public:
  virtual ~Segment() = default;
  virtual const SegmentRow& row() const = 0;
  // The records that may be `key`: from memory once the index is loaded, which the first call does where the budget allows it,
  // else with a read of one page.
  virtual Result<IndexHit> locate(const Hash128& key) = 0;
  struct Found {
    int64_t rank = 0;
    int64_t content_bytes = 0;
    Hash128 content_hash;
    bool deleted = false;
    std::string content;  // empty unless wanted
  };
  // The record of `path` among those of `hit`, in one read; nullopt when none is.
  virtual Result<std::optional<Found>> read(const IndexHit& hit, std::string_view path, bool want_content) = 0;
  // Record number `rank`, in one read; where it begins comes first, for reading in disk order.
  virtual Result<IndexHit> locate_rank(int64_t rank) = 0;
  struct Record {
    std::string path;
    std::string content;
    bool deleted = false;
  };
  virtual Result<Record> read_rank(const IndexHit& hit) = 0;
  using RecordFn = std::function<Status(int64_t rank, const RecordHead& head, std::string_view content)>;
  // Every record, read sequentially in disk order; content is checked. The views are valid during the call.
  virtual Status for_each(const RecordFn& fn) = 0;
  virtual Result<std::vector<RecordRef>> supersedes() = 0;
  // Reads every file of it and checks all of it, also that the index finds each record. `read_bytes` hears how much was read.
  virtual Status verify(const std::function<void(int64_t read_bytes)>& read_bytes,
                        const std::function<void(const RecordHead&)>& seen) = 0;
  // A walk over all records in hash order; the segment must outlive it. Stands before the first.
  virtual Result<std::unique_ptr<SegmentCursor>> cursor() = 0;
};

// Memory for the indexes of all segments together. First come, first kept: keys are hashes, so no index is asked more than
// another of its run.
class IndexBudget {
 public:
  explicit IndexBudget(int64_t bytes) : left_(bytes) {}
  bool take(int64_t bytes) {
    if (left_.fetch_sub(bytes) >= bytes) return true;
    left_ += bytes;
    return false;
  }
  void give(int64_t bytes) { left_ += bytes; }

 private:
  std::atomic<int64_t> left_;
};

class SegmentReader final : public Segment {
 public:
  // `dir` only names the file in messages. Without a budget the index is kept.
  SegmentReader(ObjectStore& store, const std::string& dir, SegmentRow row, IndexBudget* budget = nullptr);
  ~SegmentReader() override;
  SegmentReader(const SegmentReader&) = delete;
  SegmentReader& operator=(const SegmentReader&) = delete;
  const SegmentRow& row() const override { return row_; }
  Result<IndexHit> locate(const Hash128& key) override;
  Result<std::optional<Found>> read(const IndexHit& hit, std::string_view path, bool want_content) override;
  Result<IndexHit> locate_rank(int64_t rank) override;
  Result<Record> read_rank(const IndexHit& hit) override;
  Status for_each(const RecordFn& fn) override;
  Result<std::vector<RecordRef>> supersedes() override;
  Status verify(const std::function<void(int64_t)>& read_bytes, const std::function<void(const RecordHead&)>& seen) override;
  Result<std::unique_ptr<SegmentCursor>> cursor() override;

 private:
  friend class HashOrderCursor;
  struct Footer {
    int64_t index_at = 0;
    int64_t supersedes = 0;
    uint64_t supersedes_check = 0;
    uint64_t align = 8;
    IndexShape shape;
    Hash128 data_check;
  };
  // The footer once, for everything; the index once, for looking up.
  Status load_footer();
  Status load_footer_locked();
  Result<bool> load_index();
  Status load_index_locked();
  // One page, from memory or read into `buffer`.
  Result<std::string_view> page(uint64_t number, std::string& buffer);
  Status check_footer(int64_t size) const;
  Result<std::pair<uint64_t, uint64_t>> place_of(const IndexHit& hit) const;
  Result<std::optional<Found>> read_head(const IndexHit& hit, std::string_view path);
  Status damaged(const std::string& what) const;
  Status damaged_record(uint64_t at, const Status& why) const;
  uint64_t key_in_index(const Hash128& key) const { return key.high << row_.prefix_bits; }

  ObjectStore& store_;
  std::string where_;
  SegmentRow row_;
  std::mutex mutex_;  // of loading
  bool has_footer_ = false;
  bool has_index_ = false;
  Footer footer_;
  std::string pages_;
  IndexBudget* budget_;
};

}  // namespace bgl::storage
