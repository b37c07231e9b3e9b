// The contract of laziness, one test a clause. Each fails when its clause is broken.
//   a  a scalar is a run-time argument: a new one compiles nothing
//   b  random leaves are drawn at the call, in program order, used or not
//   c  shape errors throw at the call; run errors name the operator and the module
//   d  optimizer.step() cuts, and so do 10,000 pending nodes
//   e  item, to_vector, buffer and detach evaluate, nothing else does; views share storage, by version
//   f  a new size plans memory anew and compiles no kernel
//   g  BGL_EAGER=1 runs every operator at its call, and agrees
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "compiler/compile.h"
#include "framework/functional.h"
#include "framework/nn.h"
#include "framework/optim.h"
#include "framework/random.h"
#include "lang/kernel.h"

namespace bgl::framework {
namespace {

using Floats = std::vector<float>;

Tensor floats(const Floats& v) { return Tensor::from_vector(v, {static_cast<int64_t>(v.size())}); }
int64_t runs() { return compiler::counters().graphs_run; }
int64_t compilations() { return compiler::counters().graphs_compiled; }
int64_t kernels() {
  const lang::KernelCounters c = lang::kernel_counters();
  return c.compiled + c.from_disk;
}
template <typename Call>
std::string message(Call&& call) {
  try {
    call();
  } catch (const Error& e) {
    return e.what();
  }
  return "nothing was thrown";
}

// Two layers, a loss, an update: what most programs do in a step.
struct Tiny {
  Linear first{6, 8}, second{8, 4};
  Embedding table{10, 6};
  Tensor loss(const Tensor& ids, const Tensor& targets) const {
    return cross_entropy(second.forward(gelu(layer_norm(first.forward(table.forward(ids))))), targets);
  }
  std::vector<Tensor> parameters() const {
    std::vector<Tensor> all = first.parameters();
    for (const Module* m : {static_cast<const Module*>(&second), static_cast<const Module*>(&table)}) {
      for (const Tensor& t : m->parameters()) all.push_back(t);
    }
    return all;
  }
};
Tensor whole_numbers(int64_t n, int64_t below) { return randint(0, below, {n}); }

TEST(Laziness, ANewScalarOrLearningRateCompilesNothing) {
  manual_seed(1);
  const Tiny model;
  AdamW optimizer({{model.parameters(), 0.1}});
  const Tensor ids = whole_numbers(5, 10), targets = whole_numbers(5, 4);
  const auto step = [&](double rate, double factor) {
    (model.loss(ids, targets) * factor).backward();
    optimizer.step(rate);
    optimizer.zero_grad();
  };
  for (int i = 0; i < 3; ++i) step(0.1, 1);
  const int64_t graphs = compilations(), made = kernels();
  for (int i = 1; i < 6; ++i) step(0.1 / i, 1.0 + i);
  EXPECT_EQ(compilations(), graphs);
  EXPECT_EQ(kernels(), made);
}

TEST(Laziness, BRandomLeavesAreDrawnInProgramOrderUsedOrNot) {
  ops::Generator stream(5);
  Floats first(3), unused(20), second(4);
  stream.normal(first, 0, 1);
  stream.uniform(unused, 0, 1);
  Floats keep(4);
  stream.bernoulli(keep, 0.5);
  stream.normal(second, 0, 1);
  manual_seed(5);
  const Tensor a = randn({3});
  { const Tensor nobody_looks = rand({20}); }
  const Tensor dropped = dropout(Tensor::ones({4}), 0.5, true);
  const Tensor b = randn({4});
  EXPECT_EQ(b.to_vector(), second);  // looked at in another order than drawn
  for (float& k : keep) k *= 2;
  EXPECT_EQ(dropped.to_vector(), keep);
  EXPECT_EQ(a.to_vector(), first);
}

TEST(Laziness, CShapeErrorsThrowAtTheCall) {
  const int64_t before = runs();
  const Tensor x = Tensor::ones({2, 3}), y = Tensor::ones({4, 5});
  EXPECT_EQ(message([&] { matmul(x, y); }), "[matmul] got [2, 3] x [4, 5]: inner dims 3 != 4");
  EXPECT_EQ(message([&] { x + y; }), "[add] got [2, 3] and [4, 5]: sizes 3 and 5 do not broadcast");
  EXPECT_EQ(runs(), before);
}

TEST(Laziness, CRunErrorsNameTheOperatorAndItsModule) {
  const Tiny model;
  Tensor wrong;
  {
    const ops::Label block("h.3"), part("embedding");
    wrong = model.table.forward(Tensor::from_vector(std::vector<int64_t>{1, 12}, {2}));
  }
  const Tensor later = wrong * 2.0;
  EXPECT_EQ(message([&] { later.to_vector(); }),
            "[embedding] at h.3/embedding embedding: id 12 at element 1 is outside [0, 10)");
}

TEST(Laziness, DOptimizerStepCuts) {
  Tensor w = floats({1, 2, 3});
  w.requires_grad_();
  SGD optimizer({{{w}, 0}}, 0);
  const Tensor beside = floats({4}) * 2.0;
  int64_t alive = 0;
  for (int i = 0; i < 20; ++i) {
    sum(w * w).backward();
    const int64_t before = runs();
    optimizer.step(0.1);
    optimizer.zero_grad();
    EXPECT_GT(runs(), before);
    if (i == 1) alive = ops::nodes_alive();
  }
  EXPECT_EQ(ops::nodes_alive(), alive) << "a loop that never looks grows";
  const int64_t before = runs();
  EXPECT_FLOAT_EQ(w.to_vector()[0], static_cast<float>(std::pow(0.8, 20)));
  EXPECT_EQ(beside.to_vector(), (Floats{8}));
  EXPECT_EQ(runs(), before) << "something still waited after step()";
}

TEST(Laziness, DTenThousandPendingNodesCut) {
  const int64_t before = runs(), alive = ops::nodes_alive();
  int64_t most = 0;
  Tensor x = floats({0, 1});
  for (int i = 0; i < 12'000; ++i) {  // three nodes a round: the number, its expansion, the sum
    x = x + 1.0;
    most = std::max(most, ops::nodes_alive() - alive);
  }
  EXPECT_EQ(runs(), before + 3);
  EXPECT_GT(most, 9'000);
  EXPECT_LE(most, 10'100);
  EXPECT_EQ(x.to_vector(), (Floats{12'000, 12'001}));
}

TEST(Laziness, EOnlyLooksEvaluate) {
  Tensor w = floats({1, 2});
  w.requires_grad_();
  const int64_t before = runs();
  const Tensor y = w * w, part = y.reshape({2, 1}).transpose(0, 1).select(1, 1), total = sum(y);
  total.backward();
  Tensor written = y.clone();
  written.slice(0, 0, 1).fill_(7);
  EXPECT_EQ(y.shape(), (Shape{2}));
  EXPECT_EQ(part.numel(), 1);
  EXPECT_TRUE(total.requires_grad());
  EXPECT_EQ(runs(), before);
  const std::function<void()> looks[] = {[&] { total.item(); }, [&] { w.grad().to_vector(); }, [&] { written.buffer(); },
                                         [&] { (total * 2.0).detach(); }, [&] { part.to_int_vector(); }};
  int64_t seen = before;
  for (const auto& look : looks) {
    look();
    EXPECT_GT(runs(), seen) << "look " << &look - looks;
    seen = runs();
  }
  total.item();
  EXPECT_EQ(runs(), seen) << "a computed tensor was computed again";
}

TEST(Laziness, EAliasesShareStorageAndValuesKeepTheirVersion) {
  Tensor x = floats({0, 1, 2, 3, 4, 5}).clone();
  Tensor table = x.view({2, 3}), turned = table.transpose(0, 1), last = table.select(0, 1);
  const Tensor taken = x * 10.0;  // of the version before the writes
  last.fill_(9);
  EXPECT_EQ(turned.to_vector(), (Floats{0, 9, 1, 9, 2, 9}));
  turned.select(0, 0).mul_(2);
  x.slice(0, 1, 6, 2).add_(Tensor::ones({3}));
  EXPECT_EQ(table.to_vector(), (Floats{0, 2, 2, 19, 9, 10}));
  EXPECT_EQ(last.to_vector(), (Floats{19, 9, 10}));
  EXPECT_EQ(taken.to_vector(), (Floats{0, 10, 20, 30, 40, 50}));
}

TEST(Laziness, FANewSizePlansAnewAndCompilesNoKernel) {
  manual_seed(2);
  const Tiny model;
  const auto step = [&](int64_t batch) {
    const Tensor loss = model.loss(whole_numbers(batch, 10), whole_numbers(batch, 4));
    loss.backward();
    std::vector<Tensor> wanted = {loss};
    for (const Tensor& p : model.parameters()) {
      wanted.push_back(p.grad());
      Tensor(p).set_grad({});
    }
    eval(wanted);
  };
  for (const int64_t batch : {1, 64, 67, 130}) step(batch);  // every class of shapes
  const int64_t graphs = compilations(), made = kernels();
  for (const int64_t batch : {71, 83, 97, 101}) step(batch);
  EXPECT_EQ(compilations(), graphs + 4);
  EXPECT_EQ(kernels(), made);
}

// Runs a few steps of training and returns every number they make, and the count of graphs run.
std::vector<double> training() {
  manual_seed(3);
  const Tiny model;
  AdamW optimizer({{model.parameters(), 0.1}});
  std::vector<double> out;
  for (int i = 0; i < 4; ++i) {
    const Tensor loss = model.loss(whole_numbers(7, 10), whole_numbers(7, 4));
    loss.backward();
    out.push_back(loss.item());
    optimizer.step(0.01);
    optimizer.zero_grad();
  }
  for (const Tensor& p : model.parameters()) {
    for (const float v : p.to_vector()) out.push_back(v);
  }
  return out;
}

TEST(Laziness, GEagerRunsAtTheCallAndAgrees) {
  // This program runs itself once more under BGL_EAGER=1, which is read once a process; the copy writes what it computed.
  if (const char* path = std::getenv("BGL_LAZINESS_OUT")) {
    std::ofstream out(path);
    out.precision(17);
    const int64_t before = runs();
    const Tensor looked_at_by_nobody = floats({1}) + 2.0;
    out << runs() - before << '\n';
    for (const double v : training()) out << v << '\n';
    return;
  }
  const std::string path = testing::TempDir() + "/bgl_laziness_" + std::to_string(::getpid());
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  const std::string command = "BGL_EAGER=1 BGL_LAZINESS_OUT=" + path + " " + self + " --gtest_filter=Laziness.G* > /dev/null";
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  std::ifstream in(path);
  int64_t ran = 0;
  ASSERT_TRUE(in >> ran);
  EXPECT_EQ(ran, 1) << "an operator that nobody looks at must run at its call";
  for (const double fused : training()) {
    double eager = 0;
    ASSERT_TRUE(in >> eager);
    EXPECT_NEAR(eager, fused, 1e-5 * std::max(1.0, std::abs(fused)));
  }
}

}  // namespace
}  // namespace bgl::framework
