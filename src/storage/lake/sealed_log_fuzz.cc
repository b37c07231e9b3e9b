// Any bytes are a sealed log's index and log, or an error: looking up, reading by number and both walks end without touching what
// is not there. An input is the index, the log, and the index's length as u32; the checksums of the index are made to fit.
#include <algorithm>

#include "base/hash.h"
#include "base/testing/fuzz.h"
#include "storage/lake/internal/bytes.h"
#include "storage/lake/internal/sealed_log.h"

using namespace bgl;
using namespace bgl::storage;

namespace {

// The two objects of a sealed log.
class TwoObjects final : public ObjectStore {
 public:
  TwoObjects(std::string index, std::string log) : index_(std::move(index)), log_(std::move(log)) {}
  Result<std::string> get_range(const std::string& key, int64_t offset, int64_t length) override {
    const std::string& bytes = object(key);
    const auto size = static_cast<int64_t>(bytes.size());
    if (offset < 0 || length < 0) fuzz_failed("a range of less than nothing");
    if (offset > size || length > size - offset) return data_loss("it ends before");
    return bytes.substr(static_cast<size_t>(offset), static_cast<size_t>(length));
  }
  Result<int64_t> size(const std::string& key) override { return static_cast<int64_t>(object(key).size()); }
  Result<std::unique_ptr<ObjectWriter>> create(const std::string&) override { return read_only(); }
  Result<std::vector<ObjectInfo>> list(const std::string&) override { return read_only(); }
  Status remove(const std::string&) override { return read_only(); }
  Result<Versioned> read_manifest(const std::string&) override { return read_only(); }
  Result<std::string> swap_manifest(const std::string&, const std::string&, std::string_view) override { return read_only(); }

 private:
  static Status read_only() { return make_status(Code::kUnimplemented, "read only"); }
  const std::string& object(const std::string& key) const { return key.starts_with("index-") ? index_ : log_; }
  std::string index_, log_;
};

void must_be_loss(const Status& status) {
  if (!status.ok() && status.code() != Code::kDataLoss) fuzz_failed("not data loss: " + status.to_string());
}

constexpr size_t kFooter = 128;
constexpr size_t kHead = 64;

// The row that a manifest would have for this index and log; makes the checksums of pages, bytes and footer fit.
SegmentRow row_of(std::string& index, const std::string& log) {
  char* footer = index.data() + index.size() - kFooter;
  SegmentRow row;
  row.id = row.run = 1;
  row.form = SegmentRow::kSealedLog;
  row.files = static_cast<int64_t>(get_int<uint64_t>(footer + 16) % 1000);
  row.supersedes = static_cast<int64_t>(get_int<uint64_t>(footer + 56) % 8);
  row.segment_bytes = static_cast<int64_t>(log.size());
  set_int<uint64_t>(footer + 32, log.size());
  row.index_bytes = std::max<int64_t>(0, static_cast<int64_t>(index.size() - kFooter - kHead) - 12 * row.supersedes);
  const uint64_t pages = get_int<uint64_t>(footer + 40);
  for (uint64_t p = 0; p < pages && kHead + (p + 1) * kIndexPageBytes + kFooter <= index.size(); ++p) {
    char* page = index.data() + kHead + p * kIndexPageBytes;
    set_int<uint64_t>(page, hash64({page + 8, kIndexPageBytes - 8}, p));
  }
  const Hash128 check = hash128({index.data(), index.size() - kFooter});
  set_int<uint64_t>(footer + 64, check.high);
  set_int<uint64_t>(footer + 72, check.low);
  row.segment_check = hash128({footer, kFooter});
  return row;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  if (bytes.size() < 4) return 0;
  const size_t cut = std::min<size_t>(get_int<uint32_t>(bytes.data() + bytes.size() - 4), bytes.size() - 4);
  std::string index = bytes.substr(0, cut);
  const std::string log = bytes.substr(cut, bytes.size() - 4 - cut);
  if (index.size() < kHead + kFooter) return 0;
  const SegmentRow row = row_of(index, log);
  TwoObjects store(index, log);
  SealedLog reader(real_env(), store, "input", row);
  for (const char* path : {"a", "dir/1", "dir/2", "absent"}) {
    const auto hit = reader.locate(path_key(path));
    must_be_loss(hit.status());
    if (!hit.ok() || hit->count == 0) continue;
    must_be_loss(reader.read(*hit, path, true).status());
    must_be_loss(reader.read(*hit, path, false).status());
  }
  int64_t read = 0;
  for (int64_t rank = 0; rank < row.files; ++rank) {
    const auto hit = reader.locate_rank(rank);
    must_be_loss(hit.status());
    if (!hit.ok()) break;
    const auto record = reader.read_rank(*hit);
    must_be_loss(record.status());
    read += record.ok();
  }
  must_be_loss(reader.supersedes().status());
  must_be_loss(reader.for_each([](int64_t, const RecordHead&, std::string_view) { return Status(); }));
  auto cursor = reader.cursor();
  must_be_loss(cursor.status());
  for (bool more = cursor.ok(); more;) {
    const auto next = (*cursor)->next();
    must_be_loss(next.status());
    more = next.ok() && *next;
  }
  fuzz_canary(read >= 3);
  return 0;
}
