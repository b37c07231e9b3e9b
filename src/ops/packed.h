// Weights as inference reads them. A weight W[N, K] lies in panels of 64 outputs, [N/64][K][64], zeros past N, so that a product with
// one row and one with many both read it straight through, and the outputs stand in the lanes. Five types of elements, each with
// one meaning, whatever the number of rows or threads. The first three round nothing but the weights:
//   f32   as it is.
//   bf16  widened to float32, exactly.
//   int8  q * scale, rounded to float32: a float32 scale for every output and every 64 of K. 64 is as long as a line of the cache has
//         elements, and with its scale a weight takes 8.5 bits; 32 would take 9, 128 would save 0.25 and round coarser.
// Their product is that of the widened weight with float32 activations: one chain of fused multiply-adds over k ascending for an
// output, the same bits as matmul() with the widened weight. The others are faster where much is computed and the processor has
// instructions for it, and round more:
//   w8a8  weights as int8, and activations too, a float32 scale for every row and every 64 of K. Within 64 of K products of bytes are
//         summed as integers, exactly; an output is one chain over the groups ascending, fma(sum, scale_x * scale_w, ...). Panels are
//         [N/64][K/4][64][4], zeros past K up to whole groups.
//   w16a16  weights as bfloat16, and activations too. An output is one chain of fused multiply-adds over pairs of k ascending, of a pair the
//         odd k first, as processors with dots of bfloat16 do it; they may take what is subnormal for 0. Panels are [N/64][K/2][64][2],
//         a zero past an odd K.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "ops/op_def.h"

namespace bgl::ops {

enum class WeightType : uint8_t { kF32, kBF16, kInt8, kW8A8, kW16A16 };
const char* name_of(WeightType type);  // "f32", "bf16", "int8", "w8a8", "w16a16"
// Nothing for another text.
std::optional<WeightType> weight_type_of(const std::string& name);

constexpr int64_t kPanelWidth = 64;   // outputs of a panel
constexpr int64_t kScaleGroup = 64;  // of K, that share a scale
constexpr int64_t kByteGroup = 4;    // of K, side by side in w8a8
constexpr int64_t kPair = 2;         // of K, side by side in w16a16
constexpr int64_t kByteOffset = 128;  // of the unsigned bytes that w8a8 makes of activations

constexpr int64_t scale_groups(int64_t k) { return (k + kScaleGroup - 1) / kScaleGroup; }
constexpr int64_t pairs_of(int64_t k) { return (k + kPair - 1) / kPair; }

struct PackedWeight {
  Value panels;                 // [ceil(N / 64), K, 64]; w8a8: [ceil(N / 64), 16 ceil(K / 64), 64, 4]; w16a16: [ceil(N / 64), ceil(K / 2), 64, 2]
  Value scales;                 // float32 [ceil(N / 64), ceil(K / 64), 64] for int8 and w8a8, else empty
  Value sums;                   // int32, shaped as the scales, for w8a8: -128 times the sum of a group's bytes; else empty
  int64_t rows = 0, width = 0;  // N, K
  WeightType type = WeightType::kF32;
  explicit operator bool() const { return bool(panels); }
  int64_t bytes() const;
};

// The row-major float32 or bfloat16 matrix `meta`[N, K] at `data`, which may be any byte of a mapped file, packed on all threads. bf16, w16a16 and int8 round to the nearest,
// ties to even; scale = max |w| / 127 of a group. Throws Error where a weight that is not finite is to become int8 or w8a8.
PackedWeight pack_weight(const TensorMeta& meta, const void* data, WeightType type);

// x[..., K] -> [..., N], plus bias[N] unless it is empty.
Value packed_linear(const Value& x, const PackedWeight& weight, const Value& bias);
// Rows of the weight at ids[...]: [..., K]. An id outside [0, N) is a run error.
Value packed_embedding(const PackedWeight& weight, const Value& ids);

// The operators, for the table.
std::span<const OpDef> packed_ops();

}  // namespace bgl::ops
