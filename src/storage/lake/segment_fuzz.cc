// Any bytes are a segment or an error: looking up, reading by number, walking and verifying end without touching what is not
// there. The checksums of footer and index pages are made to fit, so that what they protect is tried.
#include <algorithm>

#include "base/hash.h"
#include "base/testing/fuzz.h"
#include "storage/lake/internal/bytes.h"
#include "storage/lake/internal/names.h"
#include "storage/lake/internal/segment.h"

using namespace bgl;
using namespace bgl::storage;

namespace {

// One object, whatever its key.
class OneObject final : public ObjectStore {
 public:
  explicit OneObject(std::string bytes) : bytes_(std::move(bytes)) {}
  Result<std::string> get_range(const std::string&, int64_t offset, int64_t length) override {
    const auto size = static_cast<int64_t>(bytes_.size());
    if (offset < 0 || length < 0) fuzz_failed("a range of less than nothing");
    if (offset > size || length > size - offset) return data_loss("it ends before");
    return bytes_.substr(static_cast<size_t>(offset), static_cast<size_t>(length));
  }
  Result<int64_t> size(const std::string&) override { return static_cast<int64_t>(bytes_.size()); }
  Result<std::unique_ptr<ObjectWriter>> create(const std::string&) override { return read_only(); }
  Result<std::vector<ObjectInfo>> list(const std::string&) override { return read_only(); }
  Status remove(const std::string&) override { return read_only(); }
  Result<Versioned> read_manifest(const std::string&) override { return read_only(); }
  Result<std::string> swap_manifest(const std::string&, const std::string&, std::string_view) override { return read_only(); }

 private:
  static Status read_only() { return make_status(Code::kUnimplemented, "read only"); }
  std::string bytes_;
};

void must_be_loss(const Status& status) {
  if (!status.ok() && status.code() != Code::kDataLoss) fuzz_failed("not data loss: " + status.to_string());
}

constexpr size_t kFooter = 128;

// The row that a manifest would have for these bytes; makes the index pages' checksums fit.
SegmentRow row_of(std::string& bytes) {
  const char* footer = bytes.data() + bytes.size() - kFooter;
  const auto field = [footer](int at) { return get_int<uint64_t>(footer + at); };
  SegmentRow row;
  row.id = 1;
  row.files = static_cast<int64_t>(field(16) % 1000);
  row.supersedes = static_cast<int64_t>(field(56) % 1000);
  row.segment_bytes = static_cast<int64_t>(bytes.size());
  const uint64_t at = field(32), pages = field(40);
  row.index_bytes = static_cast<int64_t>(pages % 64) * kIndexPageBytes;
  for (uint64_t p = 0; p < pages && at < bytes.size() && at + (p + 1) * kIndexPageBytes <= bytes.size(); ++p) {
    char* page = bytes.data() + at + p * kIndexPageBytes;
    set_int<uint64_t>(page, hash64({page + 8, kIndexPageBytes - 8}, p));
  }
  row.segment_check = hash128({footer, kFooter});
  return row;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  if (bytes.size() < kFooter) return 0;
  const SegmentRow row = row_of(bytes);
  OneObject store(bytes);
  SegmentReader reader(store, "input", row);
  for (const char* path : {"a", "dir/1", "dir/2", "absent"}) {
    const auto hit = reader.locate(path_key(path));
    must_be_loss(hit.status());
    if (hit.ok() && hit->count > 0) must_be_loss(reader.read(*hit, path, true).status());
    if (hit.ok() && hit->count > 0) must_be_loss(reader.read(*hit, path, false).status());
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
  must_be_loss(reader.verify([](int64_t) {}, [](const RecordHead&) {}));
  fuzz_canary(read >= 3);

  SegmentRow names = row;
  names.names_bytes = static_cast<int64_t>(bytes.size());
  names.names_check = hash128(std::string_view(bytes).substr(bytes.size() - 64));
  auto walk = NamesReader::open(store, "input", names, "");
  must_be_loss(walk.status());
  while (walk.ok() && (*walk)->valid()) {
    const Status next = (*walk)->next();
    must_be_loss(next);
    if (!next.ok()) break;
  }
  return 0;
}
