// Random graphs, each run four ways: fused and planned, operator by operator, by the checking interpreter, and in double
// precision by the references. The first three must agree bit for bit, for nothing is contracted or reordered across operators;
// the last within a tolerance. BGL_SEEDS=A..B runs other seeds than the few hundred that are always run.
#include "compiler/testing/random_graph.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "compiler/compile.h"
#include "compiler/testing/double_run.h"
#include "compiler/testing/run_apart.h"
#include "lang/kernel.h"

namespace bgl::compiler {
namespace {

using ops::RefTensor;
using ops::Value;

std::vector<RefTensor> computed(const std::vector<Value>& values) {
  std::vector<RefTensor> out;
  for (const Value& v : values) out.push_back(elements(*v.node->buffers[static_cast<size_t>(v.index)], v.meta()));
  return out;
}

std::string first_difference(const std::vector<RefTensor>& a, const std::vector<RefTensor>& b, const char* what) {
  for (size_t v = 0; v < a.size(); ++v) {
    for (size_t i = 0; i < a[v].data.size(); ++i) {
      const double x = a[v].data[i], y = b[v].data[i];
      // Which NaN an operation gives is the machine's choice.
      if (std::isnan(x) ? !std::isnan(y) : x != y || std::signbit(x) != std::signbit(y)) {
        return fmt::format("{}: result {} element {} is {} fused and {}", what, v, i, x, y);
      }
    }
  }
  return "";
}

// Empty, or where float32 strays from double: relative to the largest element, for sums cancel.
std::string far_from(const std::vector<RefTensor>& got, const std::vector<RefTensor>& want) {
  for (size_t v = 0; v < got.size(); ++v) {
    double most = 1;
    for (const double x : want[v].data) most = std::max(most, std::fabs(x));
    for (size_t i = 0; i < got[v].data.size(); ++i) {
      const double x = got[v].data[i], y = want[v].data[i];
      if (!(std::fabs(x - y) <= 1e-3 * most) && std::isfinite(y) && most < 1e6) {
        return fmt::format("reference: result {} element {} is {} for {}", v, i, x, y);
      }
    }
  }
  return "";
}

// Empty where all ways agree.
std::string disagreement(const RandomGraph& graph, const KernelRunner& interpreter) {
  const std::vector<Value> fused = build(graph), apart = build(graph);
  std::string failed;
  const auto at_once = [&](const Value& v) {
    if (const Status s = evaluate({v}); !s.ok() && failed.empty()) failed = "operator by operator: " + s.message();
  };
  const std::vector<Value> single = build(graph, at_once);
  if (!failed.empty()) return failed;
  if (const Status s = evaluate(single); !s.ok()) return "operator by operator: " + s.message();
  const std::vector<RefTensor> meaning = double_run(apart);
  const auto interpreted = run_apart(apart, true, interpreter);
  if (!interpreted.ok()) return "interpreter: " + interpreted.status().message();
  std::vector<RefTensor> checked;
  for (size_t i = 0; i < apart.size(); ++i) checked.push_back(elements(*(*interpreted)[i], apart[i].meta()));
  if (const Status s = evaluate(fused); !s.ok()) return "fused: " + s.message();
  const std::vector<RefTensor> got = computed(fused);
  std::string what = first_difference(got, computed(single), "operator by operator");
  if (what.empty()) what = first_difference(got, checked, "interpreter");
  if (what.empty() && continuous(graph) && !graph.gradients) what = far_from(got, meaning);
  return what;
}

TEST(RandomGraph, FusedSingleInterpretedAndReferenceAgree) {
  uint64_t first = 1, last = 200;
  if (const char* seeds = std::getenv("BGL_SEEDS")) {
    ASSERT_EQ(std::sscanf(seeds, "%lu..%lu", &first, &last), 2) << "BGL_SEEDS is '" << seeds << "', not A..B";
  }
  std::cout << "seeds " << first << ".." << last << "\n";
  for (uint64_t seed = first; seed <= last; ++seed) {
    const RandomGraph graph = random_graph(seed);
    if (disagreement(graph, interpret_checked).empty()) continue;
    const auto fails = [](const RandomGraph& g) { return !disagreement(g, interpret_checked).empty(); };
    const RandomGraph small = shrink(graph, fails);
    FAIL() << disagreement(small, interpret_checked) << "\n" << to_text(small);
  }
}

// The canary: an interpreter that rounds a * b + c twice is another machine, and is told apart.
TEST(RandomGraph, AWrongMachineIsFound) {
  if (!lang::machine().fma) GTEST_SKIP() << "this machine rounds twice itself";
  const KernelRunner rounds_twice = [](const lang::Function& fn, std::array<int64_t, 3> grid, std::span<const uint64_t> slots,
                                       std::span<const lang::Buffer> buffers) {
    return lang::interpret(fn, grid, slots, {buffers, false});
  };
  int found = 0;
  for (uint64_t seed = 1; seed <= 30; ++seed) found += !disagreement(random_graph(seed), rounds_twice).empty();
  EXPECT_GT(found, 3);
}

TEST(RandomGraph, ShrinkingKeepsWhatFailsAndNoMore) {
  const auto fails = [](const RandomGraph& g) { return to_text(g).find("matmul") != std::string::npos; };
  int tried = 0;
  for (uint64_t seed = 1; tried < 5; ++seed) {
    const RandomGraph graph = random_graph(seed);
    if (!fails(graph)) continue;
    ++tried;
    const RandomGraph small = shrink(graph, fails);
    EXPECT_TRUE(fails(small));
    EXPECT_EQ(small.steps.size(), 1u) << to_text(small);
  }
}

}  // namespace
}  // namespace bgl::compiler
