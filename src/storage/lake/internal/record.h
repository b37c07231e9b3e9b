// One file as it lies in a segment or in the log.
//
//   0  u16 path_bytes      1..65535
//   2  u16 content bytes, bits 32..47; all ones: the path was removed, and there is no content
//   4  u32 content bytes, bits 0..31
//   8  u64 u64             XXH3-128 of the content, high half first
//   24 u32 check           low half of XXH3-64 of bytes 0..23 and the path
//   28 path, content
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "base/status.h"

namespace bgl::storage {

inline constexpr int64_t kRecordHeader = 28;
inline constexpr int64_t kMaxPathBytes = 65535;
inline constexpr uint16_t kDeletedMark = 0xffff;  // in place of the upper bits of a size
inline constexpr int64_t kMaxContentBytes = int64_t{1} << 32;

struct RecordHead {
  std::string_view path;
  int64_t content_bytes = 0;
  Hash128 content_hash;
  bool deleted = false;  // a tombstone: the path was removed
  int64_t total_bytes() const { return kRecordHeader + static_cast<int64_t>(path.size()) + content_bytes; }
};

inline int64_t record_bytes(int64_t path_bytes, int64_t content_bytes) { return kRecordHeader + path_bytes + content_bytes; }

// Everything of the record before its content.
void append_record_head(std::string& out, const RecordHead& head);

// Reads the header and path at the front of `bytes`. kDataLoss "checksum of its header differs" or "it is cut"; the caller adds
// where. `bytes` may end inside the content.
Result<RecordHead> parse_record_head(std::string_view bytes);
// The content of the record at the front of `bytes`, checked against its hash.
Result<std::string_view> parse_record_content(const RecordHead& head, std::string_view bytes);

// What the hash order of a path is.
inline Hash128 path_key(std::string_view path) { return hash128(path); }

// A path in a message: quoted, control bytes as \xNN, cut after 200 bytes.
std::string show_path(std::string_view path);

}  // namespace bgl::storage
