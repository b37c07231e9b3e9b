#include "text/files/byte_stream.h"

#include <gtest/gtest.h>
#include <libdeflate.h>
#include <zstd.h>

#include <random>

#include "base/process_memory.h"
#include "sim/sim_env.h"
#include "text/documents/reading_for_test.h"
#include "text/files/decompress.h"
#include "text/files/packed_writer.h"

namespace bgl::text {
namespace {

std::string gzip_member(const std::string& text) {
  libdeflate_compressor* c = libdeflate_alloc_compressor(6);
  std::string out(libdeflate_gzip_compress_bound(c, text.size()), '\0');
  out.resize(libdeflate_gzip_compress(c, text.data(), text.size(), out.data(), out.size()));
  libdeflate_free_compressor(c);
  return out;
}

// Gives few bytes at a time, as a pipe would.
class Trickle final : public ByteStream {
 public:
  Trickle(std::string bytes, uint32_t seed) : bytes_(std::move(bytes)), random_(seed) {}
  Result<int64_t> read(char* out, int64_t length) override {
    const size_t n = std::min({bytes_.size() - at_, static_cast<size_t>(length), size_t{1} + random_() % 70000});
    bytes_.copy(out, n, at_);
    at_ += n;
    return static_cast<int64_t>(n);
  }

 private:
  std::string bytes_;
  size_t at_ = 0;
  std::mt19937 random_;
};

std::string noise(size_t bytes, uint32_t seed) {
  std::mt19937 random(seed);
  std::string out(bytes, '\0');
  for (char& c : out) c = static_cast<char>('a' + random() % 20);
  return out;
}

// Small members, members whose content or whose packed bytes are larger than the window, and what pads them.
TEST(ByteStream, UnpacksLikeOneCall) {
  const std::string small = noise(1000, 1), wide(9 << 20, 'x'), large = noise(5 << 20, 2);
  const std::string gz = gzip_member(small) + gzip_member(wide) + gzip_member("") + gzip_member(large) + gzip_member(small);
  const std::string content = small + wide + large + small;
  for (uint32_t seed = 1; seed < 4; ++seed) {
    const auto stream = unpack_stream(std::make_unique<Trickle>(gz + std::string(3000000, '\0'), seed), "x");
    EXPECT_TRUE(*read_all(*stream, "x", 1 << 30) == content) << "seed " << seed;
    const auto zst = unpack_stream(std::make_unique<Trickle>(*compress_zstd(content) + *compress_zstd(small), seed), "x");
    EXPECT_TRUE(*read_all(*zst, "x", 1 << 30) == content + small) << "seed " << seed;
    const auto plain = unpack_stream(std::make_unique<Trickle>(content, seed), "x");
    EXPECT_TRUE(*read_all(*plain, "x", 1 << 30) == content) << "seed " << seed;
  }
}

std::string zstd_of_zeros(size_t bytes) {
  const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> c(ZSTD_createCCtx(), &ZSTD_freeCCtx);
  const std::string piece(1 << 20, '\0');
  std::string out;
  char room[1 << 16];
  for (size_t made = 0; made <= bytes; made += piece.size()) {
    const bool last = made + piece.size() > bytes;
    ZSTD_inBuffer in{piece.data(), piece.size(), 0};
    for (size_t left = 1; last ? left != 0 : in.pos < in.size;) {
      ZSTD_outBuffer to{room, sizeof room, 0};
      left = ZSTD_compressStream2(c.get(), &to, &in, last ? ZSTD_e_end : ZSTD_e_continue);
      out.append(room, to.pos);
    }
  }
  return out;
}

// A few kilobytes that would give gigabytes: refused early, by little memory, whatever the reader.
TEST(ByteStream, BombsAreRefused) {
  const std::string zst = zstd_of_zeros(size_t{3} << 30);
  std::string gz;
  for (int i = 0; i < 3; ++i) gz += gzip_member(std::string(100 << 20, '\0'));
  EXPECT_LT(zst.size(), size_t{1} << 20);
  const int64_t before = process_memory().anonymous_bytes;
  for (const char* reader : {"jsonl", "warc"}) {
    const ReadResult out = read_bytes(reader, "b.zst", zst);
    EXPECT_TRUE(out.documents.empty());
    ASSERT_EQ(out.faults.size(), 1u);
    EXPECT_EQ(out.faults[0].rule, "over_limit");
    EXPECT_NE(out.faults[0].why.find("unpack to more than 200 times their size"), std::string::npos) << out.faults[0].why;
    EXPECT_EQ(read_bytes(reader, "b.gz", gz).faults.at(0).rule, "over_limit");
  }
  for (const char* reader : {"html", "text", "markdown", "man"}) {
    EXPECT_EQ(read_bytes(reader, "b", zst).fault(), "over_limit: b: holds more than 16777216 bytes");
    EXPECT_EQ(read_bytes(reader, "b", gz).fault(), "over_limit: b: holds more than 16777216 bytes");
  }
  EXPECT_LT(process_memory().anonymous_bytes - before, 64 << 20);
}

// 2 GB in one line, and a line after it.
TEST(ByteStream, AnEndlessLineTakesNoMemory) {
  class Endless final : public ByteStream {
   public:
    Result<int64_t> read(char* out, int64_t length) override {
      const int64_t n = std::min(length, left_ + static_cast<int64_t>(tail_.size()));
      for (int64_t i = 0; i < n; ++i) out[i] = left_ > 0 ? (--left_, 'x') : take();
      return n;
    }

   private:
    char take() {
      const char c = tail_[0];
      tail_.erase(0, 1);
      return c;
    }
    int64_t left_ = int64_t{2} << 30;
    std::string tail_ = "\n{\"text\":\"after\"}\n";
  };
  const int64_t before = process_memory().anonymous_bytes;
  ReadResult out;
  ReadHandlers handlers;
  handlers.document = [&](Document&& d) -> Status { return out.documents.push_back(std::move(d)), Status(); };
  handlers.fault = [&](ReadFault&& f) -> Status { return out.faults.push_back(std::move(f)), Status(); };
  ASSERT_TRUE(read_stream("jsonl", "big.jsonl", std::make_unique<Endless>(), {}, handlers).ok());
  EXPECT_EQ(out.fault(), "over_limit: big.jsonl:1: a line of more than 16777216 bytes");
  ASSERT_EQ(out.documents.size(), 1u);
  EXPECT_EQ(out.documents[0].text, "after");
  EXPECT_LT(process_memory().anonymous_bytes - before, 48 << 20);
}

TEST(PackedWriter, PiecesDoNotChangeTheFile) {
  sim::SimEnv env(1);
  const std::string text = noise(3000000, 7);
  for (const size_t piece : {size_t{1} << 30, size_t{4097}}) {
    const std::string path = "/f" + std::to_string(piece);
    Result<PackedWriter> writer = PackedWriter::create(env, path);
    ASSERT_TRUE(writer.ok());
    for (size_t at = 0; at < text.size(); at += piece)
      ASSERT_TRUE(writer->append(std::string_view(text).substr(at, piece)).ok());
    EXPECT_FALSE(env.exists(path));
    ASSERT_TRUE(writer->finish().ok());
    EXPECT_TRUE(*decompress(*env.read_file(path), "f") == text);
  }
  EXPECT_TRUE(*env.read_file("/f4097") == *env.read_file("/f1073741824"));
}

}  // namespace
}  // namespace bgl::text
