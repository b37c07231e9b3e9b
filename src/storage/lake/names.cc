#include "storage/lake/internal/names.h"

#include <zstd.h>

#include <algorithm>

#include "storage/lake/internal/bytes.h"
#include "storage/lake/internal/record.h"

namespace bgl::storage {
namespace {

constexpr std::string_view kNamesMagic = "BGLNAM1\n";
constexpr int64_t kNamesFooter = 64;
constexpr size_t kBlockRaw = 32 << 10;
constexpr uint64_t kMaxBlockRaw = kBlockRaw + (1 << 17);  // the last entry of a block may go beyond
constexpr int kZstdLevel = 3;
constexpr uint64_t kDeletedBytes = uint64_t{1} << 48;
constexpr int64_t kMaxRaw = int64_t{1} << 32;  // of a directory; more is a damaged length

std::string compress(std::string_view raw) {
  std::string out(ZSTD_compressBound(raw.size()), '\0');
  const size_t n = ZSTD_compress(out.data(), out.size(), raw.data(), raw.size(), kZstdLevel);
  BGL_CHECK(!ZSTD_isError(n), "{}", ZSTD_getErrorName(n));
  out.resize(n);
  return out;
}

// A length that the frame's bytes cannot reach is not allocated: a block of 128 KiB at most takes three bytes at least (RFC 8878, 3.1.1.2).
bool decompress(std::string_view frame, int64_t raw_bytes, std::string& raw) {
  const auto most = static_cast<int64_t>(frame.size() / 3 + 1) << 17;
  if (raw_bytes < 0 || raw_bytes > std::min(kMaxRaw, most)) return false;
  raw.resize(static_cast<size_t>(raw_bytes));
  const size_t n = ZSTD_decompress(raw.data(), raw.size(), frame.data(), frame.size());
  return !ZSTD_isError(n) && n == raw.size();
}

void append_entry(std::string& raw, std::string_view before, const NameEntry& entry) {
  const auto [a, b] = std::mismatch(before.begin(), before.end(), entry.path.begin(), entry.path.end());
  const auto shared = static_cast<size_t>(a - before.begin());
  put_varint(raw, shared);
  put_varint(raw, entry.path.size() - shared);
  raw.append(entry.path, shared);
  put_varint(raw, entry.deleted ? kDeletedBytes : static_cast<uint64_t>(entry.content_bytes));
  put_int<uint64_t>(raw, entry.content_hash.high);
  put_int<uint64_t>(raw, entry.content_hash.low);
}

}  // namespace

Result<std::unique_ptr<NamesWriter>> NamesWriter::create(ObjectStore& store, int64_t id) {
  std::unique_ptr<NamesWriter> writer(new NamesWriter());
  writer->id_ = id;
  BGL_ASSIGN(writer->out_, store.create(names_key(id)));
  BGL_TRY(writer->out_->append(kNamesMagic));
  writer->at_ = kNamesMagic.size();
  return writer;
}

Status NamesWriter::add(const NameEntry& entry) {
  if (raw_.size() >= kBlockRaw) BGL_TRY(end_block());
  if (raw_.empty()) first_ = entry.path;
  append_entry(raw_, raw_.empty() ? std::string_view() : before_, entry);
  before_ = entry.path;
  ++files_;
  return {};
}

Status NamesWriter::end_block() {
  if (raw_.empty()) return {};
  const std::string frame = compress(raw_);
  put_varint(directory_, first_.size());
  directory_ += first_;
  put_varint(directory_, raw_.size());
  put_varint(directory_, frame.size());
  put_int<uint64_t>(directory_, hash64(frame));
  at_ += frame.size();
  ++blocks_;
  raw_.clear();
  return out_->append(frame);
}

Status NamesWriter::finish(SegmentRow& row) {
  BGL_TRY(end_block());
  const std::string frame = compress(directory_);
  std::string footer = "BGLNAMF1";
  for (const uint64_t value :
       {static_cast<uint64_t>(id_), files_, blocks_, at_, frame.size(), directory_.size(), hash64(frame)}) {
    put_int<uint64_t>(footer, value);
  }
  BGL_TRY(out_->append(frame));
  BGL_TRY(out_->append(footer));
  BGL_TRY(out_->commit());
  row.names_bytes = static_cast<int64_t>(at_ + frame.size() + footer.size());
  row.names_check = hash128(footer);
  return {};
}

NamesReader::NamesReader(ObjectStore& store, const std::string& dir, const SegmentRow& row)
    : store_(store), key_(names_key(row.id)), where_(dir + "/" + key_), row_(row) {}

Status NamesReader::damaged(const std::string& what) const {
  return data_loss("{}: {}; restore this file from a copy", where_, what);
}

Result<std::unique_ptr<NamesReader>> NamesReader::open(ObjectStore& store, const std::string& dir, const SegmentRow& row,
                                                       std::string_view from) {
  std::unique_ptr<NamesReader> reader(new NamesReader(store, dir, row));
  BGL_TRY(reader->load_directory());
  // The last block whose first path is not after `from` may hold it.
  const auto& blocks = reader->blocks_;
  const auto after = std::upper_bound(blocks.begin(), blocks.end(), from,
                                      [](std::string_view path, const Block& block) { return path < block.first; });
  reader->next_block_ = after == blocks.begin() ? 0 : static_cast<size_t>(after - blocks.begin()) - 1;
  do {
    BGL_TRY(reader->next());
  } while (reader->valid() && reader->entry().path < from);
  return reader;
}

Result<std::string> NamesReader::first_path(ObjectStore& store, const std::string& dir, const SegmentRow& row) {
  NamesReader reader(store, dir, row);
  BGL_TRY(reader.load_directory());
  return reader.blocks_.empty() ? std::string() : reader.blocks_[0].first;
}

Status NamesReader::load_directory() {
  BGL_ASSIGN(const int64_t size, store_.size(key_));
  if (size != row_.names_bytes) return damaged(fmt::format("it has {} bytes, the manifest says {}", size, row_.names_bytes));
  if (size < kNamesFooter) return damaged("it is cut");
  BGL_ASSIGN(const std::string footer, store_.get_range(key_, size - kNamesFooter, kNamesFooter));
  if (hash128(footer) != row_.names_check) return damaged("checksum of the footer differs");
  BGL_ASSIGN(const std::string magic, store_.get_range(key_, 0, 8));
  if (magic != kNamesMagic) return damaged("it does not begin as a names file does");
  const auto field = [&footer](int i) { return get_int<uint64_t>(footer.data() + 8 * i); };
  const auto room = static_cast<uint64_t>(size - kNamesFooter);
  if (field(4) > room || field(5) != room - field(4)) return damaged("its footer is not as written");
  BGL_ASSIGN(const std::string frame, store_.get_range(key_, static_cast<int64_t>(field(4)), static_cast<int64_t>(field(5))));
  std::string raw;
  if (hash64(frame) != field(7) || !decompress(frame, static_cast<int64_t>(field(6)), raw)) {
    return damaged("checksum of the directory differs");
  }
  std::string_view in = raw;
  int64_t at = 8;
  for (uint64_t i = 0; i < field(3); ++i) {
    Block block;
    uint64_t path_bytes = 0, raw_bytes = 0, frame_bytes = 0;
    bool fine = take_varint(in, path_bytes) && path_bytes <= in.size();
    if (fine) {
      block.first = in.substr(0, path_bytes);
      in.remove_prefix(path_bytes);
      fine = take_varint(in, raw_bytes) && take_varint(in, frame_bytes) && in.size() >= 8;
    }
    fine = fine && raw_bytes <= kMaxBlockRaw && frame_bytes <= field(4) - static_cast<uint64_t>(at);
    if (!fine) return damaged("its directory is not as written");
    block.check = get_int<uint64_t>(in.data());
    in.remove_prefix(8);
    block.at = at;
    block.raw_bytes = static_cast<int64_t>(raw_bytes);
    block.frame_bytes = static_cast<int64_t>(frame_bytes);
    at += block.frame_bytes;
    blocks_.push_back(std::move(block));
  }
  return {};
}

Status NamesReader::load_block(size_t number) {
  const Block& block = blocks_[number];
  BGL_ASSIGN(const std::string frame, store_.get_range(key_, block.at, block.frame_bytes));
  if (hash64(frame) != block.check || !decompress(frame, block.raw_bytes, raw_)) {
    return damaged(fmt::format("checksum of the block at byte {} differs", block.at));
  }
  left_ = raw_;
  entry_.path.clear();
  return {};
}

Status NamesReader::next() {
  while (left_.empty()) {
    valid_ = next_block_ < blocks_.size();
    if (!valid_) return {};
    BGL_TRY(load_block(next_block_++));
  }
  uint64_t shared = 0, rest = 0, content_bytes = 0;
  bool fine = take_varint(left_, shared) && take_varint(left_, rest) && shared <= entry_.path.size() && rest <= left_.size();
  if (fine) {
    entry_.path.resize(shared);
    entry_.path += left_.substr(0, rest);
    left_.remove_prefix(rest);
    fine = take_varint(left_, content_bytes) && left_.size() >= 16;
  }
  fine = fine && content_bytes <= kDeletedBytes;
  if (!fine) return damaged("an entry is not as written");
  entry_.deleted = content_bytes == kDeletedBytes;
  entry_.content_bytes = entry_.deleted ? 0 : static_cast<int64_t>(content_bytes);
  entry_.content_hash = {get_int<uint64_t>(left_.data()), get_int<uint64_t>(left_.data() + 8)};
  left_.remove_prefix(16);
  valid_ = true;
  return {};
}

}  // namespace bgl::storage
