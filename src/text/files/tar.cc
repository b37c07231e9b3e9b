#include "text/files/tar.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

namespace bgl::text {
namespace {

constexpr int64_t kTarBlock = 512;
constexpr size_t kReadBytes = 1 << 20;
constexpr int64_t kMaxNameBytes = 1 << 20;  // of a long name's or pax header's bytes: more is damage
constexpr size_t kNameField = 100;

std::string_view field(std::string_view block, size_t at, size_t length) {
  const std::string_view f = block.substr(at, length);
  return f.substr(0, std::min(f.find('\0'), f.size()));
}

// A number as tar has them; -1 when it is none.
int64_t number(std::string_view block, size_t at, size_t length) {
  if (block[at] & 0x80) {
    uint64_t value = static_cast<unsigned char>(block[at]) & 0x3f;
    for (size_t i = 1; i < length; ++i) {
      if (value >> 54) return -1;
      value = value << 8 | static_cast<unsigned char>(block[at + i]);
    }
    return static_cast<int64_t>(value);
  }
  std::string_view digits = field(block, at, length);
  while (digits.starts_with(' ')) digits.remove_prefix(1);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 8);
  const bool rest_is_blank = std::all_of(end, digits.data() + digits.size(), [](char c) { return c == ' '; });
  return error == std::errc() && rest_is_blank && value >= 0 ? value : -1;
}

int64_t checksum(std::string_view block) {
  int64_t sum = 0;
  for (size_t i = 0; i < block.size(); ++i) sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(block[i]);
  return sum;
}

int64_t padding_of(int64_t bytes) { return (kTarBlock - bytes % kTarBlock) % kTarBlock; }

std::string header_block(std::string_view name, int64_t bytes, char type) {
  std::string block(kTarBlock, '\0');
  std::memcpy(block.data(), name.data(), std::min(name.size(), kNameField));
  const auto put = [&block](size_t at, const std::string& text) { std::memcpy(block.data() + at, text.data(), text.size()); };
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", bytes));
  put(136, "00000000000");
  block[156] = type;
  put(257, "ustar  ");
  put(148, fmt::format("{:06o}", checksum(block)) + std::string("\0 ", 2));
  return block;
}

}  // namespace

Status TarReader::damaged(const std::string& what) const { return data_loss("{}: at byte {} {}", where_, at_, what); }

// Reads on when nothing is ahead; false at the end of the stream.
Result<bool> TarReader::fill() {
  if (ahead_at_ < ahead_.size()) return true;
  BGL_ASSIGN(ahead_, read_(kReadBytes));
  ahead_at_ = 0;
  return !ahead_.empty();
}

Result<std::string> TarReader::take(int64_t bytes) {
  std::string out;
  out.reserve(static_cast<size_t>(std::min<int64_t>(bytes, kReadBytes)));
  while (static_cast<int64_t>(out.size()) < bytes) {
    BGL_ASSIGN(const bool more, fill());
    if (!more) return damaged("the archive is cut");
    const size_t taken = std::min(ahead_.size() - ahead_at_, static_cast<size_t>(bytes) - out.size());
    out.append(ahead_, ahead_at_, taken);
    ahead_at_ += taken;
  }
  at_ += bytes;
  return out;
}

Status TarReader::skip(int64_t bytes) {
  while (bytes > 0) {
    const int64_t step = std::min<int64_t>(bytes, kReadBytes);
    BGL_TRY(take(step).status());
    bytes -= step;
  }
  return {};
}

Status TarReader::read_pax(std::string_view records, TarEntry& next, bool& has_size) const {
  while (!records.empty()) {
    size_t length = 0;
    const auto [end, error] = std::from_chars(records.data(), records.data() + records.size(), length);
    const auto digits = static_cast<size_t>(end - records.data());
    const bool fine = error == std::errc() && length > digits + 2 && length <= records.size() && records[digits] == ' ' &&
                      records[length - 1] == '\n';
    if (!fine) return damaged("a pax header is not as written");
    const std::string_view record = records.substr(digits + 1, length - digits - 2);
    records.remove_prefix(length);
    const size_t equals = std::min(record.find('='), record.size());
    const std::string_view value = record.substr(std::min(equals + 1, record.size()));
    if (record.substr(0, equals) == "path") next.name = value;
    if (record.substr(0, equals) != "size") continue;
    const auto parsed = std::from_chars(value.data(), value.data() + value.size(), next.bytes);
    has_size = parsed.ec == std::errc() && parsed.ptr == value.data() + value.size() && next.bytes >= 0;
    if (!has_size) return damaged("a pax header's size is no number");
  }
  return {};
}

Result<std::optional<TarEntry>> TarReader::next() {
  BGL_TRY(skip(left_ + padding_));
  left_ = padding_ = 0;
  TarEntry told;  // by headers that stand before the entry's own
  bool has_size = false;
  while (true) {
    BGL_ASSIGN(const bool more, fill());
    if (!more && at_ == 0) return damaged("there is nothing: not a tar archive");
    if (!more) return std::optional<TarEntry>();  // archives without the closing blocks exist
    const int64_t header_at = at_;
    BGL_ASSIGN(const std::string block, take(kTarBlock));
    closed_ = block.find_first_not_of('\0') == std::string::npos;
    if (closed_) return std::optional<TarEntry>();
    const int64_t bytes = number(block, 124, 12);
    if (number(block, 148, 8) != checksum(block) || bytes < 0) {
      return data_loss("{}: at byte {} there is no tar header (a compressed archive? unpack it first: zcat x.tar.gz | ...)",
                       where_, header_at);
    }
    const char type = block[156];
    if (type == 'L' || type == 'x' || type == 'g' || type == 'K') {
      if (bytes > kMaxNameBytes) return damaged("a name is longer than 1 MiB");
      BGL_ASSIGN(std::string text, take(bytes));
      BGL_TRY(skip(padding_of(bytes)));
      if (type == 'L') told.name = text.substr(0, std::min(text.find('\0'), text.size()));
      if (type == 'x') BGL_TRY(read_pax(text, told, has_size));
      continue;
    }
    TarEntry entry;
    entry.type = type == '\0' || type == '7' ? '0' : type;
    entry.bytes = has_size ? told.bytes : bytes;
    const std::string prefix(block.substr(257, 6) == std::string("ustar\0", 6) ? field(block, 345, 155) : "");
    entry.name = (prefix.empty() ? "" : prefix + "/") + std::string(field(block, 0, kNameField));
    if (!told.name.empty()) entry.name = told.name;
    // Links and devices have no bytes, whatever the size field says.
    left_ = entry.type >= '1' && entry.type <= '6' ? 0 : entry.bytes;
    padding_ = padding_of(left_);
    if (entry.is_file() && entry.name.ends_with('/')) entry.type = '5';
    return std::optional(entry);
  }
}

Result<std::string> TarReader::odd_end() {
  if (!closed_) return fmt::format("{}: it ends at byte {} without the blocks that close an archive: it may have been cut there", where_, at_);
  const int64_t end = at_;
  while (true) {
    BGL_ASSIGN(const bool more, fill());
    if (!more) return std::string();
    if (ahead_.find_first_not_of('\0', ahead_at_) != std::string::npos)
      return fmt::format("{}: what follows the archive's end at byte {} was left out; another archive? put each by itself", where_, end);
    ahead_at_ = ahead_.size();
  }
}

Result<std::string> TarReader::content() { return take(std::exchange(left_, 0)); }

Result<std::string> tar_header(std::string_view name, int64_t bytes) {
  if (name.find('\0') != std::string_view::npos) return invalid_argument("a tar archive cannot hold a name with a zero byte");
  if (name.size() <= kNameField) return header_block(name, bytes, '0');
  const auto stored = static_cast<int64_t>(name.size() + 1);
  return header_block("././@LongLink", stored, 'L') + std::string(name) + '\0' + tar_padding(stored) +
         header_block(name, bytes, '0');
}

std::string tar_padding(int64_t bytes) { return std::string(static_cast<size_t>(padding_of(bytes)), '\0'); }

std::string tar_end() { return std::string(2 * kTarBlock, '\0'); }

}  // namespace bgl::text
