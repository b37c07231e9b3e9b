// Reductions in their fixed orders. Row: 16 lanes, lane i takes elements i, i + 16, ... in order, then a tree over the lanes; rows
// longer than 4096 are cut into chunks of 4096 whose results form a row that is reduced by the same rule. Column: rows in order within
// chunks of 64, whose results are reduced by the same rule.
#pragma once

#include <functional>
#include <vector>

#include "lang/builder.h"
#include "ops/lowering.h"

namespace bgl::ops::kernels {

enum class Reduce : uint8_t { kSum, kMax };
constexpr int kLanes = 16;
constexpr int64_t kRowChunk = 4096;
constexpr int64_t kColumnChunk = 64;

// Input 0 along `dims` (ascending) into output 0.
void lower_reduce(Lowering& l, const std::vector<int64_t>& dims, Reduce kind);
// The index of the first maximum along the one dim of `dims` (all elements when empty).
void lower_argmax(Lowering& l, const std::vector<int64_t>& dims);

// Inside a kernel: the row reduction of n elements; `element(at, limit)` gives the tile of 16 elements from `at` on, `limit` empty or
// the number of them that exist (others must be the neutral element). n <= 4096 * 4096.
lang::Val row_reduce(lang::Builder& b, lang::Val n, Reduce kind, const std::function<lang::Val(lang::Val at, lang::Val limit)>& element);
// The same over [from, to) of a row, without chunks.
lang::Val range_reduce(lang::Builder& b, lang::Val from, lang::Val to, Reduce kind,
                       const std::function<lang::Val(lang::Val at, lang::Val limit)>& element);
// Calls body(at, limit) for the tiles of a row of n elements.
void for_row(lang::Builder& b, lang::Val n, const std::function<void(lang::Val at, lang::Val limit)>& body);

}  // namespace bgl::ops::kernels
