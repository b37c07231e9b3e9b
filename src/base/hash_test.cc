#include "base/hash.h"

#include <gtest/gtest.h>

namespace bgl {
namespace {

// Values of `xxhsum -H3` and `xxhsum -H2` (xxHash 0.8.1).
TEST(Hash, KnownValues) {
  EXPECT_EQ(hex64(hash64("")), "2d06800538d394c2");
  EXPECT_EQ(hash128_hex(""), "99aa06d3014798d86001c324468d497f");
}

TEST(Hash, PiecesGiveTheHashOfTheWhole) {
  std::string bytes;
  for (int i = 0; i < 5000; ++i) bytes += static_cast<char>(i * 31 + i / 7);
  for (size_t step : {1u, 7u, 240u, 241u, 4096u}) {
    Hasher hasher;
    for (size_t at = 0; at < bytes.size(); at += step) hasher.update(std::string_view(bytes).substr(at, step));
    EXPECT_EQ(hasher.digest64(), hash64(bytes)) << step;
    EXPECT_EQ(hasher.digest128(), hash128(bytes)) << step;
  }
}

TEST(Hash, SeedAndBytesMatter) {
  EXPECT_NE(hash64("a"), hash64("b"));
  EXPECT_NE(hash64("a"), hash64("a", 1));
  EXPECT_NE(hash128("a"), hash128("a", 1));
  EXPECT_LT((Hash128{1, 9}), (Hash128{2, 0}));
}

}  // namespace
}  // namespace bgl
