#include <algorithm>
#include <bit>

#include "storage/lake/internal/bytes.h"
#include "storage/lake/internal/segment.h"

namespace bgl::storage {
namespace {

constexpr uint64_t kRecordsAt = 64;

// A thirty-second of the average record, a power of two: the index then spends 5 + 2 bits on a record's place, and padding is
// about 1.6 % of the bytes.
int64_t choose_align(int64_t files, int64_t bytes) {
  const int64_t average = files > 0 ? bytes / files : 0;
  return static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(std::clamp<int64_t>(average / 32, 8, 1 << 20))));
}

}  // namespace

void append_refs(std::string& out, const std::vector<RecordRef>& refs) {
  for (const RecordRef& ref : refs) {
    put_int<uint64_t>(out, static_cast<uint64_t>(ref.segment));
    put_int<uint32_t>(out, static_cast<uint32_t>(ref.rank));
  }
}

std::vector<RecordRef> parse_refs(std::string_view bytes) {
  std::vector<RecordRef> refs;
  for (; bytes.size() >= 12; bytes.remove_prefix(12)) {
    refs.push_back({static_cast<int64_t>(get_int<uint64_t>(bytes.data())), get_int<uint32_t>(bytes.data() + 8)});
  }
  return refs;
}

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::create(ObjectStore& store, const Options& options) {
  std::unique_ptr<SegmentWriter> writer(new SegmentWriter());
  writer->options_ = options;
  writer->align_ = choose_align(options.expected_files, options.expected_bytes);
  BGL_ASSIGN(writer->out_, store.create(segment_key(options.id)));
  std::string head = "BGLSEG1\n";
  head.resize(kRecordsAt);
  BGL_TRY(writer->write(head));
  return writer;
}

Status SegmentWriter::write(std::string_view bytes) {
  data_hash_.update(bytes);
  at_ += bytes.size();
  return out_->append(bytes);
}

Status SegmentWriter::add(const Hash128& key, const RecordHead& head, std::string_view content) {
  keys_.push_back(key.high << options_.prefix_bits);
  units_.push_back((at_ - kRecordsAt) / static_cast<uint64_t>(align_));
  content_bytes_ += head.content_bytes;
  tombstones_ += head.deleted;
  scratch_.clear();
  append_record_head(scratch_, head);
  BGL_TRY(write(scratch_));
  BGL_TRY(write(content));
  const uint64_t in_records = at_ - kRecordsAt;
  scratch_.assign(round_up(in_records, static_cast<uint64_t>(align_)) - in_records, '\0');
  return write(scratch_);
}

Result<SegmentRow> SegmentWriter::finish(const std::vector<RecordRef>& supersedes, int64_t superseded_bytes) {
  units_.push_back((at_ - kRecordsAt) / static_cast<uint64_t>(align_));
  IndexShape shape;
  BGL_ASSIGN(const std::string pages, build_index(keys_, units_, shape));
  BGL_TRY(write(std::string(round_up(at_, kIndexPageBytes) - at_, '\0')));
  const uint64_t index_at = at_;
  const Hash128 data_check = data_hash_.digest128();
  std::string refs;
  append_refs(refs, supersedes);
  std::string footer = "BGLSEGF1";
  for (const uint64_t value :
       {static_cast<uint64_t>(options_.id), static_cast<uint64_t>(files()), static_cast<uint64_t>(content_bytes_), index_at,
        shape.pages(), shape.buckets_per_page, static_cast<uint64_t>(supersedes.size()), static_cast<uint64_t>(align_),
        options_.prefix, static_cast<uint64_t>(options_.prefix_bits), hash64(refs), data_check.high, data_check.low,
        uint64_t{0}}) {
    put_int<uint64_t>(footer, value);
  }
  put_int<uint64_t>(footer, hash64(footer));
  BGL_TRY(out_->append(pages));
  BGL_TRY(out_->append(refs));
  BGL_TRY(out_->append(footer));
  BGL_TRY(out_->commit());
  SegmentRow row;
  row.id = options_.id;
  row.files = files();
  row.bytes = content_bytes_;
  row.tombstones = tombstones_;
  row.supersedes = static_cast<int64_t>(supersedes.size());
  row.superseded_bytes = superseded_bytes;
  row.prefix_bits = options_.prefix_bits;
  row.prefix = static_cast<int64_t>(options_.prefix);
  row.segment_bytes = static_cast<int64_t>(index_at + pages.size() + refs.size() + footer.size());
  row.index_bytes = static_cast<int64_t>(pages.size());
  row.segment_check = hash128(footer);
  return row;
}

}  // namespace bgl::storage
