#include "ops/random.h"

#include <gtest/gtest.h>

namespace bgl::ops {
namespace {

// Expected numbers were printed by torch 2.15 after torch.manual_seed(1337), in this order of calls.
TEST(TorchRandom, Integers) {
  Generator g(1337);
  std::vector<int64_t> five(5), big(2), wide(2);
  g.randint(five, 0, 1000);
  EXPECT_EQ(five, (std::vector<int64_t>{415, 957, 492, 0, 295}));
  g.randint(big, 0, int64_t{1} << 40);
  EXPECT_EQ(big, (std::vector<int64_t>{933980654247, 387925743474}));
  g.randint(wide, 0, int64_t{1} << 29);
  EXPECT_EQ(wide, (std::vector<int64_t>{78996564, 51294473}));
}

TEST(TorchRandom, NormalBothPathsUniformPermutation) {
  Generator g(1337);
  std::vector<float> a(20), b(20), c(3), d(2);
  g.normal(a, 0, 0.02f);
  EXPECT_NEAR(a[0], 0.003615431720390916, 1e-8);
  EXPECT_NEAR(a[1], -0.001399761880747974, 1e-8);
  g.normal(b, 0, 1);
  EXPECT_NEAR(b[17], 0.258810430765152, 1e-6);
  EXPECT_NEAR(b[19], 0.3924739360809326, 1e-6);
  g.normal(c, 0, 1);
  EXPECT_NEAR(c[0], -0.8254286050796509, 1e-6);
  EXPECT_NEAR(c[2], -0.8288686275482178, 1e-6);
  g.uniform(d, -1, 1);
  EXPECT_FLOAT_EQ(d[0], 0.915101170539856f);
  EXPECT_FLOAT_EQ(d[1], 0.10772526264190674f);
  EXPECT_EQ(g.randperm(6), (std::vector<int64_t>{2, 0, 4, 3, 1, 5}));
}

TEST(TorchRandom, StateTravelsAsText) {
  Generator g(7);
  std::vector<float> odd(3), rest(5), again(5);
  g.normal(odd, 0, 1);
  const std::string state = g.state();
  g.normal(rest, 0, 1);
  Generator h;
  ASSERT_TRUE(h.set_state(state).ok());
  h.normal(again, 0, 1);
  EXPECT_EQ(rest, again);
  EXPECT_EQ(h.set_state("mt19937 5 0 0 1 2").message(), "random state ends early");
  EXPECT_EQ(h.set_state("philox").message(), "random state does not begin with 'mt19937'");
}

}  // namespace
}  // namespace bgl::ops
