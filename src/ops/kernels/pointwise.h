// The one shape of kernel for everything that works element by element: copies, fused groups, the optimizer's step.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "lang/builder.h"
#include "ops/lowering.h"

namespace bgl::ops::kernels {

// Given one tile of every input, the tiles of the outputs. Float elements are f32; int64, int32, uint8 and bool arrive and leave
// as i64.
using PointwiseBody = std::function<std::vector<lang::Val>(lang::Builder&, std::span<const lang::Val>)>;

// outs[j][i] = body(ins[0][i], ins[1][i], ...)[j] over the common shape of all operands (inputs of one element are broadcast). `key`
// names the body: the same key must always mean the same code. Outputs may share memory with inputs of the same layout.
void lower_pointwise(Lowering& l, const std::string& key, std::span<const OperandId> ins, std::span<const OperandId> outs,
                     const PointwiseBody& body);

// Memory type of a tensor's elements in kernels; float64 has none and throws Error.
lang::Mem memory_type(DType t);

}  // namespace bgl::ops::kernels
