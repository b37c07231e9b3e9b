// A stream's next bytes, looked at before they are taken.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "text/files/byte_stream.h"

namespace bgl::text {

class StreamWindow {
 public:
  explicit StreamWindow(ByteStream& in) : in_(in) {}
  // Has at least `wanted` bytes at hand unless the stream ends before.
  Status fill(size_t wanted) {
    if (bytes_.size() - at_ >= wanted || ended_) return {};
    bytes_.erase(0, at_);
    at_ = 0;
    // Reads ahead, so that the rest is moved to the front seldom.
    const size_t target = wanted + std::min(wanted, size_t{4} << 20) + (size_t{64} << 10);
    while (bytes_.size() < wanted && !ended_) {
      const size_t before = bytes_.size();
      bytes_.resize(target);
      const Result<int64_t> n = in_.read(bytes_.data() + before, static_cast<int64_t>(bytes_.size() - before));
      bytes_.resize(before + static_cast<size_t>(n.ok() ? *n : 0));
      if (!n.ok()) return n.status();
      ended_ = *n == 0;
    }
    return {};
  }
  // Valid until the next call.
  std::string_view rest() const { return std::string_view(bytes_).substr(at_); }
  void take(size_t n) {
    at_ += n;
    taken_ += static_cast<int64_t>(n);
  }
  // Bytes taken since the beginning.
  int64_t taken() const { return taken_; }

  // The bytes up to `mark`, and takes them and the mark; those up to the end of the stream where there is none. Of more than
  // `bytes_max` the rest is skipped, and `cut` becomes true. `out` empty and false: the stream had ended.
  Result<bool> take_until(char mark, size_t bytes_max, std::string& out, bool& cut) {
    out.clear();
    cut = false;
    bool any = false;
    for (;;) {
      BGL_TRY(fill(1));
      const std::string_view bytes = rest();
      if (bytes.empty()) return any;
      any = true;
      const size_t end = bytes.find(mark);
      const std::string_view piece = bytes.substr(0, end);
      if (!cut && out.size() + piece.size() > bytes_max) {
        cut = true;
        std::string().swap(out);
      }
      if (!cut) out += piece;
      take(end == std::string_view::npos ? bytes.size() : end + 1);
      if (end != std::string_view::npos) return true;
    }
  }

 private:
  ByteStream& in_;
  std::string bytes_;
  size_t at_ = 0;
  int64_t taken_ = 0;
  bool ended_ = false;
};

}  // namespace bgl::text
