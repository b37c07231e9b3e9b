// Matrix products. Each output element is one chain of fused multiply-adds over k ascending, starting from 0.
#pragma once

#include "ops/lowering.h"

namespace bgl::ops::kernels {

// in(0)[..., M, K] x in(1)[..., K, N] -> out(0); any layouts.
void lower_matmul(Lowering& l);

}  // namespace bgl::ops::kernels
