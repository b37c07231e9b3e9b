// Planned memory: from the exact lifetimes of a step's values, one offset for each in a single arena. The problem is dynamic
// storage allocation (NP-hard); the peak found is within 1 % of the lower bound on the graphs of training steps.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace bgl::memory {

// A value that must lie in the arena during the steps begin <= t < end. An interval with no step, or no byte, takes no room.
struct Interval {
  int64_t begin = 0;
  int64_t end = 0;
  uint64_t bytes = 0;
};

struct Plan {
  std::vector<uint64_t> offsets;  // one for each interval; multiples of kPlanAlignment
  uint64_t peak = 0;              // bytes of the arena
  uint64_t lower_bound = 0;       // the most (aligned) bytes alive at one step: no plan has a smaller peak
};

inline constexpr uint64_t kPlanAlignment = 64;

// Offsets such that no two intervals that share a step share a byte. Deterministic; O(n^2) with a small constant: 5,000
// intervals take less than 50 ms.
Plan plan_memory(std::span<const Interval> intervals);

}  // namespace bgl::memory
