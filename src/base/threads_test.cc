#include "base/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
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

TEST(ThreadPool, JobsMeetWorkersThatSleepThatLookOutAndThatStillLeave) {
  for (int pause_us : {0, 5, 20, 100}) {
    ThreadPool pool(4);
    int64_t sum = 0;  // written by every job, read by the next: a job that ended early would be seen
    for (int round = 0; round < 300; ++round) {
      std::vector<int64_t> parts(16);
      pool.parallel_for(16, 1, [&](int64_t b, int64_t e) {
        for (int64_t i = b; i < e; ++i) parts[static_cast<size_t>(i)] = sum + i;
      });
      for (int64_t part : parts) sum += part;
      sum %= 1000;
      for (int64_t part : parts) ASSERT_GE(part, 0);
      if (pause_us > 0) std::this_thread::sleep_for(std::chrono::microseconds(pause_us));
    }
    int64_t alone = 0;
    for (int round = 0; round < 300; ++round) alone = (16 * alone + 120 + alone) % 1000;
    EXPECT_EQ(sum, alone);
  }
}

TEST(ThreadPool, CallersOfManyThreadsTakeTurns) {
  ThreadPool pool(3);
  std::atomic<int64_t> sum{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int round = 0; round < 200; ++round) pool.parallel_for(10, 1, [&](int64_t b, int64_t e) { sum += e - b; });
    });
  }
  for (std::thread& t : callers) t.join();
  EXPECT_EQ(sum.load(), 4 * 200 * 10);
}

TEST(ThreadPool, EndsWhileItsWorkersLookOut) {
  for (int round = 0; round < 100; ++round) {
    ThreadPool pool(3);
    if (round % 2) pool.parallel_for(3, 1, [](int64_t, int64_t) {});
  }
}

}  // namespace
}  // namespace bgl
