#include "base/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

namespace bgl {
namespace {

TEST(ThreadPool, EveryIndexRunsOnce) {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (int64_t n : {0, 1, 2, 7, 1000}) {
      for (int64_t grain : {1, 3, 5000}) {
        std::vector<std::atomic<int>> hits(static_cast<size_t>(n));
        pool.parallel_for(n, grain, [&](int64_t b, int64_t e) {
          for (int64_t i = b; i < e; ++i) hits[static_cast<size_t>(i)]++;
        });
        for (auto& h : hits) ASSERT_EQ(h.load(), 1);
      }
    }
  }
}

TEST(ThreadPool, NestedCallsRunInlineAndManyJobsFollowEachOther) {
  ThreadPool pool(4);
  std::atomic<int64_t> sum{0};
  for (int round = 0; round < 2000; ++round) {
    pool.parallel_for(8, 1, [&](int64_t b, int64_t e) {
      pool.parallel_for(e - b, 1, [&](int64_t bb, int64_t ee) { sum += ee - bb; });
    });
  }
  EXPECT_EQ(sum.load(), 16000);
}

}  // namespace
}  // namespace bgl
