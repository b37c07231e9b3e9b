#include "framework/random.h"

#include "framework/functional.h"

namespace bgl::framework {

void manual_seed(uint64_t seed) { ops::default_generator().manual_seed(seed); }

Tensor uniform(const Shape& shape, double low, double high) {
  std::vector<float> data(static_cast<size_t>(ops::numel(shape)));
  ops::default_generator().uniform(data, static_cast<float>(low), static_cast<float>(high));
  return Tensor::from_vector(data, shape);
}

Tensor normal(const Shape& shape, double mean, double std) {
  std::vector<float> data(static_cast<size_t>(ops::numel(shape)));
  ops::default_generator().normal(data, static_cast<float>(mean), static_cast<float>(std));
  return Tensor::from_vector(data, shape);
}

Tensor randint(int64_t low, int64_t high, const Shape& shape) {
  std::vector<int64_t> data(static_cast<size_t>(ops::numel(shape)));
  ops::default_generator().randint(data, low, high);
  return Tensor::from_vector(data, shape);
}

Tensor dropout(const Tensor& x, double p, bool training) {
  BGL_REQUIRE(p >= 0 && p <= 1, "[dropout] p = {} is not a probability", p);
  if (!training || p == 0) return x;
  std::vector<float> keep(static_cast<size_t>(x.numel()));
  ops::default_generator().bernoulli(keep, 1 - p);
  if (p == 1) return x * 0.0;
  return Tensor(ops::dropout(x.value(), Tensor::from_vector(keep, x.shape()).value(), p));
}

}  // namespace bgl::framework
