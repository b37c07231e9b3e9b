// Products of bytes with w8a8 weights (ops/packed.h).
#pragma once

#include "ops/lowering.h"

namespace bgl::ops::kernels {

// in: x[M, K], panels, scales, sums -> x W^T.
void lower_w8a8_linear(Lowering& l);

// Rows of W[., k] at ids -> out(0).
struct W8a8Rows {
  OperandId panels, scales, ids;
};
void lower_w8a8_rows(Lowering& l, const W8a8Rows& of, int64_t k);

}  // namespace bgl::ops::kernels
