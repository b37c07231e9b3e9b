// How many bytes of the arena hold something while a step runs: the plan's lifetimes laid along the launches of the first
// measured step. A step's graphs share one arena and run one after the other.
#pragma once

#include <string>
#include <vector>

#include "profile/profile.h"

namespace bgl::profile {

struct AliveValue {
  std::string what, where;
  int64_t bytes = 0;
  int64_t first_launch = 0, last_launch = 0;  // on the curve
};

struct MemoryCurve {
  std::vector<int64_t> alive;       // during each launch, in bytes
  std::vector<int64_t> arena;       // what the plan of its graph takes
  std::vector<int64_t> bound;       // the most bytes of its graph that are alive at once
  size_t peak_launch = 0;           // the first with the most bytes
  std::vector<AliveValue> at_peak;  // largest first
};

MemoryCurve memory_curve(const Profile& profile);

}  // namespace bgl::profile
