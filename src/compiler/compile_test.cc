#include "compiler/compile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "compiler/differentiate.h"
#include "lang/later.h"
#include "lang/tuner.h"
#include "ops/functions.h"

namespace bgl::compiler {
namespace {

using ops::Value;

Value leaf(const std::vector<float>& data, const ops::Shape& shape) {
  auto b = ops::Buffer::allocate(data.size() * 4);
  std::memcpy(b->data(), data.data(), data.size() * 4);
  return ops::make_leaf({ops::DType::kF32, shape}, b);
}
std::vector<float> floats(const Value& v) {
  const float* p = v.node->buffers[static_cast<size_t>(v.index)]->as<float>();
  return {p, p + ops::numel(v.shape())};
}

TEST(Compile, OneGraphFusesAChainIntoOneStep) {
  const Value x = leaf({1, -2, 3, -4}, {2, 2});
  const Value y = ops::add(ops::mul(ops::relu(x), 2.0), x);
  ASSERT_TRUE(evaluate({y}).ok());
  EXPECT_EQ(floats(y), (std::vector<float>{3, -2, 9, -4}));
  EXPECT_EQ(last_executable()->steps.size(), 1u);
}

TEST(Compile, AProductLookedAtTransposedIsMadeSo) {
  const Value x = leaf({1, 2, 3, 4, 5, 6}, {3, 2}), dy = leaf({1, 0, 2, 1, 0, 3}, {3, 2});
  const Value product = ops::matmul(ops::transpose(x, 0, 1), dy);
  const Value gradient = ops::transpose(product, 0, 1), doubled = ops::mul(gradient, 2.0);
  ASSERT_EQ(evaluate({gradient, doubled}).message(), "");
  EXPECT_EQ(floats(gradient), (std::vector<float>{7, 10, 18, 22}));
  EXPECT_EQ(floats(doubled), (std::vector<float>{14, 20, 36, 44}));
  for (const Step& s : last_executable()->steps) EXPECT_NE(s.name, "copy");
  // Where somebody looks at the product itself too, it stays.
  const Value seen = ops::transpose(product, 0, 1), both = ops::add(product, seen);
  ASSERT_TRUE(evaluate({both, product}).ok());
  EXPECT_EQ(floats(both), (std::vector<float>{14, 28, 28, 44}));
}

TEST(Compile, ANewScalarDoesNotCompileAgain) {
  const Value x = leaf({1, 2}, {2});
  ASSERT_TRUE(evaluate({ops::mul(x, 3.0)}).ok());
  const int64_t before = counters().graphs_compiled;
  const Value y = ops::mul(x, 5.0);
  ASSERT_TRUE(evaluate({y}).ok());
  EXPECT_EQ(counters().graphs_compiled, before);
  EXPECT_EQ(floats(y), (std::vector<float>{5, 10}));
}

TEST(Compile, TheGraphsThatRanLastAreKept) {
  const auto compiled = [](int64_t size) {
    const int64_t before = counters().graphs_compiled;
    const Value y = ops::neg(leaf(std::vector<float>(static_cast<size_t>(size), 1), {size}));
    EXPECT_TRUE(evaluate({y}).ok());
    return counters().graphs_compiled - before;
  };
  EXPECT_EQ(compiled(1), 1);
  for (int64_t size = 2; size <= 1100; ++size) compiled(size);
  EXPECT_EQ(compiled(1100), 0);
  EXPECT_EQ(compiled(200), 0);
  EXPECT_EQ(compiled(1), 1);
}

TEST(Compile, AnUnusedLeafIsOverwrittenInPlace) {
  Value x = leaf({1, 2, 3}, {3});
  const auto* bytes = x.node->buffers[0]->data();
  const Value y = ops::add(x, x);
  x = {};
  ASSERT_TRUE(evaluate({y}).ok());
  EXPECT_EQ(y.node->buffers[0]->data(), bytes);
  EXPECT_EQ(floats(y), (std::vector<float>{2, 4, 6}));
}

TEST(Compile, ALeafThatAHeldPendingValueReadsKeepsItsBytes) {
  Value x = leaf({1, 2, 3}, {3});
  const Value held = ops::neg(x), y = ops::mul(held, held);
  x = {};
  ASSERT_TRUE(evaluate({y}).ok());
  ASSERT_TRUE(evaluate({held}).ok());
  EXPECT_EQ(floats(held), (std::vector<float>{-1, -2, -3}));
}

TEST(Compile, ALeafThatGradientsLookAtKeepsItsBytes) {
  Value x = leaf({1, 2, 3}, {3});
  Value w = leaf({5, 5, 5}, {3});
  w.node->requires_grad = true;
  const Value y = ops::mul(ops::neg(x), w);
  x = {};
  ASSERT_TRUE(evaluate({y}).ok());
  const Value g = differentiate(y, std::span(&w, 1))[0];
  ASSERT_TRUE(evaluate({g}).ok());
  EXPECT_EQ(floats(g), (std::vector<float>{-1, -2, -3}));
}

TEST(Compile, ALeafSomebodyHoldsKeepsItsBytes) {
  const Value x = leaf({1, 2, 3}, {3});
  const Value y = ops::add(x, x);
  ASSERT_TRUE(evaluate({y}).ok());
  EXPECT_EQ(floats(x), (std::vector<float>{1, 2, 3}));
}

TEST(Compile, ARunErrorNamesOperatorAndLabel) {
  const Value table = leaf({1, 2, 3, 4}, {2, 2});
  auto ids = ops::Buffer::allocate(8);
  *ids->as<int64_t>() = 5;
  ops::Label label("encoder");
  const Value y = ops::embedding(table, ops::make_leaf({ops::DType::kI64, {1}}, ids));
  EXPECT_EQ(evaluate({y}).message(), "[embedding] at encoder embedding: id 5 at element 0 is outside [0, 2)");
}

struct TuningMode {
  explicit TuningMode(lang::Tuning mode) : before(lang::tuning()) { lang::set_tuning(mode); }
  ~TuningMode() { lang::set_tuning(before); }
  lang::Tuning before;
};

Value numbers(const ops::Shape& shape, int seed) {
  std::vector<float> data(static_cast<size_t>(ops::numel(shape)));
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<float>((i * 2654435761u + static_cast<unsigned>(seed) * 97u) % 1000) / 500.0f - 1.0f;
  return leaf(data, shape);
}

TEST(Tuning, EveryScheduleOfAProductGivesTheSameBits) {
  const TuningMode every(lang::Tuning::kEvery);
  struct Case {
    int64_t m, n, k;
    bool a_transposed, b_transposed;
  };
  for (const Case& c : {Case{7, 70, 600, false, false}, {130, 150, 300, true, false}, {13, 33, 520, false, true}, {2, 100, 70, false, false},
                        {400, 20, 40, true, true}}) {
    const Value a = c.a_transposed ? ops::transpose(numbers({c.k, c.m}, 1), 0, 1) : numbers({c.m, c.k}, 1);
    const Value b = c.b_transposed ? ops::transpose(numbers({c.n, c.k}, 2), 0, 1) : numbers({c.k, c.n}, 2);
    std::vector<float> first;
    size_t schedules = 1;
    for (size_t turn = 0; turn < schedules; ++turn) {
      const Value product = ops::matmul(a, b);
      ASSERT_EQ(evaluate({product}).message(), "");
      if (turn == 0) first = floats(product);
      EXPECT_EQ(first, floats(product)) << c.m << "x" << c.n << "x" << c.k << ", turn " << turn;
      for (const Step& s : last_executable()->steps) schedules = s.choice ? s.choice->others.size() + 1 : schedules;
    }
    EXPECT_GE(schedules, 3u);
  }
}

// Whether an earlier process on this machine has settled it.
bool kept(const std::string& key) {
  const auto all = lang::tuned_schedules();
  return std::any_of(all.begin(), all.end(), [&](const lang::Tuned& t) { return t.key == key && t.machine == lang::machine_fingerprint(); });
}

TEST(Tuning, AProductThatRunsOftenSettles) {
  const TuningMode on(lang::Tuning::kOn);
  const Value a = numbers({100, 384}, 1), b = numbers({384, 700}, 2);
  const lang::Choice* choice = nullptr;
  size_t events = 0;
  for (int i = 0; i < 5000 && (i < 2 || (choice && !choice->settled())); ++i) {
    set_step_listener(i % 2 ? StepListener([&](const StepEvent& e) { events += e.step < e.executable.steps.size() && e.seconds >= 0; }) : nullptr);
    ASSERT_EQ(evaluate({ops::matmul(a, b)}).message(), "");
    for (const Step& s : last_executable()->steps) choice = s.choice ? s.choice->choice : choice;
  }
  set_step_listener(nullptr);
  EXPECT_GT(events, 0u);
  EXPECT_TRUE(choice ? choice->settled().has_value() : kept("gemm rr 128x1024x512"));
}

TEST(Compile, ThePlanStatesItsLowerBound) {
  Value x = leaf(std::vector<float>(4096, 1), {64, 64});
  for (int i = 0; i < 6; ++i) x = ops::softmax(ops::matmul(x, x), -1);
  ASSERT_TRUE(evaluate({x}).ok());
  const MemoryReport& m = last_executable()->memory;
  EXPECT_GT(m.arena_bytes, 0);
  EXPECT_GE(m.arena_bytes, m.lower_bound_bytes);
}

}  // namespace
}  // namespace bgl::compiler
