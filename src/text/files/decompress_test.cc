#include "text/files/decompress.h"

#include <gtest/gtest.h>
#include <libdeflate.h>

namespace bgl::text {
namespace {

std::string gzip(const std::string& text) {
  libdeflate_compressor* c = libdeflate_alloc_compressor(6);
  std::string out(libdeflate_gzip_compress_bound(c, text.size()), '\0');
  out.resize(libdeflate_gzip_compress(c, text.data(), text.size(), out.data(), out.size()));
  libdeflate_free_compressor(c);
  return out;
}

// The same member with an extra header field, as dictzip writes it.
std::string dictzip(const std::string& text) {
  std::string out = gzip(text);
  out[3] = static_cast<char>(out[3] | 4);
  return out.insert(10, std::string("\x06\x00RA\x02\x00\x01\x00", 8));
}

TEST(Decompress, GzipMembersAndDictzip) {
  const std::string big(300000, 'x');
  EXPECT_EQ(*decompress(gzip("one\n") + gzip("two\n"), "f"), "one\ntwo\n");
  EXPECT_EQ(*decompress(dictzip("entry"), "f.dict.dz"), "entry");
  EXPECT_EQ(*decompress(gzip(big), "f"), big);
  EXPECT_EQ(*decompress(gzip("padded") + std::string(5, '\0'), "f"), "padded");
  EXPECT_EQ(*decompress("plain", "f"), "plain");
}

TEST(Decompress, Zstd) {
  const std::string packed = *compress_zstd("hello hello hello");
  EXPECT_EQ(*decompress(packed + packed, "f"), "hello hello hellohello hello hello");
  EXPECT_EQ(decompress(packed.substr(0, packed.size() - 6), "f.zst").status().message(),
            "f.zst: the zstd data ends in the middle of a frame");
}

TEST(Decompress, DamageAndBombsAreRefused) {
  std::string damaged = gzip("some text that is long enough to be compressed a little");
  damaged[20] = static_cast<char>(damaged[20] ^ 0x55);
  EXPECT_EQ(decompress(damaged, "f.gz").status().message(), "f.gz: damaged gzip data in the member at offset 0");
  const std::string bomb(1 << 20, 'a');
  EXPECT_EQ(decompress(gzip(bomb), "f.gz", 1000).status().message(), "f.gz: holds more than 1000 bytes");
  EXPECT_EQ(decompress(*compress_zstd(bomb), "f.zst", 1000).status().message(), "f.zst: holds more than 1000 bytes");
  EXPECT_EQ(decompress(gzip(bomb), "f.gz", 1 << 20)->size(), bomb.size()) << "exactly at the limit";
}

TEST(Decompress, Suffixes) {
  EXPECT_EQ(without_compression_suffix("a/b.html.gz"), "a/b.html");
  EXPECT_EQ(without_compression_suffix("gcide.dict.dz"), "gcide.dict");
  EXPECT_EQ(without_compression_suffix("b.txt"), "b.txt");
}

}  // namespace
}  // namespace bgl::text
