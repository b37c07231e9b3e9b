// Kernels that follow indices, and the optimizer's step.
#pragma once

#include "ops/lowering.h"

namespace bgl::ops::kernels {

void lower_embedding(Lowering& l);       // table, ids -> rows
void lower_embedding_grad(Lowering& l);  // g, ids -> d table; rows are added in the order of the ids
void lower_arange(Lowering& l);          // -> 0, 1, 2, ...
void lower_adamw(Lowering& l, double beta1, double beta2, double eps);

}  // namespace bgl::ops::kernels
