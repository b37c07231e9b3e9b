#include "text/files/byte_stream.h"

#include <algorithm>
#include <cstring>

namespace bgl::text {
namespace {

class ViewStream final : public ByteStream {
 public:
  explicit ViewStream(std::string_view bytes) : left_(bytes) {}
  Result<int64_t> read(char* out, int64_t length) override {
    const size_t n = std::min(left_.size(), static_cast<size_t>(length));
    std::memcpy(out, left_.data(), n);
    left_.remove_prefix(n);
    return static_cast<int64_t>(n);
  }

 private:
  std::string_view left_;
};

class StringStream final : public ByteStream {
 public:
  explicit StringStream(std::string bytes) : bytes_(std::move(bytes)), view_(bytes_) {}
  Result<int64_t> read(char* out, int64_t length) override { return view_.read(out, length); }

 private:
  const std::string bytes_;
  ViewStream view_;
};

class FileStream final : public ByteStream {
 public:
  explicit FileStream(std::unique_ptr<File> file) : file_(std::move(file)) {}
  Result<int64_t> read(char* out, int64_t length) override {
    BGL_ASSIGN(const int64_t n, file_->pread_into(at_, out, length));
    at_ += n;
    return n;
  }

 private:
  std::unique_ptr<File> file_;
  int64_t at_ = 0;
};

}  // namespace

std::unique_ptr<ByteStream> view_stream(std::string_view bytes) { return std::make_unique<ViewStream>(bytes); }
std::unique_ptr<ByteStream> string_stream(std::string bytes) { return std::make_unique<StringStream>(std::move(bytes)); }
std::unique_ptr<ByteStream> file_stream(std::unique_ptr<File> file) { return std::make_unique<FileStream>(std::move(file)); }

Result<std::string> read_all(ByteStream& stream, const std::string& where, int64_t bytes_max) {
  constexpr int64_t kStep = 256 << 10;
  std::string out;
  for (;;) {
    const size_t before = out.size();
    out.resize(before + kStep);
    BGL_ASSIGN(const int64_t n, stream.read(out.data() + before, kStep));
    out.resize(before + static_cast<size_t>(n));
    if (static_cast<int64_t>(out.size()) > bytes_max) {
      return make_status(Code::kResourceExhausted, "{}: holds more than {} bytes", where, bytes_max);
    }
    if (n == 0) return out;
  }
}

}  // namespace bgl::text
