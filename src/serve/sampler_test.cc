#include "serve/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

namespace bgl::serve {
namespace {

std::vector<int> draws(const std::vector<float>& logits, const SamplingOptions& o, int n = 20000) {
  ops::Generator g;
  g.manual_seed(5);
  std::vector<int> counts(logits.size() + 1);
  for (int i = 0; i < n; ++i) ++counts[static_cast<size_t>(sample(logits, o, g))];
  return counts;
}

TEST(Sampler, CutsByTopKTopPAndMinP) {
  const std::vector<float> logits = {std::log(0.1F), std::log(0.5F), std::log(0.3F), std::log(0.1F)};
  EXPECT_NEAR(draws(logits, {})[1], 10000, 300);
  EXPECT_NEAR(draws(logits, {.top_k = 2})[1], 12500, 300);
  EXPECT_EQ(draws(logits, {.top_k = 2})[0], 0);
  EXPECT_NEAR(draws(logits, {.top_p = 0.75})[2], 7500, 300);
  EXPECT_EQ(draws(logits, {.top_p = 0.75})[3], 0);
  EXPECT_NEAR(draws(logits, {.min_p = 0.5})[2], 7500, 300);
  EXPECT_EQ(draws(logits, {.min_p = 0.7})[1], 20000);
}

TEST(Sampler, CutsALargeVocabularyWhereASortOfAllWould) {
  std::vector<float> logits(5000);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i * 7919 % 5003) / 500;
  std::vector<float> sorted = logits;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  double total = 0, reached = 0;
  for (const float l : sorted) total += std::exp(l - sorted[0]);
  size_t kept = 0;
  while (reached < 0.6 * total) reached += std::exp(sorted[kept++] - sorted[0]);
  ASSERT_GT(kept, 64U);
  float least = sorted[0];
  ops::Generator g(3);
  for (int i = 0; i < 20000; ++i) least = std::min(least, logits[static_cast<size_t>(sample(logits, {.top_p = 0.6}, g))]);
  EXPECT_GE(least, sorted[kept - 1]);
  EXPECT_LT(least, sorted[kept * 9 / 10]);
}

TEST(Sampler, WhatIsImpossibleIsNeverDrawn) {
  const float never = -HUGE_VALF;
  const auto counts = draws({never, 0, NAN, 0, never}, {});
  EXPECT_EQ(counts[0] + counts[2] + counts[4], 0);
  ops::Generator g;
  EXPECT_EQ(sample(std::vector<float>{never, NAN}, {}, g), -1);
}

TEST(Sampler, PenaltiesAndBiasAreAsOpenAIAndCtrlHaveThem) {
  const std::vector<int32_t> prompt = {0, 9}, answer = {1, 1, 3};
  std::vector<float> x = {1, 1, 1, -1};
  adjust(x, {.presence_penalty = 0.5, .frequency_penalty = 0.25}, prompt, answer);
  EXPECT_EQ(x, (std::vector<float>{1, 0, 1, -1.75F}));
  x = {1, 1, 1, -1};
  adjust(x, {.repetition_penalty = 2}, prompt, answer);
  EXPECT_EQ(x, (std::vector<float>{0.5F, 0.5F, 1, -2}));
  x = {1, 1, 1, -1};
  adjust(x, {.logit_bias = {{2, -100.0}, {3, 7.5}, {77, 1.0}}}, prompt, answer);
  EXPECT_EQ(x, (std::vector<float>{1, 1, -99, 6.5F}));
}

TEST(Sampler, LogprobsAreOfTheSoftmax) {
  const std::vector<float> logits = {std::log(0.1F), std::log(0.5F), std::log(0.3F), std::log(0.1F), -HUGE_VALF};
  const Logprobs l = logprobs(logits, 2, 3);
  EXPECT_NEAR(l.chosen.logprob, std::log(0.3), 1e-6);
  ASSERT_EQ(l.top.size(), 3u);
  EXPECT_EQ(l.top[0].token, 1);
  EXPECT_EQ(l.top[1].token, 2);
  EXPECT_EQ(l.top[2].token, 0);
  EXPECT_NEAR(l.top[2].logprob, std::log(0.1), 1e-6);
  EXPECT_EQ(logprobs(logits, 0, 20).top.size(), 4u);
}

}  // namespace
}  // namespace bgl::serve
