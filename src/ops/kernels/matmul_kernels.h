// Matrix products. Each output element is one chain of fused multiply-adds over k ascending, starting from 0.
#pragma once

#include "ops/lowering.h"

namespace bgl::ops::kernels {

// With so few rows of the left operand the right one is read once, from where it lies.
constexpr int64_t kFewRows = 3;

// in(0)[..., M, K] x in(1)[..., K, N] -> out(0); any layouts.
void lower_matmul(Lowering& l);

// x[M, K] times the transpose of a packed weight of N rows (ops/packed.h) -> out(0); all row-major. `scales`: of int8, else unused.
struct PackedOperands {
  OperandId x, panels, scales;
};
struct PackedSize {
  int64_t m, n, k;
};
void lower_packed_product(Lowering& l, const PackedOperands& of, const PackedSize& size);

}  // namespace bgl::ops::kernels
