#include "storage/lake/internal/log.h"

#include <algorithm>

#include "base/log.h"
#include "storage/lake/internal/bytes.h"

namespace bgl::storage {
namespace {

constexpr std::string_view kLogMagic = "BGLLOG1\n";
constexpr int64_t kLogHeader = 32;
constexpr uint32_t kBatchMagic = 0x48435442;  // "BTCH"
constexpr int64_t kBatchHeader = 32;
constexpr int64_t kReplacedBytes = 16;
constexpr int kSegmentBits = 48;
constexpr int64_t kSearchBytes = 1 << 20;

std::string log_header(int64_t id) {
  std::string head(kLogMagic);
  put_int<uint64_t>(head, static_cast<uint64_t>(id));
  put_int<uint64_t>(head, 0);
  put_int<uint64_t>(head, hash64(head));
  return head;
}

void append_replaced(std::string& out, const Replaced& replaced) {
  const auto high = static_cast<uint64_t>(replaced.deleted ? kDeletedMark : replaced.content_bytes >> 32);
  put_int<uint64_t>(out, static_cast<uint64_t>(replaced.ref.segment) | high << kSegmentBits);
  put_int<uint32_t>(out, static_cast<uint32_t>(replaced.ref.rank));
  put_int<uint32_t>(out, static_cast<uint32_t>(replaced.content_bytes));
}

Replaced parse_replaced(const char* at) {
  const uint64_t word = get_int<uint64_t>(at);
  const uint64_t high = word >> kSegmentBits;
  Replaced replaced;
  replaced.ref = {static_cast<int64_t>(word & ((uint64_t{1} << kSegmentBits) - 1)), get_int<uint32_t>(at + 8)};
  replaced.deleted = high == kDeletedMark;
  if (!replaced.deleted) replaced.content_bytes = static_cast<int64_t>(high << 32 | get_int<uint32_t>(at + 12));
  return replaced;
}

}  // namespace

Status Log::create(Env& env, const std::string& dir, int64_t id) {
  return env.write_file_atomic(join_path(dir, log_key(id)), log_header(id));
}

Status Log::damaged(const std::string& what) const { return data_loss("{}: {}; restore this file from a copy", where_, what); }

uint64_t Log::place_seed(int64_t at) const {
  return static_cast<uint64_t>(id_) * 0x9e3779b97f4a7c15ULL ^ static_cast<uint64_t>(at);
}

Result<std::unique_ptr<Log>> Log::open(Env& env, const std::string& dir, int64_t id, bool write,
                                       const std::function<void(std::string_view, const LogEntry&)>& fn) {
  const std::string path = join_path(dir, log_key(id));
  if (write && !env.exists(path)) return not_found("cannot open {}: No such file or directory", path);
  BGL_ASSIGN(auto file, env.open(path, write ? OpenMode::kUpdate : OpenMode::kRead));
  std::unique_ptr<Log> log(new Log(std::move(file), path, id));
  BGL_ASSIGN(const int64_t size, log->file_->size());
  BGL_ASSIGN(const std::string head, log->file_->pread(0, kLogHeader));
  if (head != log_header(id)) return log->damaged("its header is not as written");
  BGL_TRY(log->replay(kLogHeader, size, fn, log->end_));
  log->torn_ = size - log->end_;
  if (log->torn_ == 0) return log;
  BGL_ASSIGN(const bool follows, log->batch_follows(log->end_, size));
  if (follows) {
    return log->damaged(
        fmt::format("the batch at byte {} is damaged and a later one is whole: committed files are lost", log->end_));
  }
  if (write) {
    log_warn("{}: cut {} bytes of a batch that was never acknowledged", path, size - log->end_);
    BGL_TRY(log->file_->truncate(log->end_));
    BGL_TRY(log->file_->sync());
    log->torn_ = 0;
  }
  return log;
}

Result<bool> Log::read_batch(int64_t at, int64_t size, Batch& batch) const {
  if (size - at < kBatchHeader) return false;
  BGL_ASSIGN(const std::string head, file_->pread(at, kBatchHeader));
  if (static_cast<int64_t>(head.size()) < kBatchHeader || get_int<uint32_t>(head.data()) != kBatchMagic) return false;
  if (hash64(std::string_view(head).substr(0, 24), place_seed(at)) != get_int<uint64_t>(head.data() + 24)) return false;
  batch.records = get_int<uint32_t>(head.data() + 4);
  batch.body_bytes = static_cast<int64_t>(get_int<uint64_t>(head.data() + 8));
  if (batch.body_bytes < 0 || batch.body_bytes > size - at - kBatchHeader) return false;
  BGL_ASSIGN(batch.body, file_->pread(at + kBatchHeader, batch.body_bytes));
  return hash64(batch.body) == get_int<uint64_t>(head.data() + 16);
}

// Looks for a whole batch after `at`; only its place and checksums can make 64 bits of checksum agree twice.
Result<bool> Log::batch_follows(int64_t at, int64_t size) const {
  for (int64_t window = at + 8; window < size; window += kSearchBytes) {
    BGL_ASSIGN(const std::string bytes, file_->pread(window, kSearchBytes));
    for (size_t i = 0; i + 4 <= bytes.size(); i += 8) {
      if (get_int<uint32_t>(bytes.data() + i) != kBatchMagic) continue;
      Batch batch;
      BGL_ASSIGN(const bool whole, read_batch(window + static_cast<int64_t>(i), size, batch));
      if (whole) return true;
    }
  }
  return false;
}

Status Log::replay(int64_t from, int64_t size, const std::function<void(std::string_view, const LogEntry&)>& fn,
                   int64_t& end) const {
  int64_t at = from;
  Batch batch;
  while (true) {
    BGL_ASSIGN(const bool whole, read_batch(at, size, batch));
    if (!whole) break;
    const std::string_view body = batch.body;
    size_t in = 0;
    for (uint32_t i = 0; i < batch.records; ++i) {
      const int64_t record_at = at + kBatchHeader + static_cast<int64_t>(in) + kReplacedBytes;
      if (body.size() - in < static_cast<size_t>(kReplacedBytes))
        return damaged(fmt::format("record at byte {}: it is cut", record_at));
      LogEntry entry;
      entry.record_at = record_at;
      entry.replaced = parse_replaced(body.data() + in);
      in += kReplacedBytes;
      const auto head = parse_record_head(body.substr(in));
      if (!head.ok()) return damaged(fmt::format("record at byte {}: {}", record_at, head.status().message()));
      entry.content_bytes = head.value().content_bytes;
      entry.content_hash = head.value().content_hash;
      entry.deleted = head.value().deleted;
      fn(head.value().path, entry);
      in += static_cast<size_t>(head.value().total_bytes());
    }
    const int64_t body_end = at + kBatchHeader + batch.body_bytes;
    at = static_cast<int64_t>(round_up(static_cast<uint64_t>(body_end), 8));
    BGL_ASSIGN(const std::string padding, file_->pread(body_end, at - body_end));
    if (padding.find_first_not_of('\0') != std::string::npos) {
      return damaged(fmt::format("the bytes after the batch that ends at byte {} are not zero", body_end));
    }
  }
  // The padding of the last batch may be what was torn: its record bytes are all there, so it counts.
  end = std::min(at, size);
  return {};
}

Status Log::append(const std::vector<LogPut>& puts, std::vector<LogEntry>& entries) {
  BGL_TRY(broken_);
  std::string bytes;
  // A batch begins at a multiple of 8 even where the padding before it was torn away.
  const int64_t batch_at = static_cast<int64_t>(round_up(static_cast<uint64_t>(end_), 8));
  size_t expected = static_cast<size_t>(kBatchHeader) + 8;
  for (const LogPut& put : puts) expected += kReplacedBytes + kRecordHeader + put.path.size() + put.content.size();
  bytes.reserve(expected);
  bytes.resize(static_cast<size_t>(kBatchHeader));
  entries.clear();
  for (const LogPut& put : puts) {
    append_replaced(bytes, put.replaced);
    const auto content_bytes = static_cast<int64_t>(put.content.size());
    entries.push_back(
        {batch_at + static_cast<int64_t>(bytes.size()), content_bytes, put.content_hash, put.deleted, put.replaced});
    append_record_head(bytes, {put.path, content_bytes, put.content_hash, put.deleted});
    bytes += put.content;
  }
  const std::string_view body = std::string_view(bytes).substr(kBatchHeader);
  set_int<uint32_t>(bytes.data(), kBatchMagic);
  set_int<uint32_t>(bytes.data() + 4, static_cast<uint32_t>(puts.size()));
  set_int<uint64_t>(bytes.data() + 8, body.size());
  set_int<uint64_t>(bytes.data() + 16, hash64(body));
  set_int<uint64_t>(bytes.data() + 24, hash64({bytes.data(), 24}, place_seed(batch_at)));
  bytes.resize(round_up(bytes.size(), 8));
  broken_ = file_->write_at(batch_at, bytes);
  if (broken_.ok()) broken_ = file_->sync();
  if (broken_.ok()) end_ = batch_at + static_cast<int64_t>(bytes.size());
  return broken_;
}

Result<std::string> Log::read(std::string_view path, const LogEntry& entry) const {
  BGL_ASSIGN(const std::string bytes,
             file_->pread(entry.record_at, record_bytes(static_cast<int64_t>(path.size()), entry.content_bytes)));
  const auto where = [&](const Status& why) {
    return damaged(fmt::format("record at byte {}: {}", entry.record_at, why.message()));
  };
  const auto head = parse_record_head(bytes);
  if (!head.ok()) return where(head.status());
  const auto content = parse_record_content(head.value(), bytes);
  if (!content.ok()) return where(content.status());
  return bytes.substr(bytes.size() - content.value().size());
}

Status Log::verify() const {
  int64_t end = 0;
  BGL_TRY(replay(
      kLogHeader, end_, [](std::string_view, const LogEntry&) {}, end));
  if (end != end_) return damaged(fmt::format("the batch at byte {} is damaged: committed files are lost", end));
  return {};
}

}  // namespace bgl::storage
