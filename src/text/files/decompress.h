// Whole compressed files to memory, with a limit: a few kilobytes can unpack to more than a machine holds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace bgl::text {

constexpr int64_t kDecompressedBytesMax = int64_t{1} << 30;

// The content of .gz, .zst or .dz, told by its first bytes; other bytes as they are. unpack_stream() for what may be large.
// Errors: kDataLoss on damage, kResourceExhausted when the result would pass `bytes_max`; messages begin with `where`.
Result<std::string> decompress(std::string_view bytes, const std::string& where, int64_t bytes_max = kDecompressedBytesMax);

// `path` without .gz, .zst or .dz: the name of what is inside.
std::string_view without_compression_suffix(std::string_view path);

// One Zstandard frame with checksum and content size.
Result<std::string> compress_zstd(std::string_view bytes, int level = 3);

}  // namespace bgl::text
