// A panel is packed in squares of 64 x 64: read along the rows of W, turned, and written along the outputs.
#include <algorithm>
#include <atomic>
#include <cfloat>
#include <cmath>
#include <cstring>

#include "base/threads.h"
#include "ops/packed.h"

namespace bgl::ops {
namespace {

constexpr int64_t kSide = kPanelWidth;
static_assert(kScaleGroup == kSide, "a square has one scale an output");
using Square = float[kSide][kSide];  // [k][output]

float widened(float x) { return x; }
float widened(uint16_t bf16) {
  const uint32_t bits = static_cast<uint32_t>(bf16) << 16;
  float out;
  std::memcpy(&out, &bits, sizeof out);
  return out;
}
uint16_t to_bf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  if (std::isnan(x)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// An element of a matrix that may lie at any byte, as a mapped file has it.
template <typename T>
T element(const std::byte* w, int64_t at) {
  T out;
  std::memcpy(&out, w + at * static_cast<int64_t>(sizeof out), sizeof out);
  return out;
}

// `outputs` rows of W from element `from`, `width` apart, `steps` of K each; zeros where there are fewer than the square has.
template <typename T>
void read_square(const std::byte* w, int64_t from, int64_t width, int64_t outputs, int64_t steps, Square& s) {
  if (outputs < kSide) std::memset(s, 0, sizeof s);
  for (int64_t j = 0; j < outputs; ++j) {
    for (int64_t i = 0; i < steps; ++i) s[i][j] = widened(element<T>(w, from + j * width + i));
  }
}

// False where a weight is not finite.
bool quantise(const Square& s, int64_t steps, int8_t* out, float* scales) {
  float most[kSide] = {}, least_scale[kSide];
  bool finite = true;
  for (int64_t i = 0; i < steps; ++i) {
    for (int64_t j = 0; j < kSide; ++j) {
      const float size = std::fabs(s[i][j]);
      finite &= size <= FLT_MAX;
      most[j] = std::max(most[j], size);
    }
  }
  for (int64_t j = 0; j < kSide; ++j) {
    scales[j] = most[j] / 127;
    least_scale[j] = std::max(scales[j], FLT_MIN);  // a group of zeros is 0 / FLT_MIN
  }
  constexpr float kToInteger = 0x1.8p23f;  // added and taken away again it leaves the nearest integer
  for (int64_t i = 0; i < steps; ++i) {
    for (int64_t j = 0; j < kSide; ++j) {
      const float q = s[i][j] / least_scale[j] + kToInteger - kToInteger;
      out[i * kSide + j] = static_cast<int8_t>(std::clamp(q, -127.0f, 127.0f));
    }
  }
  return finite;
}

// Rows of k become fours of k side by side; returns false where a weight is not finite.
bool quantise_in_fours(const Square& s, int64_t steps, int8_t* out, float* scales, int32_t* sums) {
  int8_t q[kSide * kSide] = {};
  const bool finite = quantise(s, steps, q, scales);
  for (int64_t j = 0; j < kSide; ++j) {
    int32_t sum = 0;
    for (int64_t i = 0; i < kSide; ++i) {
      sum += q[i * kSide + j];
      out[(i / kByteGroup * kSide + j) * kByteGroup + i % kByteGroup] = q[i * kSide + j];
    }
    sums[j] = static_cast<int32_t>(-kByteOffset) * sum;
  }
  return finite;
}

// Rows of k become pairs of k side by side; a row past an odd width is zeros.
void in_pairs(const Square& s, int64_t steps, uint16_t* out) {
  for (int64_t i = 0; i < (steps + 1) / kPair * kPair; ++i) {
    for (int64_t j = 0; j < kSide; ++j) out[(i / kPair * kSide + j) * kPair + i % kPair] = i < steps ? to_bf16(s[i][j]) : 0;
  }
}

struct Target {
  WeightType type;
  std::byte* panels;
  float* scales;
  int32_t* sums;
};

// Packs panel `p` of W[rows, width]; false where a weight that is to become int8 is not finite.
template <typename T>
bool pack_panel(const std::byte* w, int64_t rows, int64_t width, int64_t p, const Target& to) {
  Square s;
  bool finite = true;
  const int64_t groups = scale_groups(width), outputs = std::min(kSide, rows - p * kSide);
  for (int64_t k = 0; k < width; k += kSide) {
    const int64_t steps = std::min(kSide, width - k), at = (p * width + k) * kSide;
    read_square<T>(w, p * kSide * width + k, width, outputs, steps, s);
    switch (to.type) {
      case WeightType::kF32:
        std::memcpy(to.panels + at * 4, s, static_cast<size_t>(steps * kSide) * 4);
        break;
      case WeightType::kBF16:
        for (int64_t i = 0; i < steps * kSide; ++i) reinterpret_cast<uint16_t*>(to.panels)[at + i] = to_bf16(s[i / kSide][i % kSide]);
        break;
      case WeightType::kInt8:
        finite &= quantise(s, steps, reinterpret_cast<int8_t*>(to.panels) + at, to.scales + (p * groups + k / kSide) * kSide);
        break;
      case WeightType::kW16A16:
        in_pairs(s, steps, reinterpret_cast<uint16_t*>(to.panels) + (p * pairs_of(width) * kPair + k) * kSide);
        break;
      case WeightType::kW8A8: {
        const int64_t group = p * groups + k / kSide;
        finite &= quantise_in_fours(s, steps, reinterpret_cast<int8_t*>(to.panels) + group * kSide * kSide, to.scales + group * kSide, to.sums + group * kSide);
        break;
      }
    }
  }
  return finite;
}

TensorMeta panels_meta(WeightType type, int64_t panels, int64_t width) {
  switch (type) {
    case WeightType::kF32: return {DType::kF32, {panels, width, kSide}};
    case WeightType::kBF16: return {DType::kBF16, {panels, width, kSide}};
    case WeightType::kInt8: return {DType::kI8, {panels, width, kSide}};
    case WeightType::kW8A8: return {DType::kI8, {panels, scale_groups(width) * kScaleGroup / kByteGroup, kSide, kByteGroup}};
    case WeightType::kW16A16: break;
  }
  return {DType::kBF16, {panels, pairs_of(width), kSide, kPair}};
}

}  // namespace

PackedWeight pack_weight(const TensorMeta& meta, const void* data, WeightType type) {
  BGL_REQUIRE(meta.shape.size() == 2 && (meta.dtype == DType::kF32 || meta.dtype == DType::kBF16),
              "[pack_weight] got {} {}: needs a matrix of float32 or bfloat16", dtype_name(meta.dtype), shape_text(meta.shape));
  const int64_t rows = meta.shape[0], width = meta.shape[1], panels = (rows + kSide - 1) / kSide;
  const bool in_fours = type == WeightType::kW8A8, scaled = in_fours || type == WeightType::kInt8;
  const int64_t groups = scale_groups(width);
  const TensorMeta packed = panels_meta(type, panels, width);
  const TensorMeta scales{DType::kF32, {panels, groups, kSide}}, sums{DType::kI32, {panels, groups, kSide}};
  const auto buffer = Buffer::allocate(static_cast<size_t>(packed.bytes()));
  const auto scale_buffer = scaled ? Buffer::allocate(static_cast<size_t>(scales.bytes())) : nullptr;
  const auto sum_buffer = in_fours ? Buffer::allocate(static_cast<size_t>(sums.bytes())) : nullptr;
  const Target to{type, buffer->data(), scaled ? scale_buffer->as<float>() : nullptr, in_fours ? sum_buffer->as<int32_t>() : nullptr};
  std::atomic<int64_t> not_finite{-1};
  thread_pool().parallel_for(panels, 1, [&](int64_t from, int64_t end) {
    for (int64_t p = from; p < end; ++p) {
      const auto* w = static_cast<const std::byte*>(data);
      const bool finite = meta.dtype == DType::kF32 ? pack_panel<float>(w, rows, width, p, to) : pack_panel<uint16_t>(w, rows, width, p, to);
      if (!finite) not_finite = p;
    }
  });
  BGL_REQUIRE(not_finite < 0, "[pack_weight] a weight in rows {} to {} of {} is not finite, which {} cannot hold: keep bf16 or f32",
              not_finite * kSide, std::min(rows, (not_finite + 1) * kSide) - 1, shape_text(meta.shape), name_of(type));
  return {make_leaf(packed, buffer), scaled ? make_leaf(scales, scale_buffer) : Value{}, in_fours ? make_leaf(sums, sum_buffer) : Value{}, rows, width, type};
}

}  // namespace bgl::ops
