#include "storage/lake/internal/sealed_log.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "storage/lake/internal/bytes.h"

namespace bgl::storage {
namespace {

constexpr int64_t kIndexHead = 64;
constexpr int64_t kIndexFooter = 128;
constexpr int64_t kPlaceBytes = 7;
constexpr int64_t kPlaceUnit = 64;
constexpr int64_t kHugePlace = 65535;  // units
constexpr int64_t kReplacedRef = 12;
constexpr int64_t kWindowBytes = 4 << 20;

std::string head_bytes() {
  std::string head = "BGLIDX1\n";
  head.resize(kIndexHead);
  return head;
}

}  // namespace

Result<SegmentRow> write_log_index(ObjectStore& store, int64_t id, int64_t log_bytes, const std::vector<LoggedRecord>& records,
                                   const std::vector<RecordRef>& supersedes) {
  std::vector<uint64_t> keys, units(records.size() + 1);
  for (const LoggedRecord& r : records) keys.push_back(r.key.high);
  std::iota(units.begin(), units.end(), uint64_t{0});
  IndexShape shape;
  BGL_ASSIGN(const std::string pages, build_index(keys, units, shape));
  std::string bytes = head_bytes() + pages;
  for (const LoggedRecord& r : records) {
    const auto at = static_cast<uint64_t>(r.record_at);
    put_int<uint32_t>(bytes, static_cast<uint32_t>(at));
    put_int<uint8_t>(bytes, static_cast<uint8_t>(at >> 32));
    put_int<uint16_t>(bytes, static_cast<uint16_t>(std::min((r.record_bytes + kPlaceUnit - 1) / kPlaceUnit, kHugePlace)));
  }
  append_refs(bytes, supersedes);
  const Hash128 check = hash128(bytes);
  std::string footer = "BGLIDXF1";
  for (const uint64_t value : {static_cast<uint64_t>(id), static_cast<uint64_t>(records.size()), uint64_t{0},
                               static_cast<uint64_t>(log_bytes), shape.pages(), shape.buckets_per_page,
                               static_cast<uint64_t>(supersedes.size()), check.high, check.low}) {
    put_int<uint64_t>(footer, value);
  }
  footer.resize(kIndexFooter - 8);
  put_int<uint64_t>(footer, hash64(footer));
  BGL_TRY(store.put(index_key(id), bytes + footer));
  SegmentRow row;
  row.id = row.run = id;
  row.form = SegmentRow::kSealedLog;
  row.files = static_cast<int64_t>(records.size());
  row.supersedes = static_cast<int64_t>(supersedes.size());
  row.segment_bytes = log_bytes;
  row.index_bytes = static_cast<int64_t>(pages.size()) + kPlaceBytes * row.files;
  row.segment_check = hash128(footer);
  return row;
}

SealedLog::SealedLog(Env& env, ObjectStore& store, std::string dir, SegmentRow row)
    : env_(env), store_(store), dir_(std::move(dir)), row_(std::move(row)) {}

Status SealedLog::damaged(const std::string& file, const std::string& what) const {
  return data_loss("{}/{}: {}; restore this file from a copy", dir_, file, what);
}

Status SealedLog::damaged_record(int64_t at, const Status& why) const {
  if (why.code() != Code::kDataLoss) return why;
  return damaged(log_key(row_.id), fmt::format("record at byte {}: {}", at, why.message()));
}

Status SealedLog::load() {
  const std::lock_guard lock(mutex_);
  if (loaded_) return {};
  BGL_TRY(load_locked());
  loaded_ = true;
  return {};
}

// All sizes follow from the row, whose checksum of the footer protects the rest.
Status SealedLog::load_locked() {
  const std::string key = index_key(row_.id);
  const auto opened = store_.size(key);
  if (opened.status().code() == Code::kNotFound) return segment_is_gone(dir_ + "/" + key);
  BGL_ASSIGN(const int64_t size, opened);
  const int64_t wanted = kIndexHead + row_.index_bytes + kReplacedRef * row_.supersedes + kIndexFooter;
  if (size != wanted) return damaged(key, fmt::format("it has {} bytes, the manifest says {}", size, wanted));
  BGL_ASSIGN(const std::string bytes, store_.get_range(key, 0, size));
  const std::string_view body = std::string_view(bytes).substr(0, static_cast<size_t>(size - kIndexFooter));
  const std::string_view footer = std::string_view(bytes).substr(body.size());
  if (hash128(footer) != row_.segment_check) return damaged(key, "checksum of the footer differs");
  const auto field = [footer](int at) { return get_int<uint64_t>(footer.data() + at); };
  if (hash128(body) != Hash128{field(64), field(72)}) return damaged(key, "checksum of its bytes differs");
  shape_ = {field(16), field(48)};
  const bool fine = shape_.buckets == static_cast<uint64_t>(row_.files) && shape_.buckets_per_page > 0 &&
                    shape_.buckets_per_page < (uint64_t{1} << 20) && field(32) == static_cast<uint64_t>(row_.segment_bytes) &&
                    static_cast<int64_t>(shape_.pages()) * kIndexPageBytes + kPlaceBytes * row_.files == row_.index_bytes;
  if (!fine) return damaged(key, "its footer is not as written");
  pages_ = body.substr(kIndexHead, static_cast<size_t>(row_.index_bytes));
  for (uint64_t p = 0; p < shape_.pages(); ++p) {
    const Status page = check_index_page(std::string_view(pages_).substr(p * kIndexPageBytes, kIndexPageBytes), p);
    if (!page.ok()) return damaged(key, page.message());
  }
  supersedes_ = body.substr(kIndexHead + pages_.size());
  return {};
}

SealedLog::Place SealedLog::place(uint64_t rank) const {
  const char* at = pages_.data() + shape_.pages() * kIndexPageBytes + rank * kPlaceBytes;
  const int64_t units = get_int<uint16_t>(at + 5);
  const auto begin = static_cast<int64_t>(get_int<uint32_t>(at) | uint64_t{get_int<uint8_t>(at + 4)} << 32);
  return {begin, units * kPlaceUnit, units == kHugePlace};
}

Result<IndexHit> SealedLog::locate(const Hash128& key) {
  if (row_.files == 0) return IndexHit{};
  BGL_TRY(load());
  const std::string_view page =
      std::string_view(pages_).substr(shape_.page_of(key.high) * kIndexPageBytes, kIndexPageBytes);
  IndexHit hit = find_in_page(shape_, page, key.high);
  if (hit.count == 0) return hit;
  if (hit.rank + hit.count > shape_.buckets) return damaged(index_key(row_.id), "it is not as written");
  // For reading in disk order.
  hit.begin = static_cast<uint64_t>(place(hit.rank).at);
  hit.end = hit.begin + static_cast<uint64_t>(place(hit.rank).bytes);
  return hit;
}

Result<std::string> SealedLog::record(uint64_t rank) {
  const Place p = place(rank);
  if (p.at < 0 || p.at >= row_.segment_bytes) return damaged(index_key(row_.id), "it is not as written");
  const int64_t length = std::min(p.bytes, row_.segment_bytes - p.at);
  BGL_ASSIGN(std::string bytes, store_.get_range(log_key(row_.id), p.at, length));
  if (!p.is_huge) return bytes;
  const auto head = parse_record_head(bytes);
  if (!head.ok()) return damaged_record(p.at, head.status());
  if (head->total_bytes() > row_.segment_bytes - p.at) return damaged_record(p.at, data_loss("it is cut"));
  BGL_ASSIGN(const std::string rest,
             store_.get_range(log_key(row_.id), p.at + length, std::max<int64_t>(0, head->total_bytes() - length)));
  return bytes + rest;
}

Result<std::optional<Segment::Found>> SealedLog::read(const IndexHit& hit, std::string_view path, bool want_content) {
  BGL_TRY(load());
  for (uint64_t rank = hit.rank; rank < hit.rank + hit.count; ++rank) {
    const int64_t at = place(rank).at;
    std::string bytes;
    if (!want_content) {
      const int64_t length = kRecordHeader + static_cast<int64_t>(path.size());
      BGL_ASSIGN(bytes, store_.get_range(log_key(row_.id), at, std::clamp<int64_t>(row_.segment_bytes - at, 0, length)));
    }
    // A head that does not end where this path's would is looked at as a whole.
    if (want_content || !parse_record_head(bytes).ok()) {
      BGL_ASSIGN(bytes, record(rank));
    }
    const auto head = parse_record_head(bytes);
    if (!head.ok()) return damaged_record(at, head.status());
    if (head->path != path) continue;
    Found found{static_cast<int64_t>(rank), head->content_bytes, head->content_hash, head->deleted, {}};
    if (want_content) {
      const auto content = parse_record_content(*head, bytes);
      if (!content.ok()) return damaged_record(at, content.status());
      found.content = std::string(*content);
    }
    return std::optional(std::move(found));
  }
  return std::optional<Found>();
}

Result<IndexHit> SealedLog::locate_rank(int64_t rank) {
  BGL_TRY(load());
  const auto r = static_cast<uint64_t>(rank);
  const Place p = place(r);
  return IndexHit{r, 1, static_cast<uint64_t>(p.at), static_cast<uint64_t>(p.at + p.bytes)};
}

Result<Segment::Record> SealedLog::read_rank(const IndexHit& hit) {
  BGL_ASSIGN(const std::string bytes, record(hit.rank));
  const auto at = static_cast<int64_t>(hit.begin);
  const auto head = parse_record_head(bytes);
  if (!head.ok()) return damaged_record(at, head.status());
  const auto content = parse_record_content(*head, bytes);
  if (!content.ok()) return damaged_record(at, content.status());
  return Record{std::string(head->path), std::string(*content), head->deleted};
}

// Large reads, each of as many neighbouring records as fit.
Status SealedLog::for_each(const RecordFn& fn) {
  BGL_TRY(load());
  std::vector<std::pair<int64_t, uint64_t>> order;
  for (uint64_t rank = 0; rank < shape_.buckets; ++rank) order.emplace_back(place(rank).at, rank);
  std::sort(order.begin(), order.end());
  std::string window, huge;
  int64_t window_at = 0;
  for (const auto& [at, rank] : order) {
    const Place p = place(rank);
    if (at >= row_.segment_bytes) return damaged(index_key(row_.id), "it is not as written");
    std::string_view bytes;
    if (p.is_huge) {
      BGL_ASSIGN(huge, record(rank));
      bytes = huge;
    } else {
      const int64_t end = std::min(at + p.bytes, row_.segment_bytes);
      if (at < window_at || end > window_at + static_cast<int64_t>(window.size())) {
        window_at = at;
        const int64_t length = std::min(std::max(kWindowBytes, end - at), row_.segment_bytes - at);
        BGL_ASSIGN(window, store_.get_range(log_key(row_.id), at, length));
      }
      bytes = std::string_view(window).substr(static_cast<size_t>(at - window_at));
    }
    const auto head = parse_record_head(bytes);
    if (!head.ok()) return damaged_record(at, head.status());
    const auto content = parse_record_content(*head, bytes);
    if (!content.ok()) return damaged_record(at, content.status());
    BGL_TRY(fn(static_cast<int64_t>(rank), *head, *content));
  }
  return {};
}

Result<std::vector<RecordRef>> SealedLog::supersedes() {
  if (row_.supersedes == 0) return std::vector<RecordRef>();
  BGL_TRY(load());
  return parse_refs(supersedes_);
}

// The log's own checksums first: they cover every byte of it. Then the index finds what is live in the log, and nothing else.
Status SealedLog::verify(const std::function<void(int64_t)>& read_bytes, const std::function<void(const RecordHead&)>& seen) {
  BGL_TRY(load());
  std::map<std::string, LogEntry> last;
  BGL_ASSIGN(const auto log, Log::open(env_, dir_, row_.id, false, [&](std::string_view path, const LogEntry& entry) {
               last.insert_or_assign(std::string(path), entry);
             }));
  if (log->bytes() + log->torn_bytes() != row_.segment_bytes || log->torn_bytes() != 0) {
    return damaged(log_key(row_.id), fmt::format("the batch at byte {} is damaged: committed files are lost", log->bytes()));
  }
  int64_t files = 0;
  for (const auto& [path, entry] : last) {
    if (!is_sealed(entry)) continue;
    ++files;
    BGL_ASSIGN(const IndexHit hit, locate(path_key(path)));
    bool is_found = false;
    for (uint64_t rank = hit.rank; rank < hit.rank + hit.count; ++rank) is_found |= place(rank).at == entry.record_at;
    if (!is_found) return damaged(index_key(row_.id), fmt::format("it misses file {}", show_path(path)));
    seen({path, entry.content_bytes, entry.content_hash, entry.deleted});
    read_bytes(record_bytes(static_cast<int64_t>(path.size()), entry.content_bytes));
  }
  return files == row_.files ? Status() : damaged(index_key(row_.id), "it does not tell of the log's files");
}

// Hash order: a read a record, of bytes that were written not long ago.
class SealedLogCursor final : public SegmentCursor {
 public:
  explicit SealedLogCursor(SealedLog& log) : log_(log) {}
  Result<bool> next() override {
    if (++rank_ >= log_.row_.files) return false;
    BGL_ASSIGN(bytes_, log_.record(static_cast<uint64_t>(rank_)));
    const int64_t at = log_.place(static_cast<uint64_t>(rank_)).at;
    const auto head = parse_record_head(bytes_);
    if (!head.ok()) return log_.damaged_record(at, head.status());
    head_ = *head;
    const auto content = parse_record_content(head_, bytes_);
    if (!content.ok()) return log_.damaged_record(at, content.status());
    content_ = *content;
    return true;
  }
  int64_t rank() const override { return rank_; }
  const RecordHead& head() const override { return head_; }
  std::string_view content() const override { return content_; }

 private:
  SealedLog& log_;
  int64_t rank_ = -1;
  std::string bytes_;
  RecordHead head_;
  std::string_view content_;
};

// Reads the log once in its own order, so that the walk in hash order finds it in the system's cache: a read of the device for each
// record would take longer than both.
Result<std::unique_ptr<SegmentCursor>> SealedLog::cursor() {
  BGL_TRY(load());
  for (int64_t at = 0; at < row_.segment_bytes; at += kWindowBytes) {
    BGL_TRY(store_.get_range(log_key(row_.id), at, std::min(kWindowBytes, row_.segment_bytes - at)).status());
  }
  return std::unique_ptr<SegmentCursor>(std::make_unique<SealedLogCursor>(*this));
}

std::unique_ptr<Segment> open_segment(Env& env, ObjectStore& store, const std::string& dir, const SegmentRow& row,
                                      IndexBudget* budget) {
  if (row.form == SegmentRow::kSealedLog) return std::make_unique<SealedLog>(env, store, dir, row);
  return std::make_unique<SegmentReader>(store, dir, row, budget);
}

}  // namespace bgl::storage
