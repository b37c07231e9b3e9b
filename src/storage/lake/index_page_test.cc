#include "storage/lake/internal/index_page.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/hash.h"

namespace bgl::storage {
namespace {

std::string_view page_at(const std::string& pages, uint64_t number) {
  return std::string_view(pages).substr(number * kIndexPageBytes, kIndexPageBytes);
}

uint64_t random_key(uint64_t i) { return hash64({reinterpret_cast<const char*>(&i), 8}, 42); }

struct Built {
  std::vector<uint64_t> keys;
  std::vector<uint64_t> units{0};
  IndexShape shape;
  std::string pages;
};

// `max_units`: sizes are 1..max_units.
Built build(uint64_t n, uint64_t max_units) {
  Built b;
  for (uint64_t i = 0; i < n; ++i) b.keys.push_back(random_key(i));
  std::sort(b.keys.begin(), b.keys.end());
  for (uint64_t i = 0; i < n; ++i) b.units.push_back(b.units.back() + 1 + random_key(i + n) % max_units);
  b.pages = std::move(build_index(b.keys, b.units, b.shape)).value();
  return b;
}

TEST(IndexPage, EveryKeyIsFoundWithItsRecord) {
  for (const uint64_t n : {1u, 2u, 3u, 100u, 5000u, 100000u}) {
    for (const uint64_t max_units : {1u, 2u, 63u, 5000u}) {
      const Built b = build(n, max_units);
      ASSERT_EQ(b.pages.size(), b.shape.pages() * kIndexPageBytes);
      for (uint64_t p = 0; p < b.shape.pages(); ++p) ASSERT_TRUE(check_index_page(page_at(b.pages, p), p).ok());
      for (uint64_t i = 0; i < n; ++i) {
        const IndexHit hit = find_in_page(b.shape, page_at(b.pages, b.shape.page_of(b.keys[i])), b.keys[i]);
        ASSERT_GE(hit.count, 1u) << n << " " << i;
        ASSERT_LE(hit.rank, i);
        ASSERT_GT(hit.rank + hit.count, i);
        ASSERT_EQ(hit.begin, b.units[hit.rank]);
        ASSERT_EQ(hit.end, b.units[hit.rank + hit.count]);
      }
    }
  }
}

TEST(IndexPage, AbsentKeysAreMostlyKnownAbsentAndKeysCostTwoBytes) {
  const uint64_t n = 100000;
  const Built b = build(n, 63);  // an average of 32 units per record, as the segment writer chooses its unit
  int64_t taken_for_present = 0;
  for (uint64_t i = 0; i < n; ++i) {
    const uint64_t key = random_key(i + 10 * n);
    taken_for_present += find_in_page(b.shape, page_at(b.pages, b.shape.page_of(key)), key).count > 0;
  }
  EXPECT_NEAR(static_cast<double>(taken_for_present) / n, 1.0 / 64, 0.003);
  const double bytes_per_key = static_cast<double>(b.pages.size()) / n;
  EXPECT_LT(bytes_per_key, 2.1);
  RecordProperty("bytes_per_key", std::to_string(bytes_per_key));
  double several = 0;
  for (const uint64_t key : b.keys) {
    several += find_in_page(b.shape, page_at(b.pages, b.shape.page_of(key)), key).count > 1;
  }
  EXPECT_LT(several / n, 0.035);  // neighbours that share bucket and key bits, read in the same read
}

TEST(IndexPage, EqualKeysAreAllNamed) {
  std::vector<uint64_t> keys(50, 12345);
  keys.push_back(UINT64_MAX);
  std::vector<uint64_t> units(52);
  for (uint64_t i = 0; i < units.size(); ++i) units[i] = 3 * i;
  IndexShape shape;
  const std::string pages = std::move(build_index(keys, units, shape)).value();
  const IndexHit hit = find_in_page(shape, page_at(pages, shape.page_of(12345)), 12345);
  EXPECT_EQ(hit.rank, 0u);
  EXPECT_EQ(hit.count, 50u);
  EXPECT_EQ(hit.end, 150u);
  const IndexHit last = find_in_page(shape, page_at(pages, shape.page_of(UINT64_MAX)), UINT64_MAX);
  EXPECT_EQ(last.rank, 50u);
  EXPECT_EQ(last.end, 153u);
  EXPECT_EQ(build_index(std::vector<uint64_t>(70000, 1), std::vector<uint64_t>(70001, 1), shape).status().message(),
            "too many equal keys for an index page");
}

TEST(IndexPage, AFlippedBitIsSeen) {
  Built b = build(10, 5);
  for (size_t i = 0; i < b.pages.size(); ++i) {
    b.pages[i] = static_cast<char>(b.pages[i] ^ 4);
    EXPECT_EQ(check_index_page(b.pages, 0).message(), "checksum of index page 0 differs");
    b.pages[i] = static_cast<char>(b.pages[i] ^ 4);
  }
  EXPECT_TRUE(check_index_page(b.pages, 0).ok());
  EXPECT_FALSE(check_index_page(b.pages, 1).ok());
}

}  // namespace
}  // namespace bgl::storage
