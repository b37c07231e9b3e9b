#include "serve/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace bgl::serve {
namespace {

int32_t argmax(std::span<const float> logits) {
  int32_t best = -1;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!std::isnan(logits[i]) && (best < 0 || logits[i] > logits[static_cast<size_t>(best)])) best = static_cast<int32_t>(i);
  }
  return best;
}

}  // namespace

int32_t sample(std::span<const float> logits, const SamplingOptions& o, ops::Generator& generator) {
  const int32_t best = argmax(logits);
  if (best < 0 || o.temperature <= 0) return best;
  const float top = logits[static_cast<size_t>(best)];
  std::vector<int32_t> order;
  std::vector<double> weight(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) continue;
    weight[i] = std::exp((static_cast<double>(logits[i]) - top) / o.temperature);
    order.push_back(static_cast<int32_t>(i));
  }
  const bool cut = o.top_p < 1 || (o.top_k > 0 && o.top_k < static_cast<int64_t>(order.size()));
  double total = 0;
  if (cut) {
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return weight[static_cast<size_t>(a)] > weight[static_cast<size_t>(b)]; });
    if (o.top_k > 0 && o.top_k < static_cast<int64_t>(order.size())) order.resize(static_cast<size_t>(o.top_k));
    for (const int32_t i : order) total += weight[static_cast<size_t>(i)];
    double reached = 0;
    size_t kept = 0;
    while (kept < order.size() && (kept == 0 || reached < o.top_p * total)) reached += weight[static_cast<size_t>(order[kept++])];
    order.resize(kept);
    total = reached;
  } else {
    for (const int32_t i : order) total += weight[static_cast<size_t>(i)];
  }
  double at = generator.uniform_double() * total;
  for (const int32_t i : order) {
    at -= weight[static_cast<size_t>(i)];
    if (at < 0) return i;
  }
  return order.back();
}

}  // namespace bgl::serve
