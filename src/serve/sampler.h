// One token out of a row of logits.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "ops/random.h"

namespace bgl::serve {

struct SamplingOptions {
  double temperature = 1;  // 0: the first of the most likely tokens
  double top_p = 1;        // the smallest set of tokens whose probability reaches it
  int64_t top_k = 0;       // 0: all
  double min_p = 0;        // tokens less probable than this share of the most probable one are left out
  // Taken from the logits of tokens that the answer holds: once, and for every time.
  double presence_penalty = 0, frequency_penalty = 0;
  double repetition_penalty = 1;  // divides positive logits, and multiplies others, of tokens of prompt and answer (arXiv:1909.05858)
  std::vector<std::pair<int32_t, double>> logit_bias;  // token, what is added to its logit
  bool adjusts() const { return presence_penalty != 0 || frequency_penalty != 0 || repetition_penalty != 1 || !logit_bias.empty(); }
};

// Applies penalties and bias to a row of logits. Tokens outside the row are ignored.
void adjust(std::span<float> logits, const SamplingOptions& options, std::span<const int32_t> prompt, std::span<const int32_t> answer);

// Draws from softmax(logits / temperature) cut by top_k, then top_p, then min_p. The same generator state gives the same token.
// Tokens of logit -infinity or NaN are never chosen; a row of nothing else gives -1.
int32_t sample(std::span<const float> logits, const SamplingOptions& options, ops::Generator& generator);

// Logarithms of probabilities under softmax(logits), of the model alone: before temperature, penalties and bias.
struct TokenLogprob {
  int32_t token = -1;
  float logprob = 0;
};
struct Logprobs {
  TokenLogprob chosen;
  std::vector<TokenLogprob> top;  // the most likely ones, falling; equal ones by id
};
Logprobs logprobs(std::span<const float> logits, int32_t chosen, int64_t top);

}  // namespace bgl::serve
