// The operator of w16a16 weights (packed.h): its product, and how packed_embedding reads them.
#pragma once

#include "ops/op_def.h"

namespace bgl::ops {

// Its cost is that of every packed product (packed.cc).
OpDef w16a16_linear_op();

// `panels` as W[rows, k] has them.
void check_w16a16(const char* op, const TensorMeta& panels, int64_t rows, int64_t k);
// Element (row, k) of the weight.
double w16a16_weight_at(const RefTensor& panels, int64_t row, int64_t k);
// W[n, k] as input of a sample.
Sample::Input w16a16_weight_input(int64_t n, int64_t k);

}  // namespace bgl::ops
