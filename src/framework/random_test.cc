// The random stream against torch's: numbers that torch 2.15 printed, and, where BGL_PEER_PYTHON names a Python with torch, the
// whole of every fill at sizes on both sides of each of torch's code paths.
#include "framework/random.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "framework/functional.h"

namespace bgl::framework {
namespace {

using Floats = std::vector<float>;
using Ints = std::vector<int64_t>;

void expect_near(const Floats& got, const Floats& want, const char* what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-6 * std::abs(want[i])) << what << " element " << i;
}

// Printed by torch 2.15, on a processor that is not Intel's, after torch.manual_seed(1337) by these calls in this order.
TEST(Random, ValuesThatTorchPrinted) {
  manual_seed(1337);
  const Tensor w = Tensor::from_vector(Floats{0.5f, 0, 3, 1, 0.25f, 2}, {6});
  Tensor fair = Tensor::zeros({12});
  EXPECT_EQ(bernoulli_(fair, 0.3).to_vector(), (Floats{0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 1}));
  const Floats steps{0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f, 0.7f, 0.8f, 0.9f};
  EXPECT_EQ(bernoulli(Tensor::from_vector(steps, {9})).to_vector(), (Floats{1, 0, 0, 0, 1, 0, 1, 1, 1}));
  Floats waits(5);
  ops::default_generator().exponential(waits, 2);
  expect_near(waits, {1.4199382066726685f, 0.2567938268184662f, 0.2798471748828888f, 2.08565616607666f, 0.5422062873840332f},
              "exponential");
  EXPECT_EQ(multinomial(w, 1).to_int_vector(), (Ints{3}));
  EXPECT_EQ(multinomial(w, 3).to_int_vector(), (Ints{5, 2, 0}));
  EXPECT_EQ(multinomial(w, 12, true).to_int_vector(), (Ints{5, 2, 3, 0, 2, 2, 5, 2, 5, 5, 5, 2}));
  const Tensor rows = Tensor::from_vector(Floats{0.5f, 0, 3, 1, 0.25f, 2, 2, 0.25f, 1, 3, 0, 0.5f}, {2, 6});
  const Tensor drawn = multinomial(rows, 2);
  EXPECT_EQ(drawn.shape(), (Shape{2, 2}));
  EXPECT_EQ(drawn.to_int_vector(), (Ints{2, 4, 3, 2}));
  EXPECT_EQ(dropout(Tensor::from_vector(Floats{1, 2, 3, 4, 5, 6}, {6}), 0.5, true).to_vector(), (Floats{0, 4, 0, 0, 10, 0}));
  expect_near(randn({2, 2}).to_vector(),
              {-1.168208360671997f, 0.11421861499547958f, -0.03828861191868782f, 1.2657219171524048f}, "randn");
  EXPECT_EQ(rand({3}).to_vector(), (Floats{0.8362061381340027f, 0.5020601153373718f, 0.006445467472076416f}));
}

TEST(Random, WhatCannotBeDrawnIsRefused) {
  const auto message = [](auto&& call) -> std::string {
    try {
      call();
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  const auto weights = [](Floats w) { return Tensor::from_vector(w, {static_cast<int64_t>(w.size())}); };
  EXPECT_EQ(message([&] {
              multinomial(weights({1, -1}), 1);
            }),
            "[multinomial] weight 1 is -1: it must be finite and at least 0");
  EXPECT_EQ(message([&] {
              multinomial(weights({0, 0}), 2, true);
            }),
            "[multinomial] the sum of 2 weights is 0: nothing can be drawn");
  EXPECT_EQ(message([&] { multinomial(weights({1, 1}), 3); }), "[multinomial] 3 samples from 2 without replacement");
  EXPECT_EQ(message([&] { multinomial(weights({1, 1}), 0); }), "[multinomial] 0 samples were asked for");
  EXPECT_EQ(message([&] {
              multinomial(Tensor::ones({1, 1, 1}), 1);
            }),
            "[multinomial] weights of shape [1, 1, 1]: one row or a table of rows is needed");
  EXPECT_EQ(message([&] { bernoulli(weights({0.5f, 2})); }), "[bernoulli] 2 at element 1 is not a probability");
  EXPECT_EQ(message([&] { randint(3, 3, {2}); }), "[randint] nothing lies in [3, 3)");
}

// What the peer prints, one line a fill, for each size on its command line; drawn() below makes the same calls.
constexpr const char* kPeer = R"(
import sys, torch
import torch.nn.functional as F
show = lambda t: print(*t.flatten().tolist())
for n in map(int, sys.argv[1:]):
    torch.manual_seed(n)
    show(torch.randn(n))
    show(torch.empty(n).normal_(3, 0.02))
    show(torch.rand(n))
    show(torch.empty(n).uniform_(-2, 5))
    show(torch.randint(-7, 1000, (n,)))
    show(torch.randint(0, 2**40, (n,)))
    show(torch.randperm(n))
    w = torch.rand(n)
    show(torch.multinomial(w, 1))
    show(torch.multinomial(w, (n + 1) // 2))
    show(torch.multinomial(w, n + 1, replacement=True))
    show(torch.bernoulli(w))
    show(torch.empty(n).bernoulli_(0.3))
    show(F.dropout(w, 0.1))
    show(torch.randn(n))
)";

std::vector<std::vector<double>> drawn(int64_t n) {
  std::vector<std::vector<double>> out;
  const auto show = [&](const Tensor& t) {
    if (t.dtype() == DType::kI64) {
      const auto v = t.to_int_vector();
      out.emplace_back(v.begin(), v.end());
    } else {
      const auto v = t.to_vector();
      out.emplace_back(v.begin(), v.end());
    }
  };
  Tensor t = Tensor::zeros({n});
  manual_seed(static_cast<uint64_t>(n));
  show(randn({n}));
  show(normal_(t, 3, 0.02));
  show(rand({n}));
  show(uniform_(t, -2, 5));
  show(randint(-7, 1000, {n}));
  show(randint(0, int64_t{1} << 40, {n}));
  show(randperm(n));
  const Tensor w = rand({n});
  show(multinomial(w, 1));
  show(multinomial(w, (n + 1) / 2));
  show(multinomial(w, n + 1, true));
  show(bernoulli(w));
  show(bernoulli_(t, 0.3));
  show(dropout(w, 0.1, true));
  show(randn({n}));
  return out;
}

TEST(Random, EveryFillAtManySizesIsTorchs) {
  const char* python = std::getenv("BGL_PEER_PYTHON");
  if (!python) GTEST_SKIP() << "BGL_PEER_PYTHON names no Python with torch";
  const std::string base = testing::TempDir() + "/bgl_random_" + std::to_string(::getpid());
  std::ofstream(base + ".py") << kPeer;
  const std::string command = std::string(python) + " " + base + ".py 1 15 16 17 31 1000 4097 > " + base + ".txt";
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  std::ifstream lines(base + ".txt");
  for (const int64_t n : {1, 15, 16, 17, 31, 1000, 4097}) {
    int fill = 0;
    for (const std::vector<double>& got : drawn(n)) {
      std::string line;
      ASSERT_TRUE(std::getline(lines, line));
      std::istringstream words(line);
      for (size_t i = 0; i < got.size(); ++i) {
        double want = 0;
        ASSERT_TRUE(words >> want) << "size " << n << " fill " << fill << " ends at " << i;
        ASSERT_NEAR(got[i], want, 1e-6 * std::abs(want)) << "size " << n << " fill " << fill << " element " << i;
      }
      ++fill;
    }
  }
}

}  // namespace
}  // namespace bgl::framework
