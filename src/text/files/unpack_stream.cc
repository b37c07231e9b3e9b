// Streaming decompression. A gzip member that fits the window is unpacked in one call of libdeflate, which is about three times
// as fast as zlib; a larger one goes through zlib piece by piece. Members of WARC files are small.
#include <libdeflate.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>

#include "text/files/byte_stream.h"
#include "text/files/stream_window.h"

namespace bgl::text {
namespace {

constexpr size_t kWindow = 1 << 20;  // of compressed bytes
constexpr size_t kRoom = 4 << 20;    // of a small member's output

struct DeflateFree {
  void operator()(libdeflate_decompressor* d) const { libdeflate_free_decompressor(d); }
};
struct ZstdFree {
  void operator()(ZSTD_DCtx* d) const { ZSTD_freeDCtx(d); }
};

class Unpacker final : public ByteStream {
 public:
  Unpacker(std::unique_ptr<ByteStream> packed, std::string where, UnpackLimits limits)
      : packed_(std::move(packed)), in_(*packed_), where_(std::move(where)), limits_(limits) {}
  ~Unpacker() override {
    if (inflating_) inflateEnd(&zlib_);
  }

  Result<int64_t> read(char* out, int64_t length) override {
    if (kind_ == Kind::kUnknown) BGL_TRY(open());
    const auto room = static_cast<size_t>(length);
    BGL_ASSIGN(const size_t n, kind_ == Kind::kGzip   ? gzip(out, room)
                               : kind_ == Kind::kZstd ? zstd(out, room)
                                                      : plain(out, room));
    made_ += static_cast<int64_t>(n);
    if (kind_ != Kind::kPlain && made_ > limits_.free_bytes && made_ / limits_.ratio > in_.taken()) {
      return make_status(Code::kResourceExhausted,
                         "{}: {} bytes unpack to more than {} times their size; a bomb, or raise the ratio that is let through",
                         where_, in_.taken(), limits_.ratio);
    }
    return static_cast<int64_t>(n);
  }

 private:
  enum class Kind { kUnknown, kPlain, kGzip, kZstd };

  Status open() {
    BGL_TRY(in_.fill(4));
    const std::string_view head = in_.rest();
    kind_ = head.substr(0, 2) == "\x1F\x8B"           ? Kind::kGzip
            : head.substr(0, 4) == "\x28\xB5\x2F\xFD" ? Kind::kZstd
                                                      : Kind::kPlain;
    return {};
  }

  Result<size_t> plain(char* out, size_t room) {
    BGL_TRY(in_.fill(1));
    const size_t n = std::min(room, in_.rest().size());
    std::memcpy(out, in_.rest().data(), n);
    in_.take(n);
    return n;
  }

  Status damaged() const { return data_loss("{}: damaged gzip data in the member at offset {}", where_, member_at_); }

  Result<size_t> gzip(char* out, size_t room) {
    for (;;) {
      if (ready_at_ < ready_end_) {
        const size_t n = std::min(room, ready_end_ - ready_at_);
        std::memcpy(out, ready_.data() + ready_at_, n);
        ready_at_ += n;
        return n;
      }
      if (inflating_) {
        BGL_ASSIGN(const size_t n, inflate_some(out, room));
        if (n > 0) return n;
        continue;
      }
      BGL_ASSIGN(const bool more, next_member());
      if (!more) return size_t{0};
    }
  }

  // Unpacks a whole small member, or begins a large one. False at the end.
  Result<bool> next_member() {
    BGL_TRY(in_.fill(kWindow));
    // Zeros that pad the file to a block size are not a member.
    while (in_.taken() > 0 && !in_.rest().empty() && in_.rest().find_first_not_of('\0') == std::string_view::npos) {
      in_.take(in_.rest().size());
      BGL_TRY(in_.fill(kWindow));
    }
    if (in_.rest().empty()) return false;
    member_at_ = in_.taken();
    if (!deflate_) deflate_.reset(libdeflate_alloc_decompressor());
    ready_.resize(kRoom);
    ready_at_ = 0;
    size_t used = 0, made = 0;
    const std::string_view rest = in_.rest();
    const libdeflate_result rc =
        libdeflate_gzip_decompress_ex(deflate_.get(), rest.data(), rest.size(), ready_.data(), ready_.size(), &used, &made);
    ready_end_ = rc == LIBDEFLATE_SUCCESS ? made : 0;
    if (rc == LIBDEFLATE_SUCCESS) {
      in_.take(used);
      return true;
    }
    // It is larger than the window, or its output than the room, or damaged: zlib tells which.
    zlib_ = {};
    if (inflateInit2(&zlib_, 15 + 16) != Z_OK) return make_status(Code::kResourceExhausted, "{}: no memory for zlib", where_);
    inflating_ = true;
    return true;
  }

  // 0 when the member has ended.
  Result<size_t> inflate_some(char* out, size_t room) {
    zlib_.next_out = reinterpret_cast<Bytef*>(out);
    zlib_.avail_out = static_cast<uInt>(std::min(room, size_t{1} << 30));
    const size_t wanted = zlib_.avail_out;
    int rc = Z_OK;
    while (zlib_.avail_out == wanted && rc != Z_STREAM_END) {
      BGL_TRY(in_.fill(1));
      const std::string_view rest = in_.rest();
      if (rest.empty()) return data_loss("{}: the gzip data ends in the middle of the member at offset {}", where_, member_at_);
      zlib_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(rest.data()));
      zlib_.avail_in = static_cast<uInt>(std::min(rest.size(), kWindow));
      const uInt before = zlib_.avail_in;
      rc = inflate(&zlib_, Z_NO_FLUSH);
      if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) return damaged();
      in_.take(before - zlib_.avail_in);
    }
    if (rc == Z_STREAM_END) {
      inflateEnd(&zlib_);
      inflating_ = false;
    }
    return wanted - zlib_.avail_out;
  }

  Result<size_t> zstd(char* out, size_t room) {
    if (!zstd_) zstd_.reset(ZSTD_createDCtx());
    ZSTD_outBuffer to{out, room, 0};
    while (to.pos == 0) {
      BGL_TRY(in_.fill(1));
      const std::string_view rest = in_.rest();
      if (rest.empty() && frame_left_ == 0) return size_t{0};
      ZSTD_inBuffer from{rest.data(), rest.size(), 0};
      const size_t rc = ZSTD_decompressStream(zstd_.get(), &to, &from);
      if (ZSTD_isError(rc)) {
        return data_loss("{}: damaged zstd data near offset {} ({})", where_, in_.taken() + static_cast<int64_t>(from.pos),
                         ZSTD_getErrorName(rc));
      }
      in_.take(from.pos);
      frame_left_ = rc;
      if (rest.empty() && to.pos == 0) return data_loss("{}: the zstd data ends in the middle of a frame", where_);
    }
    return to.pos;
  }

  std::unique_ptr<ByteStream> packed_;
  StreamWindow in_;
  const std::string where_;
  const UnpackLimits limits_;
  Kind kind_ = Kind::kUnknown;
  int64_t made_ = 0, member_at_ = 0;
  std::unique_ptr<libdeflate_decompressor, DeflateFree> deflate_;
  std::string ready_;  // a small member's content, of which these bytes are not yet read:
  size_t ready_at_ = 0, ready_end_ = 0;
  z_stream zlib_ = {};
  bool inflating_ = false;
  std::unique_ptr<ZSTD_DCtx, ZstdFree> zstd_;
  size_t frame_left_ = 0;
};

}  // namespace

std::unique_ptr<ByteStream> unpack_stream(std::unique_ptr<ByteStream> packed, std::string where, UnpackLimits limits) {
  return std::make_unique<Unpacker>(std::move(packed), std::move(where), limits);
}

}  // namespace bgl::text
