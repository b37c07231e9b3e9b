// Products with packed weights: what packing gives, and that the bits are those of a product with the widened weight, however
// many rows there are.
#include "ops/packed.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "compiler/compile.h"
#include "lang/kernel.h"
#include "ops/functions.h"
#include "ops/random.h"

namespace bgl::compiler {
namespace {

using ops::DType;
using ops::PackedWeight;
using ops::TensorMeta;
using ops::Value;
using ops::WeightType;

constexpr WeightType kWeightTypes[] = {WeightType::kF32, WeightType::kBF16, WeightType::kInt8};

std::vector<float> some(int64_t n, uint64_t seed) {
  ops::Generator g(seed);
  std::vector<float> out;
  for (int64_t i = 0; i < n; ++i) out.push_back(static_cast<float>(g.uniform_double() - 0.5));
  return out;
}

Value matrix(const std::vector<float>& data, int64_t rows, int64_t columns) {
  auto buffer = ops::Buffer::allocate(data.size() * sizeof(float));
  std::memcpy(buffer->data(), data.data(), data.size() * sizeof(float));
  return ops::make_leaf({DType::kF32, {rows, columns}}, buffer);
}

std::vector<float> floats_of(const Value& v) {
  const Value c = ops::contiguous(v);
  const Status s = evaluate({c});
  EXPECT_TRUE(s.ok()) << s.message();
  const float* data = c.node->buffers[0]->as<float>();
  return {data, data + ops::numel(c.shape())};
}

// Every row of the weight, as float32.
Value widened(const PackedWeight& w) { return ops::packed_embedding(w, ops::contiguous(ops::arange(w.rows))); }

TEST(PackedWeight, F32AndBf16KeepTheirNumbers) {
  const std::vector<float> w = some(70 * 130, 1);
  EXPECT_EQ(floats_of(widened(ops::pack_weight({DType::kF32, {70, 130}}, w.data(), WeightType::kF32))), w);
  std::vector<std::byte> moved(w.size() * sizeof(float) + 1);  // a mapped file's tensors may begin at any byte
  std::memcpy(moved.data() + 1, w.data(), w.size() * sizeof(float));
  EXPECT_EQ(floats_of(widened(ops::pack_weight({DType::kF32, {70, 130}}, moved.data() + 1, WeightType::kF32))), w);
  std::vector<uint16_t> halves;
  std::vector<float> wanted;
  for (const float f : w) {
    halves.push_back(static_cast<uint16_t>(std::bit_cast<uint32_t>(f) >> 16));
    wanted.push_back(std::bit_cast<float>(static_cast<uint32_t>(halves.back()) << 16));
  }
  for (const WeightType type : {WeightType::kF32, WeightType::kBF16}) {
    EXPECT_EQ(floats_of(widened(ops::pack_weight({DType::kBF16, {70, 130}}, halves.data(), type))), wanted) << ops::name_of(type);
  }
}

TEST(PackedWeight, Bf16RoundsToTheNearestEven) {
  const std::vector<float> w = {1.0f + 1.0f / 256, 1.0f + 3.0f / 256, -1.0f - 1.5f / 256, 0x1p127f * 1.999f};
  const std::vector<float> wanted = {1.0f, 1.0f + 4.0f / 256, -1.0f - 2.0f / 256, std::numeric_limits<float>::infinity()};
  EXPECT_EQ(floats_of(widened(ops::pack_weight({DType::kF32, {1, 4}}, w.data(), WeightType::kBF16))), wanted);
}

TEST(PackedWeight, Int8IsWithinHalfAStepOfEveryGroup) {
  const int64_t rows = 65, width = 130;
  std::vector<float> w = some(rows * width, 2);
  for (int64_t k = 0; k < 64; ++k) w[static_cast<size_t>(3 * width + k)] = 0;           // a group of zeros
  for (int64_t k = 64; k < 128; ++k) w[static_cast<size_t>(3 * width + k)] *= 1e-3f;  // and a small one beside it
  const PackedWeight packed = ops::pack_weight({DType::kF32, {rows, width}}, w.data(), WeightType::kInt8);
  EXPECT_EQ(packed.bytes(), 2 * 64 * width + 4 * 2 * 64 * 3);
  const std::vector<float> got = floats_of(widened(packed));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t from = 0; from < width; from += ops::kScaleGroup) {
      float most = 0;
      for (int64_t k = from; k < std::min(width, from + 64); ++k) most = std::max(most, std::fabs(w[static_cast<size_t>(r * width + k)]));
      for (int64_t k = from; k < std::min(width, from + 64); ++k) {
        const auto i = static_cast<size_t>(r * width + k);
        EXPECT_NEAR(got[i], w[i], most / 127 / 2 * 1.0001f) << r << ", " << k;
      }
    }
  }
}

TEST(PackedWeight, RefusesWhatItCannotHold) {
  std::vector<float> w(100 * 64, 1.0f);
  w[70 * 64] = std::numeric_limits<float>::infinity();
  const auto message = [&](const TensorMeta& meta) -> std::string {
    try {
      ops::pack_weight(meta, w.data(), WeightType::kInt8);
    } catch (const Error& e) {
      return e.what();
    }
    return "nothing";
  };
  EXPECT_EQ(message({DType::kF32, {100, 64}}),
            "[pack_weight] a weight in rows 64 to 99 of [100, 64] is not finite, which int8 cannot hold: keep bf16 or f32");
  EXPECT_EQ(message({DType::kI64, {4, 4}}), "[pack_weight] got int64 [4, 4]: needs a matrix of float32 or bfloat16");
  const PackedWeight packed = ops::pack_weight({DType::kF32, {3, 64}}, w.data(), WeightType::kInt8);
  try {
    ops::packed_linear(matrix(some(10, 1), 2, 5), packed, {});
    ADD_FAILURE() << "a product of 5 and 64";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "[packed_linear] got x [2, 5] and weight [3, 64]: the last dim of x must be 64");
  }
}

TEST(PackedLinear, HasTheBitsOfTheProductWithTheWidenedWeightForAnyNumberOfRows) {
  const int64_t n = 200, k = 333, most = 210;
  const std::vector<float> w = some(n * k, 3), x = some(most * k, 4);
  for (const WeightType type : kWeightTypes) {
    const PackedWeight packed = ops::pack_weight({DType::kF32, {n, k}}, w.data(), type);
    const std::vector<float> wanted = floats_of(ops::linear(matrix(x, most, k), widened(packed), {}));
    for (const int64_t rows : {int64_t{1}, int64_t{2}, int64_t{3}, int64_t{4}, int64_t{64}, most}) {
      const std::vector<float> part(x.begin(), x.begin() + rows * k);
      const std::vector<float> got = floats_of(ops::packed_linear(matrix(part, rows, k), packed, {}));
      EXPECT_EQ(std::memcmp(got.data(), wanted.data(), got.size() * sizeof(float)), 0) << ops::name_of(type) << ", " << rows << " rows";
    }
  }
}

// Both sides are rounded to a 127th of the largest of their group: an error of a product is within a 127th of both, and errors of a
// sum mostly cancel.
TEST(W8A8, IsNearTheProductAndHasTheSameBitsForAnyNumberOfRows) {
  for (const auto& [n, k] : {std::pair<int64_t, int64_t>{200, 333}, {64, 64}, {65, 1000}, {3, 1}}) {
    const int64_t most = 530;  // more than a program takes
    const std::vector<float> w = some(n * k, 3), x = some(most * k, 4);
    const PackedWeight packed = ops::pack_weight({DType::kF32, {n, k}}, w.data(), WeightType::kW8A8);
    const std::vector<float> exact = floats_of(ops::linear(matrix(x, most, k), matrix(w, n, k), {})), all = floats_of(ops::packed_linear(matrix(x, most, k), packed, {}));
    for (size_t i = 0; i < all.size(); ++i) ASSERT_NEAR(all[i], exact[i], 0.004 * std::sqrt(static_cast<double>(k)) + 0.002) << n << ", " << k << " at " << i;
    for (const int64_t rows : {1, 2, 3, 4, 7, 64, 513}) {
      const std::vector<float> part(x.begin(), x.begin() + rows * k);
      const std::vector<float> got = floats_of(ops::packed_linear(matrix(part, rows, k), packed, {}));
      EXPECT_EQ(std::memcmp(got.data(), all.data(), got.size() * sizeof(float)), 0) << n << ", " << k << ", " << rows << " rows";
    }
  }
}

TEST(W8A8, WhatIsNotFiniteStaysSo) {
  const std::vector<float> w = some(5 * 130, 3);
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> x = some(3 * 130, 4);
    x[130 + 70] = bad;
    const std::vector<float> y = floats_of(ops::packed_linear(matrix(x, 3, 130), ops::pack_weight({DType::kF32, {5, 130}}, w.data(), WeightType::kW8A8), {}));
    for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isfinite(y[i]), i / 5 != 1) << i;
  }
}

TEST(W8A8, LooksUpTheRowsThatInt8Has) {
  const std::vector<float> w = some(70 * 130, 2);
  const TensorMeta meta{DType::kF32, {70, 130}};
  EXPECT_EQ(floats_of(widened(ops::pack_weight(meta, w.data(), WeightType::kW8A8))), floats_of(widened(ops::pack_weight(meta, w.data(), WeightType::kInt8))));
}

// One chain over pairs of k, the odd one first.
TEST(W16A16, IsTheChainOfRoundedNumbersForAnyNumberOfRows) {
  const auto rounded = [](float x) {
    const auto bits = std::bit_cast<uint32_t>(x);
    return std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u);
  };
  for (const auto& [n, k] : {std::pair<int64_t, int64_t>{200, 333}, {64, 64}, {65, 1000}, {3, 1}}) {
    const int64_t most = 490;  // more than a program takes
    const std::vector<float> w = some(n * k, 3), x = some(most * k, 4);
    const PackedWeight packed = ops::pack_weight({DType::kF32, {n, k}}, w.data(), WeightType::kW16A16);
    const std::vector<float> all = floats_of(ops::packed_linear(matrix(x, most, k), packed, {}));
    if (lang::machine().fma) {
      for (int64_t i = 0; i < most; i += 97) {
        for (int64_t j = 0; j < n; ++j) {
          float sum = 0;
          for (int64_t p = 0; p < k; p += 2) {
            for (const int64_t at : {p + 1, p}) {
              if (at < k) sum = std::fma(rounded(x[static_cast<size_t>(i * k + at)]), rounded(w[static_cast<size_t>(j * k + at)]), sum);
            }
          }
          ASSERT_EQ(all[static_cast<size_t>(i * n + j)], sum) << n << ", " << k << " at " << i << ", " << j;
        }
      }
    }
    for (const int64_t rows : {1, 2, 3, 4, 7, 64, 483}) {
      const std::vector<float> part(x.begin(), x.begin() + rows * k);
      const std::vector<float> got = floats_of(ops::packed_linear(matrix(part, rows, k), packed, {}));
      EXPECT_EQ(std::memcmp(got.data(), all.data(), got.size() * sizeof(float)), 0) << n << ", " << k << ", " << rows << " rows";
    }
  }
}

TEST(W16A16, LooksUpTheRowsThatBf16Has) {
  const std::vector<float> w = some(70 * 131, 2);
  const TensorMeta meta{DType::kF32, {70, 131}};
  EXPECT_EQ(floats_of(widened(ops::pack_weight(meta, w.data(), WeightType::kW16A16))), floats_of(widened(ops::pack_weight(meta, w.data(), WeightType::kBF16))));
}

TEST(PackedLinear, AddsABiasAndKeepsLeadingDims) {
  const std::vector<float> w = some(6, 5), x = some(12, 6), bias = {10, 20};
  const PackedWeight packed = ops::pack_weight({DType::kF32, {2, 3}}, w.data(), WeightType::kF32);
  const Value y = ops::packed_linear(ops::reshape(matrix(x, 4, 3), {2, 2, 3}), packed, ops::reshape(matrix(bias, 1, 2), {2}));
  EXPECT_EQ(y.shape(), (ops::Shape{2, 2, 2}));
  EXPECT_EQ(floats_of(y), floats_of(ops::linear(matrix(x, 4, 3), matrix(w, 2, 3), ops::reshape(matrix(bias, 1, 2), {2}))));
}

TEST(PackedEmbedding, AnIdOutsideTheRowsIsAnError) {
  const std::vector<float> w = some(6, 5);
  const PackedWeight packed = ops::pack_weight({DType::kF32, {2, 3}}, w.data(), WeightType::kBF16);
  const Value ids = ops::cast(matrix({0, 2}, 1, 2), DType::kI64);
  const Status s = evaluate({ops::packed_embedding(packed, ops::contiguous(ids))});
  ASSERT_FALSE(s.ok());
  EXPECT_EQ(s.message(), "[packed_embedding] embedding: id 2 at element 1 is outside [0, 2)");
}

}  // namespace
}  // namespace bgl::compiler
