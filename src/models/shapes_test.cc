// Published models at full width and vocabulary, with two layers and random weights, against testing/reference.h. Slow and
// large: a test program of its own, not among the fast ones.
#include <gtest/gtest.h>

#include "models/testing/random_model.h"
#include "models/testing/reference.h"

namespace bgl::models {
namespace {

void expect_agreement(const ModelConfig& config) {
  const auto model = testing::random_model(config, 7);
  const auto ids = testing::some_tokens(5, config.vocab);
  ops::NoGrad no_grad;
  model->eval();
  const auto got = model->forward(Tensor::from_vector(ids, {1, 5})).to_vector();
  const auto want = testing::reference_logits(*model, ids);
  EXPECT_LT(testing::difference(got, want), testing::kTolerance);
  EXPECT_EQ(testing::stepped_logits(*model, ids), got);
}

TEST(Shapes, Qwen2_5_0_5B) { expect_agreement(testing::qwen2_5_0_5b(2)); }
TEST(Shapes, Llama_3_2_1B) { expect_agreement(testing::llama_3_2_1b(2)); }

}  // namespace
}  // namespace bgl::models
