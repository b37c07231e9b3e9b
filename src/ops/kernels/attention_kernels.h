// Attention in blocks of 64 keys, its gradient, the paged form, and what serves them: writes into pages and rotary positions.
#pragma once

#include <cstdint>

#include "ops/lowering.h"

namespace bgl::ops::kernels {

constexpr int64_t kKeyBlock = 64;      // keys a block, and a page, holds
// Queries, or keys in the gradient, that a program takes: as many rows of sums as the registers hold. Changes no result.
inline int rows_at_once(const Machine& m) { return m.registers >= 32 ? 12 : 6; }
constexpr int64_t kMaxHeadWidth = 256;  // scratch memory is sized for it

void lower_attention(Lowering& l, double scale, bool causal);       // q, k, v -> out, lse
void lower_attention_grad(Lowering& l, double scale, bool causal);  // q, k, v, lse, delta, dout -> dq, dk, dv
void lower_paged_attention(Lowering& l, double scale);              // q, k_pages, v_pages, pages, lengths -> out
void lower_write_pages(Lowering& l, bool transposed);               // pages, x, slots -> pages
void lower_rope(Lowering& l, bool interleaved);                     // x, positions, cos, sin -> y

}  // namespace bgl::ops::kernels
