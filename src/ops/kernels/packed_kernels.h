// Kernels over packed weights (ops/packed.h).
#pragma once

#include "lang/builder.h"
#include "ops/lowering.h"

namespace bgl::ops::kernels {

// The elements of packed weights at `offset`, as f32; `scale` is their scales where they are int8, else empty.
lang::Val load_weights(lang::Builder& b, lang::Val panels, lang::Val offset, const lang::TileAccess& at, lang::Val scale);

// x, panels and, where `scaled`, scales -> x W^T.
void lower_packed_linear(Lowering& l, bool scaled);
// panels, scales where `scaled`, ids -> rows of W[rows, k].
void lower_packed_embedding(Lowering& l, bool scaled, int64_t rows, int64_t k);

}  // namespace bgl::ops::kernels
