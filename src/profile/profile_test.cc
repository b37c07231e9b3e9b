#include "profile/profile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "compiler/compile.h"
#include "ops/functions.h"
#include "profile/explain.h"
#include "profile/memory_curve.h"
#include "profile/recorder.h"
#include "profile/roofline.h"
#include "profile/trace.h"

namespace bgl::profile {
namespace {

using nlohmann::json;
using ops::Value;

// Peak 100 GFLOP/s, bandwidth 10 GB/s. One graph: a product of two launches (300 GFLOP, 20 GB: 3 s at least) and a sum (4
// GFLOP, 40 GB: 4 s at least), run in two steps.
Profile small_profile() {
  Profile p;
  p.isa = "test";
  p.engine = "tile";
  p.threads = 1;
  p.rates = {100e9, 10e9};
  p.warmup = 1;
  p.steps = {{5, 0, 20, 8}, {6, 20, 30, 8}};
  compiler::Explanation x;
  x.memory = {128, 128, 64, 256};
  x.groups = {{"matmul", "[2, 2] x [2, 2] -> [2, 2]", {{"matmul", "h.0/mlp"}}, 300e9, 20e9},
              {"add+mul", "[2, 2] -> [2, 2]", {{"add", "h.0"}, {"mul", "h.1"}}, 4e9, 40e9}};
  x.launches = {{0, "pack"}, {0, "product"}, {1, "pointwise"}};
  x.values = {{0, 2, 0, 64, "matmul float32[2, 2]", "h.0/mlp"}, {0, 1, 64, 64, "scratch of matmul", ""}};
  p.graphs = {x};
  p.runs = {{0, 0, {1, 2, 8}, {1, 4, 8}}, {1, 0, {21, 23, 30}, {1, 6, 8}}};
  return p;
}

TEST(Roofline, TimeCostFloorAndShares) {
  const Analysis a = analyse(small_profile());
  ASSERT_EQ(a.kernels.size(), 2u);
  const KernelRow &sum = a.kernels[0], &product = a.kernels[1];
  EXPECT_EQ(sum.name, "add+mul");
  EXPECT_EQ(sum.ops, (std::vector<std::string>{"add at h.*", "mul at h.*"}));
  EXPECT_EQ(sum.modules, (std::vector<std::string>{"h.*"}));
  EXPECT_EQ(sum.seconds, 8);
  EXPECT_EQ(sum.floor_seconds, 4);
  EXPECT_FALSE(sum.bound_by_flops);
  EXPECT_EQ(product.count, 1);
  EXPECT_EQ(product.seconds, 6);  // (1 + 4 + 1 + 6) / 2
  EXPECT_EQ(product.floor_seconds, 3);
  EXPECT_TRUE(product.bound_by_flops);
  EXPECT_EQ(product.launches, (std::vector<std::pair<std::string, double>>{{"product", 5}, {"pack", 1}}));
  EXPECT_EQ(a.step_seconds, 25);
  EXPECT_EQ(a.kernel_seconds, 14);
  EXPECT_EQ(a.between_seconds, 2);  // (15 - 13 + 17 - 15) / 2
  EXPECT_EQ(a.outside_seconds, 9);
  EXPECT_EQ(a.floor_seconds, 7);
}

TEST(Roofline, ALayersNumberBecomesAStar) {
  EXPECT_EQ(without_numbers("backward/h.13/attention linear"), "backward/h.*/attention linear");
  EXPECT_EQ(without_numbers("layers.0"), "layers.*");
  EXPECT_EQ(without_numbers("fc2/x.2b"), "fc2/x.2b");
  EXPECT_EQ(without_numbers(""), "");
}

TEST(MemoryCurve, FollowsLifetimesAlongLaunches) {
  const MemoryCurve c = memory_curve(small_profile());
  EXPECT_EQ(c.alive, (std::vector<int64_t>{128, 128, 64}));
  EXPECT_EQ(c.arena, (std::vector<int64_t>{128, 128, 128}));
  EXPECT_EQ(c.peak_launch, 0u);
  ASSERT_EQ(c.at_peak.size(), 2u);
  EXPECT_EQ(c.at_peak[0].where, "h.0/mlp");
  EXPECT_EQ(c.at_peak[0].first_launch, 0);
  EXPECT_EQ(c.at_peak[0].last_launch, 2);
  EXPECT_EQ(c.at_peak[1].last_launch, 1);
}

TEST(ProfileFile, ComesBackAsItWas) {
  const std::string text = to_json(small_profile());
  const auto back = from_json(text);
  ASSERT_TRUE(back.ok()) << back.status().message();
  EXPECT_EQ(to_json(*back), text);
  EXPECT_EQ(back->graphs[0].groups, small_profile().graphs[0].groups);
  EXPECT_EQ(back->graphs[0].values, small_profile().graphs[0].values);
}

TEST(ProfileFile, SaysWhatIsWrong) {
  EXPECT_EQ(from_json("[").status().message(), "not a JSON object");
  EXPECT_EQ(from_json("{\"format\": \"bgl profile 0\"}").status().message(),
            "its format is \"bgl profile 0\", this program reads \"bgl profile 1\"");
  const auto broken = [](auto change) {
    Profile p = small_profile();
    change(p);
    return from_json(to_json(p)).status().message();
  };
  EXPECT_EQ(broken([](Profile& p) { p.graphs[0].launches[1].group = 2; }), "graph 0: a launch of group 2, of 2");
  EXPECT_EQ(broken([](Profile& p) { p.graphs[0].values[0].end = 3; }), "graph 0: a value lives from group 0 to 3, of 2");
  EXPECT_EQ(broken([](Profile& p) { p.runs[1].graph = 1; }), "graph 1 ran in step 1, of 1 graphs and 2 steps");
  EXPECT_EQ(broken([](Profile& p) { p.runs[0].starts.pop_back(); }),
            "a run of graph 0 has 2 starts and 3 times for 3 launches");
  EXPECT_EQ(broken([](Profile& p) { p.steps.clear(), p.runs.clear(); }), "no step was measured");
}

TEST(Trace, SlicesNestAndTheCounterFollowsTheCurve) {
  const json trace = json::parse(to_trace(small_profile()));
  std::vector<std::string> slices;
  std::vector<std::pair<double, int64_t>> counter;
  for (const json& e : trace["traceEvents"]) {
    if (e["ph"] == "X")
      slices.push_back(fmt::format("{} {} {}+{}", e["tid"].get<int>(), e["name"].get<std::string>(),
                                   e["ts"].get<double>() / 1e6, e["dur"].get<double>() / 1e6));
    if (e["ph"] == "C") counter.push_back({e["ts"].get<double>() / 1e6, e["args"]["bytes"].get<int64_t>()});
  }
  EXPECT_EQ(slices,
            (std::vector<std::string>{"0 step 5 0+20", "0 step 6 20+30", "1 graph 0 1+15", "1 matmul 1+1", "1 matmul 2+4",
                                      "1 add+mul 8+8", "1 graph 0 21+17", "1 matmul 21+1", "1 matmul 23+6", "1 add+mul 30+8"}));
  EXPECT_EQ(counter, (std::vector<std::pair<double, int64_t>>{{1, 128}, {8, 64}, {16, 0}, {21, 128}, {30, 64}, {38, 0}}));
}

TEST(Tables, SayTheOthersAndTheTimeOutsideKernels) {
  const Profile p = small_profile();
  EXPECT_EQ(kernel_table(analyse(p), p.rates, 1).text(),
            "kernel              shapes            times        ms  of step  GFLOP/s  of peak  GB/s  of bandwidth  bound by  "
            "of roofline  modules\n"
            "------------------  ----------------  -----  --------  -------  -------  -------  ----  ------------  --------  "
            "-----------  -------\n"
            "add+mul             [2, 2] -> [2, 2]      1  8000.000   32.0 %      0.5    0.5 %   5.0        50.0 %  bytes       "
            "   50.0 %  h.*\n"
            "(1 other kernels)                         1  6000.000   24.0 %        -        -     -             -              "
            "   50.0 %\n"
            "(between launches)                        -  2000.000    8.0 %        -        -     -             -              "
            "        -\n"
            "(outside graphs)                          -  9000.000   36.0 %        -        -     -             -              "
            "        -\n");
  EXPECT_EQ(peak_table(memory_curve(p), 1).text(),
            "alive at the peak     size  of peak  launches  made by\n"
            "--------------------  ----  -------  --------  -------\n"
            "matmul float32[2, 2]  64 B   50.0 %  0 to 2    h.0/mlp\n");
  EXPECT_EQ(summary_text(p, analyse(p), memory_curve(p)),
            "2 steps from 5 on, 1 before them not measured; 1 threads, test, peak 100 GFLOP/s, bandwidth 10.0 GB/s\n"
            "a step: 25000.000 ms, 0 tokens/s; kernels 56.0 %, between launches 8.0 %, outside graphs 36.0 %\n"
            "its floor: 7000.000 ms for 304.00 GFLOP and 60.00 GB, 28.0 % of the step, 50.0 % of its kernels\n"
            "memory: at most 128 B alive, during launch 0 of 3; the arena takes 128 B (lower bound 128 B)\n");
}

Value leaf(const ops::Shape& shape) {
  const ops::TensorMeta meta{ops::DType::kF32, shape};
  auto bytes = ops::Buffer::allocate(static_cast<size_t>(meta.bytes()));
  std::memset(bytes->data(), 0, bytes->bytes());
  return ops::make_leaf(meta, bytes);
}

void one_step(const Value& x) {
  ops::Label label("h.7");
  Value y = x;
  for (int i = 0; i < 3; ++i) y = ops::softmax(ops::relu(ops::add(ops::matmul(y, x), 1.0)), -1);
  ASSERT_TRUE(compiler::evaluate({y}).ok());
}

TEST(Recorder, MeasuresStepsAfterWarmUpAndTheCurvePeaksWhereThePlanDoes) {
  const Value x = leaf({48, 48});
  one_step(x);  // compiled without an explanation
  EXPECT_EQ(compiler::last_executable()->explanation, nullptr);
  Recorder recorder({.warmup = 1, .steps = 2});
  for (int64_t i = 0; i < 4; ++i) {
    recorder.begin_step(i);
    one_step(x);
    recorder.end_step(10);
    EXPECT_EQ(recorder.done(), i >= 2);
  }
  const Profile p = recorder.profile({1e9, 1e9});
  ASSERT_EQ(p.steps.size(), 2u);
  EXPECT_EQ(p.steps[0].number, 1);
  ASSERT_EQ(p.graphs.size(), 1u);
  ASSERT_EQ(p.runs.size(), 2u);
  const compiler::Explanation& graph = p.graphs[0];
  EXPECT_EQ(graph.launches.size(), compiler::last_executable()->steps.size());
  const MemoryCurve curve = memory_curve(p);
  EXPECT_EQ(curve.alive[curve.peak_launch], graph.memory.lower_bound_bytes);
  EXPECT_GE(graph.memory.arena_bytes, graph.memory.lower_bound_bytes);
  int64_t top = 0, at_peak = 0;
  for (const auto& v : graph.values) top = std::max(top, v.offset + v.bytes);
  for (const AliveValue& v : curve.at_peak) at_peak += v.bytes;
  EXPECT_EQ(top, graph.memory.arena_bytes);
  EXPECT_EQ(at_peak, curve.alive[curve.peak_launch]);
  const Analysis a = analyse(p);
  ASSERT_FALSE(a.kernels.empty());
  EXPECT_DOUBLE_EQ(a.kernel_seconds + a.between_seconds + a.outside_seconds, a.step_seconds);
  const auto product = std::find_if(a.kernels.begin(), a.kernels.end(), [](const KernelRow& r) { return r.name == "matmul"; });
  ASSERT_NE(product, a.kernels.end());
  EXPECT_EQ(product->count, 3);
  EXPECT_EQ(product->flops, 3 * 2.0 * 48 * 48 * 48);
  EXPECT_EQ(product->modules, (std::vector<std::string>{"h.*"}));
  const auto fused = std::find_if(a.kernels.begin(), a.kernels.end(), [](const KernelRow& r) { return r.name == "add+relu"; });
  ASSERT_NE(fused, a.kernels.end());
  EXPECT_EQ(fused->bytes, 3 * (2.0 * 48 * 48 * 4 + 4));  // in, out and the number: nothing in between
}

TEST(Recorder, AStepThatNeverEndedIsLeftOut) {
  const Value x = leaf({16, 16});
  Recorder recorder({.warmup = 0, .steps = 2});
  recorder.begin_step(0);
  one_step(x);
  recorder.end_step(1);
  recorder.begin_step(1);
  one_step(x);
  EXPECT_FALSE(recorder.done());
  const Profile p = recorder.profile({1e9, 1e9});
  EXPECT_EQ(p.steps.size(), 1u);
  EXPECT_EQ(p.runs.size(), 1u);
  EXPECT_TRUE(from_json(to_json(p)).ok());
}

}  // namespace
}  // namespace bgl::profile
