// The models against testing/reference.h.
#include "models/testing/reference.h"

#include <gtest/gtest.h>

#include <cmath>

#include "framework/functional.h"
#include "models/testing/random_model.h"

namespace bgl::models {
namespace {

std::vector<testing::NamedConfig> rotary_configs() {
  std::vector<testing::NamedConfig> all = testing::small_configs();
  std::erase_if(all, [](const testing::NamedConfig& n) { return n.config.family == Family::kGpt2; });
  return all;
}

TEST(Reference, LogitsOfEveryFamilyAgree) {
  for (const auto& [name, config] : rotary_configs()) {
    const auto model = testing::random_model(config, 1);
    const auto ids = testing::some_tokens(150, config.vocab);
    ops::NoGrad no_grad;
    const auto got = model->forward(Tensor::from_vector(ids, {1, 150})).to_vector();
    EXPECT_LT(testing::difference(got, testing::reference_logits(*model, ids)), testing::kTolerance) << name;
  }
}

// A token's logits have the same bits from whole sequences and over the paged cache, in pieces of any size.
TEST(Reference, StepsGiveTheBitsOfForward) {
  for (const auto& [name, config] : testing::small_configs()) {
    const auto model = testing::random_model(config, 2);
    const auto ids = testing::some_tokens(150, config.vocab);
    ops::NoGrad no_grad;
    model->eval();
    const auto whole = model->forward(Tensor::from_vector(ids, {1, 150})).to_vector();
    ASSERT_EQ(testing::stepped_logits(*model, ids), whole) << name;
  }
}

// The loss of a training step, and its gradient at one place of every parameter against the slope of the reference's loss.
TEST(Reference, LossAndGradientsAgree) {
  for (const auto& [name, config] : rotary_configs()) {
    const auto model = testing::random_model(config, 3);
    const auto ids = testing::some_tokens(41, config.vocab);
    const Tensor inputs = Tensor::from_vector(std::vector<int64_t>(ids.begin(), ids.end() - 1), {1, 40});
    const Tensor targets = Tensor::from_vector(std::vector<int64_t>(ids.begin() + 1, ids.end()), {1, 40});
    model->train();
    model->requires_grad_(true);
    const Tensor loss = framework::cross_entropy(model->forward(inputs).reshape({40, config.vocab}), targets.reshape({40}));
    loss.backward();
    EXPECT_NEAR(loss.item(), testing::reference_loss(*model, ids), 1e-5) << name;
    for (const auto& p : model->named_parameters()) {
      const int64_t at = p.tensor.numel() / 3;
      const double gradient = p.tensor.grad().to_vector()[static_cast<size_t>(at)];
      float& value = p.tensor.buffer()->as<float>()[at];
      const float kept = value;
      auto loss_at = [&](float moved) { return value = moved, testing::reference_loss(*model, ids); };
      const float step = 1.0F / 512;
      const double slope = (loss_at(kept + step) - loss_at(kept - step)) / (2 * step);
      value = kept;
      EXPECT_NEAR(gradient, slope, 1e-5 + 1e-3 * std::abs(slope)) << name << ", " << p.name;
    }
  }
}

TEST(Reference, ATextLongerThanTheContextIsRefused) {
  const auto model = testing::random_model(testing::small_configs()[2].config, 4);
  try {
    (void)model->forward(Tensor::from_vector(testing::some_tokens(161, 50), {1, 161}));
    FAIL() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "[qwen2] a sequence of 161 tokens is longer than the model's context of 160");
  }
}

}  // namespace
}  // namespace bgl::models
