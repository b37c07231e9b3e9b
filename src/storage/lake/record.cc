#include "storage/lake/internal/record.h"

#include "storage/lake/internal/bytes.h"

namespace bgl::storage {
namespace {

uint32_t record_check(std::string_view head24, std::string_view path) {
  return static_cast<uint32_t>(hash64(path, hash64(head24)));
}

}  // namespace

void append_record_head(std::string& out, const RecordHead& head) {
  const size_t start = out.size();
  put_int<uint16_t>(out, static_cast<uint16_t>(head.path.size()));
  put_int<uint16_t>(out, head.deleted ? kDeletedMark : static_cast<uint16_t>(head.content_bytes >> 32));
  put_int<uint32_t>(out, static_cast<uint32_t>(head.content_bytes));
  put_int<uint64_t>(out, head.content_hash.high);
  put_int<uint64_t>(out, head.content_hash.low);
  put_int<uint32_t>(out, record_check(std::string_view(out).substr(start, 24), head.path));
  out += head.path;
}

Result<RecordHead> parse_record_head(std::string_view bytes) {
  const auto cut = [] { return data_loss("it is cut"); };
  if (static_cast<int64_t>(bytes.size()) < kRecordHeader) return cut();
  const uint16_t path_bytes = get_int<uint16_t>(bytes.data());
  const uint16_t high = get_int<uint16_t>(bytes.data() + 2);
  RecordHead head;
  head.deleted = high == kDeletedMark;
  head.content_bytes = get_int<uint32_t>(bytes.data() + 4) | static_cast<int64_t>(head.deleted ? 0 : high) << 32;
  head.content_hash = {get_int<uint64_t>(bytes.data() + 8), get_int<uint64_t>(bytes.data() + 16)};
  const bool sane = path_bytes >= 1 && head.content_bytes <= (head.deleted ? 0 : kMaxContentBytes);
  if (!sane) return data_loss("checksum of its header differs");
  if (bytes.size() - kRecordHeader < path_bytes) return cut();
  head.path = bytes.substr(kRecordHeader, path_bytes);
  if (record_check(bytes.substr(0, 24), head.path) != get_int<uint32_t>(bytes.data() + 24)) {
    return data_loss("checksum of its header differs");
  }
  return head;
}

Result<std::string_view> parse_record_content(const RecordHead& head, std::string_view bytes) {
  if (static_cast<int64_t>(bytes.size()) < head.total_bytes()) return data_loss("it is cut");
  const std::string_view content = bytes.substr(kRecordHeader + head.path.size(), static_cast<size_t>(head.content_bytes));
  if (hash128(content) != head.content_hash) return data_loss("checksum of file {} differs", show_path(head.path));
  return content;
}

std::string show_path(std::string_view path) {
  std::string out = "\"";
  for (const char c : path.substr(0, 200)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 32 || byte == 127) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + (path.size() > 200 ? "...\"" : "\"");
}

}  // namespace bgl::storage
