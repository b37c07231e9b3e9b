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
  BGL_REQUIRE(low < high, "[randint] nothing lies in [{}, {})", low, high);
  ops::default_generator().randint(data, low, high);
  return Tensor::from_vector(data, shape);
}

Tensor randperm(int64_t n) {
  BGL_REQUIRE(n >= 0, "[randperm] n is {}", n);
  return Tensor::from_vector(ops::default_generator().randperm(n), {n});
}

Tensor bernoulli(const Tensor& probabilities) {
  std::vector<float> data(static_cast<size_t>(probabilities.numel()));
  ops::default_generator().bernoulli(data, probabilities.to_vector());
  return Tensor::from_vector(data, probabilities.shape());
}

Tensor multinomial(const Tensor& weights, int64_t count, bool replacement) {
  BGL_REQUIRE(weights.dim() == 1 || weights.dim() == 2, "[multinomial] weights of shape {}: one row or a table of rows is needed",
              ops::shape_text(weights.shape()));
  const std::vector<float> all = weights.to_vector();
  const auto width = static_cast<size_t>(weights.size(-1));
  const size_t rows = weights.dim() == 1 ? 1 : static_cast<size_t>(weights.size(0));
  std::vector<int64_t> out;
  for (size_t r = 0; r < rows; ++r) {
    const auto drawn = ops::default_generator().multinomial(std::span(all).subspan(r * width, width), count, replacement);
    out.insert(out.end(), drawn.begin(), drawn.end());
  }
  Shape shape = weights.shape();
  shape.back() = count;
  return Tensor::from_vector(out, shape);
}

Tensor& uniform_(Tensor& t, double low, double high) { return t.copy_(uniform(t.shape(), low, high)); }
Tensor& normal_(Tensor& t, double mean, double std) { return t.copy_(normal(t.shape(), mean, std)); }
Tensor& bernoulli_(Tensor& t, double p) {
  BGL_REQUIRE(p >= 0 && p <= 1, "[bernoulli_] p = {} is not a probability", p);
  std::vector<float> data(static_cast<size_t>(t.numel()));
  ops::default_generator().bernoulli(data, p);
  return t.copy_(Tensor::from_vector(data, t.shape()));
}

Tensor dropout(const Tensor& x, double p, bool training) {
  BGL_REQUIRE(p >= 0 && p <= 1, "[dropout] p = {} is not a probability", p);
  if (!training || p == 0) return x;
  if (p == 1) return x * 0.0;  // nothing is drawn, as in torch
  std::vector<float> keep(static_cast<size_t>(x.numel()));
  ops::default_generator().bernoulli(keep, 1 - p);
  return Tensor(ops::dropout(x.value(), Tensor::from_vector(keep, x.shape()).value(), p));
}

}  // namespace bgl::framework
