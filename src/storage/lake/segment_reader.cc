#include <algorithm>

#include "storage/lake/internal/bytes.h"
#include "storage/lake/internal/segment.h"

namespace bgl::storage {
namespace {

constexpr uint64_t kFirstRecord = 64;
constexpr int64_t kFooterBytes = 128;
constexpr int64_t kScanBytes = 4 << 20;
constexpr int64_t kRefBytes = 12;
// Candidates of more bytes than this are first looked at by their heads, so that a false hit on a huge file costs little.
constexpr int64_t kReadWhole = 1 << 20;

}  // namespace

Status segment_is_gone(const std::string& path) {
  return make_status(Code::kUnavailable, "{}: it is gone; if the lake was merged since it was opened, open it again", path);
}

SegmentReader::SegmentReader(ObjectStore& store, const std::string& dir, SegmentRow row, IndexBudget* budget)
    : store_(store), where_(dir + "/" + segment_key(row.id)), row_(std::move(row)), budget_(budget) {}

SegmentReader::~SegmentReader() {
  if (has_index_ && budget_) budget_->give(row_.index_bytes);
}

Status SegmentReader::damaged(const std::string& what) const {
  return data_loss("{}: {}; restore this file from a copy", where_, what);
}

Status SegmentReader::damaged_record(uint64_t at, const Status& why) const {
  if (why.code() != Code::kDataLoss) return why;
  return damaged(fmt::format("record at byte {}: {}", at, why.message()));
}

Status SegmentReader::load_footer() {
  const std::lock_guard lock(mutex_);
  if (has_footer_) return {};
  BGL_TRY(load_footer_locked());
  has_footer_ = true;
  return {};
}

// False where there is no room for it.
Result<bool> SegmentReader::load_index() {
  const std::lock_guard lock(mutex_);
  if (has_index_) return true;
  if (budget_ && !budget_->take(row_.index_bytes)) return false;
  const Status loaded = load_index_locked();
  if (!loaded.ok() && budget_) budget_->give(row_.index_bytes);
  BGL_TRY(loaded);
  has_index_ = true;
  return true;
}

Status SegmentReader::load_index_locked() {
  BGL_ASSIGN(pages_, store_.get_range(segment_key(row_.id), footer_.index_at, row_.index_bytes));
  for (uint64_t p = 0; p < footer_.shape.pages(); ++p) {
    const Status page = check_index_page(std::string_view(pages_).substr(p * kIndexPageBytes, kIndexPageBytes), p);
    if (!page.ok()) return damaged(page.message());
  }
  return {};
}

Result<std::string_view> SegmentReader::page(uint64_t number, std::string& buffer) {
  BGL_ASSIGN(const bool in_memory, load_index());
  const auto at = static_cast<int64_t>(number) * kIndexPageBytes;
  if (in_memory) return std::string_view(pages_).substr(static_cast<size_t>(at), kIndexPageBytes);
  BGL_ASSIGN(buffer, store_.get_range(segment_key(row_.id), footer_.index_at + at, kIndexPageBytes));
  const Status fine = check_index_page(buffer, number);
  if (!fine.ok()) return damaged(fine.message());
  return std::string_view(buffer);
}

Status SegmentReader::load_footer_locked() {
  const std::string key = segment_key(row_.id);
  const auto opened = store_.size(key);
  if (opened.status().code() == Code::kNotFound) {
    return segment_is_gone(where_);
  }
  BGL_ASSIGN(const int64_t size, opened);
  if (size != row_.segment_bytes)
    return damaged(fmt::format("it has {} bytes, the manifest says {}", size, row_.segment_bytes));
  if (size < kFooterBytes) return damaged("it is cut");
  BGL_ASSIGN(const std::string f, store_.get_range(key, size - kFooterBytes, kFooterBytes));
  if (hash128(f) != row_.segment_check) return damaged("checksum of the footer differs");
  const auto field = [&f](int at) { return get_int<uint64_t>(f.data() + at); };
  footer_.index_at = static_cast<int64_t>(field(32));
  footer_.shape = {field(16), field(48)};
  footer_.supersedes = static_cast<int64_t>(field(56));
  footer_.align = field(64);
  footer_.supersedes_check = field(88);
  footer_.data_check = {field(96), field(104)};
  return check_footer(size);
}

// The parts lie one after another, as long as the footer says, and fill the file.
Status SegmentReader::check_footer(int64_t size) const {
  const int64_t at = footer_.index_at;
  const bool counts = footer_.supersedes == row_.supersedes && footer_.supersedes >= 0 && footer_.supersedes < size &&
                      footer_.shape.buckets == static_cast<uint64_t>(row_.files) && footer_.shape.buckets_per_page > 0 &&
                      footer_.shape.buckets_per_page < (uint64_t{1} << 20) && footer_.align > 0 &&
                      footer_.align <= (uint64_t{1} << 20);
  if (!counts) return damaged("its footer is not as written");
  const bool fits = at >= static_cast<int64_t>(kFirstRecord) && at <= size && row_.index_bytes <= size &&
                    static_cast<int64_t>(footer_.shape.pages()) * kIndexPageBytes == row_.index_bytes &&
                    at + row_.index_bytes + footer_.supersedes * kRefBytes + kFooterBytes == size;
  return fits ? Status() : damaged("its footer is not as written");
}

// Where the records of a hit begin and end in the file.
Result<std::pair<uint64_t, uint64_t>> SegmentReader::place_of(const IndexHit& hit) const {
  const auto last = static_cast<uint64_t>(footer_.index_at);
  const bool fine = hit.begin < hit.end && hit.end <= (last - kFirstRecord) / footer_.align;
  if (!fine) return damaged("its index is not as written");
  return std::pair(kFirstRecord + hit.begin * footer_.align, kFirstRecord + hit.end * footer_.align);
}

Result<IndexHit> SegmentReader::locate(const Hash128& key) {
  if (row_.files == 0 || !row_.may_hold(key)) return IndexHit{};
  BGL_TRY(load_footer());
  const uint64_t k = key_in_index(key);
  std::string buffer;
  BGL_ASSIGN(const std::string_view bytes, page(footer_.shape.page_of(k), buffer));
  return find_in_page(footer_.shape, bytes, k);
}

// Reads no more of the one candidate than `path` needs. nullopt also where the bytes do not make sense: the caller then looks
// at the whole record.
Result<std::optional<SegmentReader::Found>> SegmentReader::read_head(const IndexHit& hit, std::string_view path) {
  BGL_ASSIGN(const auto place, place_of(hit));
  const auto [begin, end] = place;
  const int64_t length = std::min(static_cast<int64_t>(end - begin), kRecordHeader + static_cast<int64_t>(path.size()));
  BGL_ASSIGN(const std::string bytes, store_.get_range(segment_key(row_.id), static_cast<int64_t>(begin), length));
  const auto head = parse_record_head(bytes);
  if (!head.ok() || head.value().path != path) return std::optional<Found>();
  const RecordHead& h = head.value();
  return std::optional(Found{static_cast<int64_t>(hit.rank), h.content_bytes, h.content_hash, h.deleted, {}});
}

Result<std::optional<SegmentReader::Found>> SegmentReader::read(const IndexHit& hit, std::string_view path, bool want_content) {
  BGL_TRY(load_footer());
  const std::string key = segment_key(row_.id);
  if (!want_content && hit.count == 1) {
    BGL_ASSIGN(auto found, read_head(hit, path));
    if (found) return found;
  }
  BGL_ASSIGN(const auto place, place_of(hit));
  const auto [begin, end] = place;
  const bool whole = static_cast<int64_t>(end - begin) <= kReadWhole;
  std::string bytes;
  if (whole) {
    BGL_ASSIGN(bytes, store_.get_range(key, static_cast<int64_t>(begin), static_cast<int64_t>(end - begin)));
  }
  uint64_t at = begin;
  for (uint64_t i = 0; i < hit.count; ++i) {
    std::string_view record;
    if (whole) {
      if (at >= end) return damaged(fmt::format("record at byte {}: it is not where the index says", at));
      record = std::string_view(bytes).substr(at - begin);
    } else {
      if (at >= end) return damaged(fmt::format("record at byte {}: it is not where the index says", at));
      const int64_t length = std::min<int64_t>(kRecordHeader + kMaxPathBytes, static_cast<int64_t>(end - at));
      BGL_ASSIGN(bytes, store_.get_range(key, static_cast<int64_t>(at), length));
      record = bytes;
    }
    const auto head = parse_record_head(record);
    if (!head.ok()) return damaged_record(at, head.status());
    const RecordHead& h = head.value();
    if (h.path == path) {
      Found found{static_cast<int64_t>(hit.rank + i), h.content_bytes, h.content_hash, h.deleted, {}};
      if (!want_content) return std::optional(std::move(found));
      std::string rest;
      if (!whole) {
        if (h.total_bytes() > static_cast<int64_t>(end - at)) return damaged_record(at, data_loss("it is cut"));
        BGL_ASSIGN(rest, store_.get_range(key, static_cast<int64_t>(at), h.total_bytes()));
        record = rest;
      }
      const auto content = parse_record_content(h, record);
      if (!content.ok()) return damaged_record(at, content.status());
      found.content = std::string(content.value());
      return std::optional(std::move(found));
    }
    at += round_up(static_cast<uint64_t>(h.total_bytes()), footer_.align);
  }
  return std::optional<Found>();
}

Result<IndexHit> SegmentReader::locate_rank(int64_t rank) {
  BGL_TRY(load_footer());
  const auto r = static_cast<uint64_t>(rank);
  const uint64_t pages = footer_.shape.pages();
  // Keys are hashes, so the page is the one where the rank would be if they lay evenly, or one near it.
  uint64_t number = r * pages / footer_.shape.buckets;
  std::string buffer;
  for (uint64_t tries = 0; tries <= pages && number < pages; ++tries) {
    BGL_ASSIGN(const std::string_view bytes, page(number, buffer));
    const PageRanks ranks = page_ranks(bytes);
    if (r < ranks.first) {
      --number;
    } else if (r - ranks.first >= ranks.count) {
      ++number;
    } else {
      return record_in_page(footer_.shape, bytes, number, r);
    }
  }
  return damaged("its index is not as written");
}

Result<SegmentReader::Record> SegmentReader::read_rank(const IndexHit& hit) {
  BGL_ASSIGN(const auto place, place_of(hit));
  const auto [begin, end] = place;
  BGL_ASSIGN(const std::string bytes,
             store_.get_range(segment_key(row_.id), static_cast<int64_t>(begin), static_cast<int64_t>(end - begin)));
  const auto head = parse_record_head(bytes);
  if (!head.ok()) return damaged_record(begin, head.status());
  const auto content = parse_record_content(head.value(), bytes);
  if (!content.ok()) return damaged_record(begin, content.status());
  return Record{std::string(head.value().path), std::string(content.value()), head.value().deleted};
}

Status SegmentReader::for_each(const RecordFn& fn) {
  BGL_ASSIGN(auto walk, cursor());
  while (true) {
    BGL_ASSIGN(const bool more, walk->next());
    if (!more) return {};
    BGL_TRY(fn(walk->rank(), walk->head(), walk->content()));
  }
}

// In large sequential reads.
class HashOrderCursor final : public SegmentCursor {
 public:
  explicit HashOrderCursor(SegmentReader& reader) : reader_(reader) {}
  Result<bool> next() override;
  int64_t rank() const override { return rank_; }
  const RecordHead& head() const override { return head_; }
  std::string_view content() const override { return content_; }

 private:
  Status fill(int64_t length);
  std::string_view rest() const { return std::string_view(window_).substr(static_cast<size_t>(at_ - begin_)); }

  SegmentReader& reader_;
  std::string window_;  // the file's bytes from begin_ on
  int64_t begin_ = kFirstRecord;
  int64_t at_ = kFirstRecord;  // of the next record
  int64_t rank_ = -1;
  RecordHead head_;
  std::string_view content_;
};

Result<std::unique_ptr<SegmentCursor>> SegmentReader::cursor() {
  BGL_TRY(load_footer());
  return std::unique_ptr<SegmentCursor>(std::make_unique<HashOrderCursor>(*this));
}

// Makes `length` bytes from at_ available, or as many as there are before the index.
Status HashOrderCursor::fill(int64_t length) {
  const int64_t end = reader_.footer_.index_at;
  length = std::min(length, end - at_);
  if (length < 0) return reader_.damaged(fmt::format("the record before byte {} is cut", at_));
  if (at_ + length <= begin_ + static_cast<int64_t>(window_.size())) return {};
  window_.erase(0, static_cast<size_t>(at_ - begin_));
  begin_ = at_;
  const int64_t have = static_cast<int64_t>(window_.size());
  const int64_t wanted = std::min(std::max(length, kScanBytes), end - at_);
  BGL_ASSIGN(const std::string more, reader_.store_.get_range(segment_key(reader_.row_.id), begin_ + have, wanted - have));
  window_ += more;
  return {};
}

Result<bool> HashOrderCursor::next() {
  if (rank_ >= 0) at_ += static_cast<int64_t>(round_up(static_cast<uint64_t>(head_.total_bytes()), reader_.footer_.align));
  if (++rank_ >= reader_.row_.files) return false;
  BGL_TRY(fill(kRecordHeader));
  const int64_t path_bytes = rest().size() >= 4 ? get_int<uint32_t>(rest().data()) : 0;
  BGL_TRY(fill(kRecordHeader + std::min(path_bytes, kMaxPathBytes)));
  auto head = parse_record_head(rest());
  if (!head.ok()) return reader_.damaged_record(static_cast<uint64_t>(at_), head.status());
  BGL_TRY(fill(head->total_bytes()));
  head = parse_record_head(rest());  // its path pointed into the old window
  head_ = head.value();
  const auto content = parse_record_content(head_, rest());
  if (!content.ok()) return reader_.damaged_record(static_cast<uint64_t>(at_), content.status());
  content_ = content.value();
  return true;
}

Result<std::vector<RecordRef>> SegmentReader::supersedes() {
  if (row_.supersedes == 0) return std::vector<RecordRef>();
  BGL_TRY(load_footer());
  BGL_ASSIGN(const std::string bytes,
             store_.get_range(segment_key(row_.id), footer_.index_at + row_.index_bytes, footer_.supersedes * kRefBytes));
  if (hash64(bytes) != footer_.supersedes_check) return damaged("checksum of the replaced files' list differs");
  return parse_refs(bytes);
}

Status SegmentReader::verify(const std::function<void(int64_t)>& read_bytes,
                             const std::function<void(const RecordHead&)>& seen) {
  BGL_TRY(load_footer());
  // First every record by itself, because its message names the file; then the bytes between records.
  BGL_TRY(for_each([&](int64_t rank, const RecordHead& head, std::string_view content) -> Status {
    const Hash128 key = path_key(head.path);
    BGL_ASSIGN(const IndexHit hit, locate(key));
    const auto r = static_cast<uint64_t>(rank);
    if (r < hit.rank || r >= hit.rank + hit.count)
      return damaged(fmt::format("the index misses file {}", show_path(head.path)));
    seen(head);
    read_bytes(static_cast<int64_t>(content.size()) + kRecordHeader + static_cast<int64_t>(head.path.size()));
    return {};
  }));
  Hasher hasher;
  const std::string key = segment_key(row_.id);
  for (int64_t at = 0; at < footer_.index_at; at += kScanBytes) {
    BGL_ASSIGN(const std::string bytes, store_.get_range(key, at, std::min(kScanBytes, footer_.index_at - at)));
    hasher.update(bytes);
  }
  if (hasher.digest128() != footer_.data_check) return damaged("checksum of the bytes between records differs");
  return supersedes().status();
}

}  // namespace bgl::storage
