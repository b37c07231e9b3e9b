// Lowering of products with w16a16 weights (ops/packed.h), and of rows looked up in them.
#pragma once

#include "ops/lowering.h"

namespace bgl::ops::kernels {

void lower_w16a16_linear(Lowering& l);
// Rows `ids` of the weight, `k` wide, into the output.
void lower_w16a16_rows(Lowering& l, OperandId panels, OperandId ids, int64_t k);

}  // namespace bgl::ops::kernels
