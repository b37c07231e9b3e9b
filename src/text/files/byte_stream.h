// Bytes in order, from memory, a file or a compressed stream: what lets a reader take a file larger than memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/env.h"
#include "base/status.h"

namespace bgl::text {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Reads 1 to `length` bytes; 0 at the end, and from then on. After an error the stream is not read again.
  virtual Result<int64_t> read(char* out, int64_t length) = 0;
};

// Borrows the bytes.
std::unique_ptr<ByteStream> view_stream(std::string_view bytes);
std::unique_ptr<ByteStream> string_stream(std::string bytes);
std::unique_ptr<ByteStream> file_stream(std::unique_ptr<File> file);

// What a compressed stream may give. A few kilobytes can unpack to more than a machine holds, and to more than anybody waits
// for.
struct UnpackLimits {
  // Above `free_bytes` of output, more than `ratio` times the bytes read is refused. Deflate reaches 1,032, text about 10.
  int64_t free_bytes = int64_t{64} << 20;
  int64_t ratio = 200;
};

// The content of .gz (RFC 1952: several members in a row, .dz too) or .zst (RFC 8878), told by its first bytes; other bytes as
// they are. Memory: about 6 MiB for .gz; for .zst the frame's window, 128 MiB at most. Messages begin with `where`. Errors:
// kDataLoss "damaged ..." with the offset in the compressed bytes, kResourceExhausted beyond the limits; what was read before
// is good.
std::unique_ptr<ByteStream> unpack_stream(std::unique_ptr<ByteStream> packed, std::string where, UnpackLimits limits = {});

// All that is left. kResourceExhausted when it is more than `bytes_max`.
Result<std::string> read_all(ByteStream& stream, const std::string& where, int64_t bytes_max);

}  // namespace bgl::text
