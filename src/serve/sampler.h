// One token out of a row of logits.
#pragma once

#include <cstdint>
#include <span>

#include "ops/random.h"

namespace bgl::serve {

struct SamplingOptions {
  double temperature = 1;  // 0: the first of the most likely tokens
  double top_p = 1;        // the smallest set of tokens whose probability reaches it
  int64_t top_k = 0;       // 0: all
};

// Draws from softmax(logits / temperature) cut by top_k and then top_p. The same generator state gives the same token. NaN
// logits are never chosen; a row of nothing else gives -1.
int32_t sample(std::span<const float> logits, const SamplingOptions& options, ops::Generator& generator);

}  // namespace bgl::serve
