#include "memory/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <numeric>
#include <random>

namespace bgl::memory {
namespace {

uint64_t aligned(uint64_t n) { return (n + 63) / 64 * 64; }

void expect_valid(const std::vector<Interval>& v, const Plan& p) {
  ASSERT_EQ(p.offsets.size(), v.size());
  uint64_t peak = 0;
  for (size_t i = 0; i < v.size(); ++i) {
    if (v[i].begin >= v[i].end || v[i].bytes == 0) continue;
    EXPECT_EQ(p.offsets[i] % kPlanAlignment, 0u);
    peak = std::max(peak, p.offsets[i] + aligned(v[i].bytes));
    for (size_t j = 0; j < i; ++j) {
      const bool time = v[i].begin < v[j].end && v[j].begin < v[i].end && v[j].begin < v[j].end && v[j].bytes > 0;
      const bool space = p.offsets[i] < p.offsets[j] + v[j].bytes && p.offsets[j] < p.offsets[i] + v[i].bytes;
      ASSERT_FALSE(time && space) << i << " and " << j << " share a byte";
    }
  }
  EXPECT_EQ(p.peak, peak);
  EXPECT_GE(p.peak, p.lower_bound);
}

// The best peak over all orders of lowest-hole placement, which contains an optimal plan.
uint64_t brute_force(const std::vector<Interval>& v) {
  std::vector<size_t> order(v.size());
  std::iota(order.begin(), order.end(), size_t{0});
  uint64_t best = ~uint64_t{0};
  do {
    std::vector<uint64_t> at(v.size());
    uint64_t peak = 0;
    for (size_t k = 0; k < order.size(); ++k) {
      const Interval& b = v[order[k]];
      uint64_t offset = 0;
      for (bool moved = true; moved;) {
        moved = false;
        for (size_t j = 0; j < k; ++j) {
          const Interval& p = v[order[j]];
          const uint64_t low = at[order[j]], high = low + aligned(p.bytes);
          if (p.begin < b.end && b.begin < p.end && offset < high && low < offset + aligned(b.bytes))
            offset = high, moved = true;
        }
      }
      at[order[k]] = offset;
      peak = std::max(peak, offset + aligned(b.bytes));
    }
    best = std::min(best, peak);
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

TEST(Plan, EmptyAndTrivial) {
  EXPECT_EQ(plan_memory({}).peak, 0u);
  const std::vector<Interval> v{{0, 3, 100}, {3, 5, 200}, {1, 1, 50}, {0, 9, 0}};
  const Plan p = plan_memory(v);
  EXPECT_EQ(p.offsets, (std::vector<uint64_t>{0, 0, 0, 0}));
  EXPECT_EQ(p.peak, 256u);
  EXPECT_EQ(p.lower_bound, 256u);
}

TEST(Plan, ReachesTheOptimumOfSmallProblems) {
  std::mt19937 rng(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<Interval> v;
    for (int i = 0; i < 7; ++i) {
      const int64_t begin = rng() % 10;
      v.push_back({begin, begin + 1 + static_cast<int64_t>(rng() % 6), 1 + rng() % 600});
    }
    const Plan p = plan_memory(v);
    expect_valid(v, p);
    EXPECT_EQ(p.peak, brute_force(v)) << "round " << round;
  }
}

// A training step: each layer's forward leaves values for its backward, with short-lived temporaries of both.
std::vector<Interval> training_step(int layers, int per_layer, std::mt19937& rng) {
  std::vector<Interval> v;
  const int64_t steps = 2ll * layers * per_layer;
  for (int layer = 0; layer < layers; ++layer) {
    for (int i = 0; i < per_layer; ++i) {
      const int64_t t = static_cast<int64_t>(layer) * per_layer + i, back = steps - 1 - t;
      const uint64_t size = (1 + rng() % 8) * 4096 + (rng() % 5 == 0 ? rng() % 1000 : 0);
      if (rng() % 3 == 0) {
        v.push_back({t, t + 1 + static_cast<int64_t>(rng() % 4), size});
      } else {
        v.push_back({t, back + 1, size});
      }
      v.push_back({back, back + 1 + static_cast<int64_t>(rng() % 6), size});
    }
  }
  return v;
}

TEST(Plan, TrainingStepsWithinOnePercent) {
  std::mt19937 rng(3);
  for (const auto& [layers, per_layer] : {std::pair{1, 5}, {4, 12}, {12, 20}, {24, 30}, {48, 40}}) {
    const std::vector<Interval> v = training_step(layers, per_layer, rng);
    const Plan p = plan_memory(v);
    expect_valid(v, p);
    EXPECT_LE(static_cast<double>(p.peak), 1.01 * static_cast<double>(p.lower_bound)) << layers << " layers";
  }
}

TEST(Plan, RandomLifetimesAreValidAndNearTheBound) {
  std::mt19937 rng(11);
  for (int round = 0; round < 10; ++round) {
    std::vector<Interval> v;
    for (int i = 0; i < 400; ++i) {
      const int64_t begin = rng() % 300;
      v.push_back({begin, begin + 1 + static_cast<int64_t>(rng() % 40), 64 * (1 + rng() % 300)});
    }
    const Plan p = plan_memory(v);
    expect_valid(v, p);
    EXPECT_LE(static_cast<double>(p.peak), 1.08 * static_cast<double>(p.lower_bound));
  }
}

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

TEST(Plan, FiveThousandIntervalsAreFast) {
  std::mt19937 rng(5);
  const std::vector<Interval> v = training_step(50, 50, rng);
  ASSERT_EQ(v.size(), 5000u);
  double best = 1e9;  // CPU time, the least of three: other work on the machine is no fault of ours
  for (int i = 0; i < 3; ++i) {
    const double start = cpu_seconds();
    const Plan p = plan_memory(v);
    best = std::min(best, cpu_seconds() - start);
    EXPECT_LE(static_cast<double>(p.peak), 1.01 * static_cast<double>(p.lower_bound));
  }
  RecordProperty("milliseconds", static_cast<int>(best * 1e3));
#ifdef NDEBUG
  EXPECT_LT(best, 0.1);
#endif
}

}  // namespace
}  // namespace bgl::memory
