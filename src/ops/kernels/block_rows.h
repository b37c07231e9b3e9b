// Parts of the attention kernels: R rows of up to 256 numbers in a program's scratch memory, and the products with them.
#pragma once

#include "lang/builder.h"
#include "ops/lowering.h"

namespace bgl::ops::kernels {

constexpr int kTile = 16;

struct BlockRows {
  lang::Val memory;  // [rows][width]
  int rows = 1;
  int64_t width = 0;
  lang::Val first = {};  // the element of `memory` they begin at; empty: 0
};

BlockRows make_rows(lang::Builder& b, int rows, int64_t width = 256);
// `count` rows of `r` from `row` on.
BlockRows rows_of(const BlockRows& r, lang::Val row, int count);
// Sets the first d numbers of each row, rounded up to a tile, to 0.
void clear_rows(lang::Builder& b, const BlockRows& r, lang::Val d);
// Rows of d numbers from source + base, `stride` apart; rows past `exist` become 0.
void read_rows(lang::Builder& b, const BlockRows& r, lang::Val d, lang::Val source, lang::Val base, lang::Val stride, lang::Val exist);
// Writes rows that exist, divided by divisor[rows x 1] where given.
void write_rows(lang::Builder& b, const BlockRows& r, lang::Val d, lang::Val target, lang::Val base, lang::Val stride, lang::Val exist,
                lang::Val divisor = {});
lang::Val load_tile(lang::Builder& b, const BlockRows& r, lang::Val at);              // rows x 16
void store_tile(lang::Builder& b, const BlockRows& r, lang::Val at, lang::Val tile);
// sum over i < d of r[:, i] * t[i][0..16), t at base with rows of 64: one chain over i. rows x 16.
lang::Val row_dots(lang::Builder& b, const BlockRows& r, lang::Val d, lang::Val t, lang::Val base);
// out[:, 0..d) = out * shrink + sum over j < count of w[:, j] * v[j, 0..d), v at base with rows `stride` apart: one chain over j.
// shrink[rows x 1] may be empty: 1.
void add_weighted(lang::Builder& b, const BlockRows& out, lang::Val d, lang::Val shrink, const BlockRows& w, lang::Val count, lang::Val v,
                  lang::Val base, lang::Val stride);

// The operand with neighbours in a row 1 apart: itself or a copy.
OperandId unit_rows(Lowering& l, OperandId x);
// x[B, G, S, D] as [B, G, ceil(S / 64), D, 64], zeros past S.
OperandId transpose_blocks(Lowering& l, OperandId x);
// The old bytes into the output, unless the planner gave both the same memory; decided when it runs.
void copy_unless_shared(Lowering& l, OperandId from, OperandId to);

}  // namespace bgl::ops::kernels
