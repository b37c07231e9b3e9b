// What the kernels of attention's gradient share. All of [B, H, T, D] operands are read in rows whose neighbours lie 1 apart.
#pragma once

#include <string>

#include "lang/builder.h"
#include "ops/kernels/attention_kernels.h"

namespace bgl::ops::kernels {

// Parameters, in this order.
struct GradSizes {
  lang::Val heads, per_group, t, s, d;
};
inline GradSizes grad_sizes(lang::Builder& b) { return {b.i64("heads"), b.i64("heads_per_group"), b.i64("t"), b.i64("s"), b.i64("d")}; }
struct RowStrides {
  lang::Val batch, head, row;
};
inline RowStrides row_strides(lang::Builder& b, const std::string& name) { return {b.i64(name + "_batch"), b.i64(name + "_head"), b.i64(name + "_row")}; }
inline lang::Val key_blocks(lang::Val n) { return (n + double(kKeyBlock - 1)) / double(kKeyBlock); }

// q, k, kt, vt, lse, delta, dout, dq, dk, dv; sizes; strides of q, k and dout; scale. Program (group, batch). Tiles of `rows` rows (6 or
// 12); `width` >= D, a multiple of 16: of the rows in the program's scratch memory.
lang::Function make_whole_grad(int rows, int64_t width, bool causal);

}  // namespace bgl::ops::kernels
