#include "text/decompress.h"

#include <libdeflate.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

namespace bgl::text {
namespace {

Status too_large(const std::string& where, int64_t bytes_max) {
  return make_status(Code::kResourceExhausted, "{}: unpacks to more than {} bytes", where, bytes_max);
}

struct DeflateFree {
  void operator()(libdeflate_decompressor* d) const { libdeflate_free_decompressor(d); }
};
struct ZstdFree {
  void operator()(ZSTD_DCtx* d) const { ZSTD_freeDCtx(d); }
};

}  // namespace

Result<std::string> decompress_gzip(std::string_view bytes, const std::string& where, int64_t bytes_max) {
  const std::unique_ptr<libdeflate_decompressor, DeflateFree> decoder(libdeflate_alloc_decompressor());
  std::string out;
  size_t at = 0;
  while (at < bytes.size()) {
    // libdeflate needs the room up front; the size in the trailer is only a hint, so the room doubles until it fits.
    size_t room =
        std::min<size_t>(std::max<size_t>((bytes.size() - at) * 4, 4096), static_cast<size_t>(bytes_max) - out.size());
    for (;;) {
      const size_t before = out.size();
      out.resize(before + room);
      size_t used = 0, made = 0;
      const libdeflate_result rc = libdeflate_gzip_decompress_ex(decoder.get(), bytes.data() + at, bytes.size() - at,
                                                                 out.data() + before, room, &used, &made);
      out.resize(before + (rc == LIBDEFLATE_SUCCESS ? made : 0));
      if (rc == LIBDEFLATE_SUCCESS) {
        at += used;
        break;
      }
      if (rc != LIBDEFLATE_INSUFFICIENT_SPACE) return data_loss("{}: damaged gzip data in the member at offset {}", where, at);
      if (before + room >= static_cast<size_t>(bytes_max)) return too_large(where, bytes_max);
      room = std::min(room * 2, static_cast<size_t>(bytes_max) - before);
    }
    // Zeros that pad the file to a block size are not a member.
    if (bytes.find_first_not_of('\0', at) == std::string_view::npos) break;
  }
  return out;
}

Result<std::string> decompress_zstd(std::string_view bytes, const std::string& where, int64_t bytes_max) {
  const std::unique_ptr<ZSTD_DCtx, ZstdFree> decoder(ZSTD_createDCtx());
  std::string out;
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  std::string chunk(ZSTD_DStreamOutSize(), '\0');
  size_t rc = 0;
  while (in.pos < in.size || rc != 0) {
    ZSTD_outBuffer to{chunk.data(), chunk.size(), 0};
    const size_t before = in.pos;
    rc = ZSTD_decompressStream(decoder.get(), &to, &in);
    if (ZSTD_isError(rc)) return data_loss("{}: damaged zstd data near offset {} ({})", where, in.pos, ZSTD_getErrorName(rc));
    if (out.size() + to.pos > static_cast<size_t>(bytes_max)) return too_large(where, bytes_max);
    out.append(chunk, 0, to.pos);
    if (in.pos == before && to.pos == 0) return data_loss("{}: zstd data ends in the middle of a frame", where);
  }
  return out;
}

Result<std::string> decompress(std::string_view bytes, const std::string& where, int64_t bytes_max) {
  if (bytes.substr(0, 2) == "\x1F\x8B") return decompress_gzip(bytes, where, bytes_max);
  if (bytes.substr(0, 4) == "\x28\xB5\x2F\xFD") return decompress_zstd(bytes, where, bytes_max);
  if (bytes.size() > static_cast<size_t>(bytes_max)) return too_large(where, bytes_max);
  return std::string(bytes);
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
