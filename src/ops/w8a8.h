// The operator of w8a8 weights (packed.h): its product, and how packed_embedding reads them.
#pragma once

#include <span>
#include <vector>

#include "ops/op_def.h"

namespace bgl::ops {

// Its cost is that of every packed product (packed.cc).
OpDef w8a8_linear_op();

// `in`: panels, scales and, for a product, sums, as W[rows, k] has them.
void check_w8a8(const char* op, std::span<const TensorMeta> in, int64_t rows, int64_t k);
// Element (row, k) of the weight; `in` begins with panels and scales.
double w8a8_weight_at(std::span<const RefTensor> in, int64_t row, int64_t k);
// W[n, k] as inputs of a sample: panels, scales, sums.
std::vector<Sample::Input> w8a8_weight_inputs(int64_t n, int64_t k);

}  // namespace bgl::ops
