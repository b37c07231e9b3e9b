// Whole compressed files to memory, with a limit: a few kilobytes can unpack to more than a machine holds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace bgl::text {

constexpr int64_t kDecompressedBytesMax = int64_t{1} << 30;

// gzip (RFC 1952), several members in a row included; dictzip (.dz) is gzip with an extra header field and read alike. `where`
// begins the messages. Errors: kDataLoss on damage, kResourceExhausted when the result would pass `bytes_max`.
Result<std::string> decompress_gzip(std::string_view bytes, const std::string& where,
                                    int64_t bytes_max = kDecompressedBytesMax);
// Zstandard (RFC 8878), several frames in a row included.
Result<std::string> decompress_zstd(std::string_view bytes, const std::string& where,
                                    int64_t bytes_max = kDecompressedBytesMax);
// Either of the two by its first bytes; other bytes are returned as they are.
Result<std::string> decompress(std::string_view bytes, const std::string& where, int64_t bytes_max = kDecompressedBytesMax);

// `path` without .gz, .zst or .dz: the name of what is inside.
std::string_view without_compression_suffix(std::string_view path);

// One Zstandard frame with checksum and content size.
Result<std::string> compress_zstd(std::string_view bytes, int level = 3);

}  // namespace bgl::text
