// torch's random functions: they draw from the generator at the call, in program order. ops/random.h says how far they agree.
#pragma once

#include "framework/tensor.h"
#include "ops/random.h"

namespace bgl::framework {

// Seeds the default generator, as torch.manual_seed does.
void manual_seed(uint64_t seed);

Tensor uniform(const Shape& shape, double low = 0, double high = 1);
Tensor normal(const Shape& shape, double mean = 0, double std = 1);
Tensor randint(int64_t low, int64_t high, const Shape& shape);

}  // namespace bgl::framework
