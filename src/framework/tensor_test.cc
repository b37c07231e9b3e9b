#include "framework/tensor.h"

#include <gtest/gtest.h>

#include <cmath>

#include "compiler/compile.h"
#include "framework/functional.h"
#include "framework/nn.h"
#include "framework/optim.h"
#include "framework/random.h"

namespace bgl::framework {
namespace {

Tensor counting(const Shape& shape) {
  std::vector<float> v(static_cast<size_t>(ops::numel(shape)));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(i);
  return Tensor::from_vector(v, shape);
}

TEST(Tensor, AViewSeesWritesToItsBaseAndTheOtherWay) {
  Tensor x = counting({2, 3});
  Tensor row = x.select(0, 1), turned = x.transpose(0, 1);
  row.fill_(9);
  EXPECT_EQ(x.to_vector(), (std::vector<float>{0, 1, 2, 9, 9, 9}));
  turned.slice(0, 0, 1).fill_(-1);
  EXPECT_EQ(x.to_vector(), (std::vector<float>{-1, 1, 2, -1, 9, 9}));
  EXPECT_EQ(row.to_vector(), (std::vector<float>{-1, 9, 9}));
}

TEST(Tensor, AValueReadBeforeAWriteKeepsItsMeaning) {
  Tensor x = counting({3});
  const Tensor before = x * 2;
  x.fill_(5);
  EXPECT_EQ(before.to_vector(), (std::vector<float>{0, 2, 4}));
  EXPECT_EQ((x * 2).to_vector(), (std::vector<float>{10, 10, 10}));
}

TEST(Tensor, AValueOfAnotherTypeIsTakenWhereNothingLooksAtIt) {
  Tensor x = counting({4});
  const Value half = Tensor::from_buffer(ops::Buffer::allocate(8), DType::kBF16, {4}).value();
  {
    const Tensor view = x.slice(0, 0, 2);
    try {
      x.set_value(half);
      FAIL() << "the view has another type now";
    } catch (const Error& e) {
      EXPECT_STREQ(e.what(), "[set_value] bfloat16 for a tensor of float32 that has views");
    }
  }
  x.set_value(half);
  EXPECT_EQ(x.dtype(), DType::kBF16);
}

TEST(Tensor, ViewRefusesWhatNeedsACopy) {
  const Tensor x = counting({2, 3});
  EXPECT_EQ(x.transpose(0, 1).reshape({6}).to_vector(), (std::vector<float>{0, 3, 1, 4, 2, 5}));
  try {
    x.transpose(0, 1).view({6});
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "[view] [3, 2] cannot be seen as [6] without a copy: use reshape");
  }
}

TEST(Tensor, ShapeErrorsThrowAtTheCall) {
  try {
    matmul(counting({2, 3}), counting({4, 5}));
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "[matmul] got [2, 3] x [4, 5]: inner dims 3 != 4");
  }
}

TEST(Tensor, BackwardAddsUp) {
  Tensor w = counting({3});
  w.requires_grad_();
  sum(w * w).backward();
  sum(w * 3.0).backward();
  EXPECT_EQ(w.grad().to_vector(), (std::vector<float>{3, 5, 7}));
  ops::NoGrad no_grad;
  EXPECT_FALSE((w * 2).requires_grad());
}

TEST(Tensor, ABranchThatWasLookedAtStillGivesGradients) {
  Tensor w = counting({3});
  w.requires_grad_();
  const Tensor y = w * w;
  EXPECT_EQ(y.to_vector(), (std::vector<float>{0, 1, 4}));  // runs the graph in between
  sum(y * 2.0).backward();
  EXPECT_EQ(w.grad().to_vector(), (std::vector<float>{0, 4, 8}));
}

TEST(Optim, AdamWMatchesTorch) {
  // torch 2.15: w = [1, -2, 3]; 3 steps of AdamW(lr=0.1, weight_decay=0.1) on (w^2).sum().
  Tensor w = Tensor::from_vector(std::vector<float>{1, -2, 3}, {3});
  w.requires_grad_();
  AdamW opt({{{w}, 0.1}});
  for (int i = 0; i < 3; ++i) {
    sum(w * w).backward();
    opt.step(0.1);
    opt.zero_grad();
  }
  const std::vector<float> want = {0.6751012802124023f, -1.6443686485290527f, 2.614406108856201f};
  const auto got = w.to_vector();
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(got[i], want[i], 2e-6);
}

TEST(Optim, StepsReuseOneExecutable) {
  Tensor w = counting({40});
  w.requires_grad_();
  AdamW opt({{{w}, 0}});
  int64_t compiled = 0;
  for (int i = 0; i < 6; ++i) {
    sum(w * w).backward();
    opt.step(0.1 / (i + 1));
    opt.zero_grad();
    if (i == 2) compiled = compiler::counters().graphs_compiled;
  }
  EXPECT_EQ(compiler::counters().graphs_compiled, compiled);
}

TEST(Optim, Schedules) {
  const Schedule cosine{Schedule::Kind::kCosine, 1e-3, 1e-4, 100, 2000, 0};
  EXPECT_NEAR(cosine.at(0), 1e-3 / 101, 1e-12);
  EXPECT_NEAR(cosine.at(1050), 5.5e-4, 1e-9);
  EXPECT_NEAR(cosine.at(5000), 1e-4, 1e-12);
  const Schedule wsd{Schedule::Kind::kWSD, 1, 0, 10, 100, 50};
  EXPECT_EQ(wsd.at(49), 1);
  EXPECT_NEAR(wsd.at(75), 0.5, 1e-12);
}

TEST(Clip, TheScaleIsTorchs) {
  Tensor w = counting({2});
  w.requires_grad_();
  sum(w * Tensor::from_vector(std::vector<float>{3, 4}, {2})).backward();
  const Clip c = clip_grad_norm({w}, 1.0);
  EXPECT_FLOAT_EQ(static_cast<float>(c.norm.item()), 5);
  EXPECT_NEAR(c.scale.item(), 1 / (5 + 1e-6), 1e-7);
}

TEST(Lora, MergingGivesTheSameOutputAndUnmergingTheOldWeight) {
  manual_seed(1);
  Linear l(8, 6);
  const auto before = l.weight.to_vector();
  l.add_low_rank(2, 4);
  {
    ops::NoGrad no_grad;
    Tensor b = l.low_rank().b;
    b.copy_(normal({6, 2}));
  }
  const Tensor x = normal({3, 8});
  const auto apart = l.forward(x).to_vector();
  l.merge_low_rank();
  const auto merged = l.forward(x).to_vector();
  for (size_t i = 0; i < apart.size(); ++i) EXPECT_NEAR(apart[i], merged[i], 1e-5);
  l.unmerge_low_rank();
  const auto after = l.weight.to_vector();
  for (size_t i = 0; i < before.size(); ++i) EXPECT_NEAR(after[i], before[i], 1e-6);
  EXPECT_FALSE(l.weight.requires_grad());
}

TEST(CrossEntropy, LeavesOutWhatIsMasked) {
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<float> masked(3000, -inf), plain;
  for (int i = 0; i < 20; ++i) plain.push_back(std::sin(static_cast<float>(i)));
  std::copy(plain.begin(), plain.end(), masked.begin() + 2500);  // after blocks that hold nothing but -inf
  const auto loss = [](const std::vector<float>& logits, int64_t target) {
    return cross_entropy(Tensor::from_vector(logits, {1, static_cast<int64_t>(logits.size())}), Tensor::from_vector(std::vector<int64_t>{target}, {1})).item();
  };
  EXPECT_NEAR(loss(masked, 2507), loss(plain, 7), 1e-6);
  EXPECT_EQ(loss(masked, 3), inf);
  EXPECT_TRUE(std::isnan(loss(std::vector<float>(50, -inf), 3)));
  plain[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(loss(plain, 7)));
}

TEST(Dropout, KeepsTheMean) {
  manual_seed(3);
  const auto y = dropout(Tensor::ones({10000}), 0.25, true).to_vector();
  double s = 0;
  for (const float v : y) s += v;
  EXPECT_NEAR(s / 10000, 1, 0.03);
  EXPECT_EQ(dropout(Tensor::ones({4}), 0.25, false).to_vector(), (std::vector<float>(4, 1)));
}

}  // namespace
}  // namespace bgl::framework
