#include "serve/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <unordered_set>

namespace bgl::serve {
namespace {

bool possible(float logit) { return !std::isnan(logit) && logit > -std::numeric_limits<float>::infinity(); }

int32_t argmax(std::span<const float> logits) {
  int32_t best = -1;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (possible(logits[i]) && (best < 0 || logits[i] > logits[static_cast<size_t>(best)])) best = static_cast<int32_t>(i);
  }
  return best;
}

// The candidates that stay, most probable first, and the sum of their weights.
double cut(std::vector<int32_t>& order, const std::vector<double>& weight, const SamplingOptions& o) {
  const auto of = [&](int32_t i) { return weight[static_cast<size_t>(i)]; };
  const auto before = [&](int32_t a, int32_t b) { return of(a) != of(b) ? of(a) > of(b) : a < b; };
  if (o.top_k > 0 && o.top_k < static_cast<int64_t>(order.size())) {
    std::partial_sort(order.begin(), order.begin() + o.top_k, order.end(), before);
    order.resize(static_cast<size_t>(o.top_k));
  }
  double total = 0, reached = 0;
  for (const int32_t i : order) total += of(i);
  size_t kept = 0, sorted = 0;
  // The most probable one has weight 1. Few are kept of a large vocabulary, so no more than needed are put in order.
  while (kept < order.size()) {
    if (kept == sorted) {
      const auto from = order.begin() + static_cast<ptrdiff_t>(sorted);
      sorted = std::min(order.size(), 8 * sorted + 64);
      std::partial_sort(from, order.begin() + static_cast<ptrdiff_t>(sorted), order.end(), before);
    }
    if (kept > 0 && (reached >= o.top_p * total || of(order[kept]) < o.min_p)) break;
    reached += of(order[kept++]);
  }
  order.resize(kept);
  return reached;
}

}  // namespace

void adjust(std::span<float> logits, const SamplingOptions& o, std::span<const int32_t> prompt, std::span<const int32_t> answer) {
  const auto inside = [&](int32_t t) { return t >= 0 && static_cast<size_t>(t) < logits.size(); };
  if (o.repetition_penalty != 1) {
    std::unordered_set<int32_t> seen(prompt.begin(), prompt.end());
    seen.insert(answer.begin(), answer.end());
    for (const int32_t t : seen) {
      if (!inside(t)) continue;
      float& l = logits[static_cast<size_t>(t)];
      l = static_cast<float>(l > 0 ? l / o.repetition_penalty : l * o.repetition_penalty);
    }
  }
  if (o.presence_penalty != 0 || o.frequency_penalty != 0) {
    std::unordered_map<int32_t, int> counts;
    for (const int32_t t : answer) ++counts[t];
    for (const auto& [t, n] : counts) {
      if (inside(t)) logits[static_cast<size_t>(t)] -= static_cast<float>(o.presence_penalty + o.frequency_penalty * n);
    }
  }
  for (const auto& [t, bias] : o.logit_bias) {
    if (inside(t)) logits[static_cast<size_t>(t)] += static_cast<float>(bias);
  }
}

int32_t sample(std::span<const float> logits, const SamplingOptions& o, ops::Generator& generator) {
  const int32_t best = argmax(logits);
  if (best < 0 || o.temperature <= 0) return best;
  const float top = logits[static_cast<size_t>(best)];
  std::vector<int32_t> order;
  std::vector<double> weight(logits.size());
  double total = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!possible(logits[i])) continue;
    weight[i] = std::exp((static_cast<double>(logits[i]) - top) / o.temperature);
    total += weight[i];
    order.push_back(static_cast<int32_t>(i));
  }
  if (o.top_p < 1 || o.min_p > 0 || (o.top_k > 0 && o.top_k < static_cast<int64_t>(order.size()))) total = cut(order, weight, o);
  double at = generator.uniform_double() * total;
  for (const int32_t i : order) {
    at -= weight[static_cast<size_t>(i)];
    if (at < 0) return i;
  }
  return best;  // rounding left a rest
}

Logprobs logprobs(std::span<const float> logits, int32_t chosen, int64_t top) {
  Logprobs out;
  std::vector<int32_t> order;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (possible(logits[i])) order.push_back(static_cast<int32_t>(i));
  }
  const int32_t best = argmax(logits);
  const double most = best < 0 ? 0 : logits[static_cast<size_t>(best)];
  double sum = 0;
  for (const int32_t i : order) sum += std::exp(logits[static_cast<size_t>(i)] - most);
  const double log_sum = most + std::log(sum);
  // JSON has no infinity: what cannot be drawn gets a number that no float32 softmax gives.
  const auto of = [&](int32_t t) { return possible(logits[static_cast<size_t>(t)]) ? static_cast<float>(logits[static_cast<size_t>(t)] - log_sum) : -9999.0F; };
  out.chosen = {chosen, of(chosen)};
  const auto n = static_cast<ptrdiff_t>(std::min<int64_t>(top, static_cast<int64_t>(order.size())));
  std::partial_sort(order.begin(), order.begin() + n, order.end(), [&](int32_t a, int32_t b) {
    const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  });
  for (ptrdiff_t i = 0; i < n; ++i) out.top.push_back({order[static_cast<size_t>(i)], of(order[static_cast<size_t>(i)])});
  return out;
}

}  // namespace bgl::serve
