// Kernels that take a row at a time: norms, softmax, cross-entropy. Every sum and maximum is a row reduction (reduce_kernels.h).
#pragma once

#include <cstdint>

#include "ops/lowering.h"

namespace bgl::ops::kernels {

// x, weight and bias where they are there -> y, mean where rows are `centred`, rstd. A bias comes with a weight.
void lower_norm(Lowering& l, bool centred, bool weight, bool bias, double eps);
void lower_softmax(Lowering& l, bool logarithm);              // x -> y, over the last dim
void lower_cross_entropy(Lowering& l, int64_t ignore_index);  // logits, targets -> loss, lse
// logits, targets, lse, g -> d logits
void lower_cross_entropy_grad(Lowering& l, int64_t ignore_index);
// A step on the host that fails, naming `what`, when an element of the int64 operand `ids` is neither in [0, limit) nor `allowed`.
void check_ids(Lowering& l, OperandId ids, int64_t limit, int64_t allowed, const char* what);

}  // namespace bgl::ops::kernels
