#include "serve/admission.h"

#include <gtest/gtest.h>

#include <tuple>

namespace bgl::serve {
namespace {

StepModel learnt(double a, double b) {
  StepModel m;
  for (int i = 0; i < 200; ++i) {
    const int64_t n = 1 + i * 37 % 256;
    m.observe(n, a + b * static_cast<double>(n));
  }
  return m;
}

TEST(StepModel, LearnsALineAndForgetsTheOldOne) {
  StepModel m = learnt(0.002, 0.0001);
  EXPECT_NEAR(m.seconds(100), 0.012, 1e-6);
  EXPECT_EQ(m.tokens_within(0.01205), 100);
  EXPECT_EQ(m.tokens_within(0.001), 1);
  for (int i = 0; i < 1000; ++i) m.observe(1 + i % 256, 0.004 + 0.0002 * (1 + i % 256));
  EXPECT_NEAR(m.seconds(100), 0.024, 1e-4);
}

TEST(StepModel, ACompilationIsNotTheMachinesSpeed) {
  StepModel m = learnt(0.002, 0.0001);
  m.observe(50, 3.0);
  EXPECT_LT(m.seconds(50), 0.008);
}

TEST(StepModel, StepsThatAreAllAlike) {
  StepModel m;
  EXPECT_FALSE(m.known());
  for (int i = 0; i < 10; ++i) m.observe(4, 0.008);
  EXPECT_TRUE(m.known());
  EXPECT_NEAR(m.seconds(4), 0.008, 1e-9);
  EXPECT_NEAR(m.seconds(8), 0.016, 1e-9);
}

TEST(Admission, AnIdleEngineTakesThePromptInSteps) {
  const StepModel m = learnt(0.002, 0.0001);
  EXPECT_NEAR(seconds_to_first_token({{}, {{256, 10}}, 8, 256}, m, 10), 0.0276, 1e-5);
  EXPECT_NEAR(seconds_to_first_token({{}, {{257, 10}}, 8, 256}, m, 10), 0.0276 + 0.0021, 1e-5);
}

TEST(Admission, ThoseBeforeItAreServedFirst) {
  const StepModel m = learnt(0.002, 0.0001);
  // Ten decode beside it, and one prompt is before it.
  Load load{std::vector<Work>(10, Work{0, 100}), {{300, 10}, {100, 10}}, 16, 256};
  EXPECT_NEAR(seconds_to_first_token(load, m, 10), 2 * 0.002 + 0.0001 * (256 + 10 + 154), 1e-5);
  // No place until the ten have ended: 100 steps of them.
  load.max_running = 10;
  load.waiting = {{100, 10}};
  EXPECT_NEAR(seconds_to_first_token(load, m, 10), 100 * 0.003 + 0.012, 1e-4);
  EXPECT_GT(seconds_to_first_token(load, m, 0.1), 0.1);
  EXPECT_LT(seconds_to_first_token(load, m, 0.1), 0.11);
}

// Steps of 2 ms and 0.1 ms a token.
TEST(Admission, ATimeBetweenTokensLimitsStepsAndThoseThatRun) {
  const StepModel m = learnt(0.002, 0.0001);
  const StepLimits most{256, 64};
  const auto limits = [&](double tbt_s) {
    const StepLimits l = limits_within(m, tbt_s, most);
    return std::tuple(l.tokens, l.running, can_keep(m, tbt_s));
  };
  EXPECT_EQ(limits(0), std::tuple(256, 64, true));
  EXPECT_EQ(limits(1), std::tuple(256, 64, true));
  EXPECT_EQ(limits(0.00901), std::tuple(70, 54, true));
  EXPECT_EQ(limits(0.00361), std::tuple(16, 1, true));
  EXPECT_EQ(limits(0.00215), std::tuple(1, 1, true));
  EXPECT_EQ(limits(0.002), std::tuple(1, 1, false)) << "a step of one token takes 2.1 ms";
  EXPECT_EQ(limits_within(StepModel(), 0.002, most).running, 64) << "nothing is known yet";
  // The steps that these limits allow are in time.
  for (const double tbt_s : {0.003, 0.005, 0.012, 0.02}) EXPECT_LE(m.seconds(limits_within(m, tbt_s, most).tokens), tbt_s);
}

TEST(Margin, TheShareThatItIsMadeForComesLater) {
  for (const double share : {0.01, 0.05}) {
    Margin m(share);
    int later = 0;
    // Ratios spread evenly from 1 to 3: the share above 3 - 2 share.
    for (int i = 0; i < 40000; ++i) {
      const double ratio = 1 + 2.0 * (i * 7919 % 10007) / 10007;
      if (i >= 20000) later += ratio > m.value();
      m.observe(0.1, 0.1 * ratio);
    }
    EXPECT_NEAR(later / 20000.0, share, 0.005);
    EXPECT_NEAR(m.value(), 2.9, 0.2);
  }
}

}  // namespace
}  // namespace bgl::serve
