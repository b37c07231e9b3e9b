// torch's random functions: they draw from the generator at the call, in program order. ops/random.h says how far they agree.
#pragma once

#include "framework/tensor.h"
#include "ops/random.h"

namespace bgl::framework {

// Seeds the default generator, as torch.manual_seed does.
void manual_seed(uint64_t seed);

Tensor uniform(const Shape& shape, double low = 0, double high = 1);
Tensor normal(const Shape& shape, double mean = 0, double std = 1);
inline Tensor rand(const Shape& shape) { return uniform(shape); }
inline Tensor randn(const Shape& shape) { return normal(shape); }
Tensor randint(int64_t low, int64_t high, const Shape& shape);
Tensor randperm(int64_t n);
// 1 where a uniform number falls under the element, else 0.
Tensor bernoulli(const Tensor& probabilities);
// weights[N] or [R, N] -> int64 [count] or [R, count]: indices drawn in proportion to the weights, row by row.
Tensor multinomial(const Tensor& weights, int64_t count, bool replacement = false);

// In place, as torch's methods of these names.
Tensor& uniform_(Tensor& t, double low = 0, double high = 1);
Tensor& normal_(Tensor& t, double mean = 0, double std = 1);
Tensor& bernoulli_(Tensor& t, double p);

}  // namespace bgl::framework
