// A recorded load: Mooncake's trace, a JSON object a line with timestamp (ms), input_length, output_length (tokens) and hash_ids (a number
// for every 512 tokens of the prompt; equal numbers are equal beginnings). Ref: Mooncake (FAST 2025), its published traces.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace bgl::serve {

struct TraceRequest {
  double at_s = 0;  // after the first request
  int64_t input = 0, output = 0;
  std::vector<int64_t> blocks;
};

struct ReplayTrace {
  std::vector<TraceRequest> requests;  // in order of time
  int64_t block = 512;                 // tokens of a block
};

// Errors name file and line. `divide`: lengths and blocks are this much shorter, at least a token each. `seconds` > 0: only the first.
Result<ReplayTrace> read_trace(const std::string& path, int64_t divide = 1, double seconds = 0);

// Token ids from `first` to `last` that begin alike exactly where the blocks are alike.
std::vector<int32_t> prompt_of(const TraceRequest& request, int64_t block, int32_t first, int32_t last);

// Share of all prompt tokens that a cache of `tokens` would have had, were it one least-recently-used list of blocks and every request over
// at once. A request's blocks are touched the deepest first, so that beginnings outlive what follows them.
double ideal_hit_ratio(const ReplayTrace& trace, int64_t tokens);

}  // namespace bgl::serve
