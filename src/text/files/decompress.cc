#include "text/files/decompress.h"

#include <zstd.h>

#include <memory>

#include "text/files/byte_stream.h"

namespace bgl::text {
Result<std::string> decompress(std::string_view bytes, const std::string& where, int64_t bytes_max) {
  const auto stream = unpack_stream(view_stream(bytes), where, {.free_bytes = INT64_MAX});
  return read_all(*stream, where, bytes_max);
}

std::string_view without_compression_suffix(std::string_view path) {
  for (const std::string_view suffix : {".gz", ".zst", ".dz"}) {
    if (path.size() > suffix.size() && path.substr(path.size() - suffix.size()) == suffix)
      return path.substr(0, path.size() - suffix.size());
  }
  return path;
}

Result<std::string> compress_zstd(std::string_view bytes, int level) {
  const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> encoder(ZSTD_createCCtx(), &ZSTD_freeCCtx);
  ZSTD_CCtx_setParameter(encoder.get(), ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(encoder.get(), ZSTD_c_checksumFlag, 1);
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  const size_t n = ZSTD_compress2(encoder.get(), out.data(), out.size(), bytes.data(), bytes.size());
  if (ZSTD_isError(n)) return make_status(Code::kInternal, "zstd: {}", ZSTD_getErrorName(n));
  out.resize(n);
  return out;
}

}  // namespace bgl::text
