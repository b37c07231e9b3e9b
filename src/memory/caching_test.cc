#include "memory/caching.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <thread>

namespace bgl::memory {
namespace {

// A source of one fixed address range that only counts: nothing is touched.
struct FakeDevice {
  uint64_t capacity;
  uint64_t used = 0;
  uint64_t next = uint64_t{1} << 40;
  std::map<uint64_t, uint64_t> slabs;
  SlabSource source() {
    return {[this](uint64_t bytes) -> void* {
              if (used + bytes > capacity) return nullptr;
              used += bytes;
              const uint64_t at = next;
              next += bytes + (rand_gap += 4096);
              slabs[at] = bytes;
              return reinterpret_cast<void*>(at);
            },
            [this](void* p, uint64_t bytes) {
              const auto at = slabs.find(reinterpret_cast<uint64_t>(p));
              ASSERT_TRUE(at != slabs.end());
              ASSERT_EQ(at->second, bytes);
              used -= bytes;
              slabs.erase(at);
            }};
  }
  uint64_t rand_gap = 0;
};

TEST(Caching, ReusesSplitsAndMerges) {
  FakeDevice device{1 << 20};
  CachingAllocator a(device.source(), {.slab_bytes = 4096});
  char* p = static_cast<char*>(*a.allocate(100, "p"));
  char* q = static_cast<char*>(*a.allocate(1000, "q"));
  char* r = static_cast<char*>(*a.allocate(64, "r"));
  EXPECT_EQ(q - p, 128);
  EXPECT_EQ(r - q, 1024);
  EXPECT_EQ(a.stats().held, 128u + 1024 + 64);
  a.free(q);
  EXPECT_EQ(*a.allocate(1024, "again"), q);  // best fit takes the hole, not the slab's large rest
  a.free(q);
  a.free(p);
  EXPECT_EQ(*a.allocate(1152, "merged"), p);
  a.free(p);
  a.free(r);
  EXPECT_EQ(a.stats().largest_free, 4096u);
  EXPECT_EQ(a.stats().held, 0u);
  EXPECT_EQ(a.stats().peak_held, 1216u);
  EXPECT_EQ(a.trim(), 4096u);
  EXPECT_EQ(device.used, 0u);
  EXPECT_EQ(*a.allocate(0, "none"), nullptr);
  a.free(nullptr);
}

TEST(Caching, FailureSaysWhoHoldsWhat) {
  FakeDevice device{64 << 10};
  CachingAllocator a(device.source(), {.slab_bytes = 64 << 10});
  ASSERT_TRUE(a.allocate(30 << 10, "weights").ok());
  void* hole = *a.allocate(8 << 10, "scratch");
  ASSERT_TRUE(a.allocate(10 << 10, "weights").ok());
  ASSERT_TRUE(a.allocate(4 << 10, "kv cache").ok());
  a.free(hole);
  const auto failed = a.allocate(16 << 10, "activations");
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.status().code(), Code::kResourceExhausted);
  EXPECT_EQ(
      failed.status().message(),
      "out of memory: 16.0 KiB for activations; 64.0 KiB in slabs, of which 20.0 KiB free, 12.0 KiB at most in one piece; "
      "held by weights 40.0 KiB in 2 blocks, kv cache 4.0 KiB in 1 block");
  EXPECT_FALSE(a.allocate(~uint64_t{0}, "the world").ok());
}

TEST(Caching, FreeSlabsAreGivenBackForALargerOne) {
  FakeDevice device{100 << 10};
  CachingAllocator a(device.source(), {.slab_bytes = 25 << 10});
  std::vector<void*> held;
  for (int i = 0; i < 4; ++i) held.push_back(*a.allocate(25 << 10, "small"));
  for (void* p : held) a.free(p);
  EXPECT_TRUE(a.allocate(100 << 10, "large").ok());  // no free stretch is so large, but the device has as much
}

// The naive model: a list of held ranges in each slab. Every answer is checked against it.
TEST(Caching, AgreesWithANaiveModel) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    std::mt19937 rng(seed);
    FakeDevice device{256 << 10};
    CachingAllocator a(device.source(), {.slab_bytes = seed % 2 ? uint64_t{256} << 10 : uint64_t{16} << 10});
    std::map<uint64_t, uint64_t> held;  // start -> bytes
    uint64_t total = 0;
    for (int step = 0; step < 3000; ++step) {
      if (rng() % 5 < 3) {
        const uint64_t bytes = rng() % 8 == 0 ? 1 + rng() % 60000 : 1 + rng() % 3000;
        const uint64_t size = (bytes + 63) / 64 * 64;
        const auto p = a.allocate(bytes, "x");
        if (p.ok()) {
          const auto at = reinterpret_cast<uint64_t>(*p);
          const auto slab = std::prev(device.slabs.upper_bound(at));
          ASSERT_LE(at + size, slab->first + slab->second);
          ASSERT_EQ((at - slab->first) % 64, 0u);
          const auto after = held.lower_bound(at);
          ASSERT_TRUE(after == held.end() || at + size <= after->first);
          ASSERT_TRUE(after == held.begin() || std::prev(after)->first + std::prev(after)->second <= at);
          held[at] = size;
          total += size;
        } else {
          // There really is no stretch of so many bytes, in any slab or outside them.
          ASSERT_GT(device.used + size, device.capacity);
          for (const auto& [start, slab_bytes] : device.slabs) {
            uint64_t from = start;
            for (auto h = held.lower_bound(start); h != held.end() && h->first < start + slab_bytes; ++h) {
              ASSERT_LT(h->first - from, size);
              from = h->first + h->second;
            }
            ASSERT_LT(start + slab_bytes - from, size);
            ASSERT_NE(from, start) << "a wholly free slab was kept";
          }
        }
      } else if (!held.empty()) {
        auto h = held.begin();
        std::advance(h, static_cast<ptrdiff_t>(rng() % held.size()));
        a.free(reinterpret_cast<void*>(h->first));
        total -= h->second;
        held.erase(h);
      }
      ASSERT_EQ(a.stats().held, total);
      ASSERT_EQ(a.stats().in_slabs, device.used);
    }
  }
}

TEST(Caching, ThreadsShareIt) {
  CachingAllocator a(host_slabs(), {.slab_bytes = 1 << 20});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&a, t] {
      std::mt19937 rng(static_cast<uint32_t>(t));
      std::vector<std::pair<char*, size_t>> mine;
      for (int i = 0; i < 2000; ++i) {
        const size_t n = 1 + rng() % 2000;
        char* p = static_cast<char*>(*a.allocate(n, "thread"));
        std::fill(p, p + n, static_cast<char>(t));
        mine.emplace_back(p, n);
        if (mine.size() > 20) {
          const auto [q, m] = mine[rng() % mine.size()];
          EXPECT_TRUE(std::all_of(q, q + m, [t](char c) { return c == static_cast<char>(t); }));
          mine.erase(std::find(mine.begin(), mine.end(), std::pair{q, m}));
          a.free(q);
        }
      }
      for (const auto& [p, n] : mine) a.free(p);
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(a.stats().held, 0u);
}

}  // namespace
}  // namespace bgl::memory
