// x is rounded to bfloat16 once, in a launch of its own. Then a program takes some panels and a block of rows: a block of pairs of K at a
// time, a tile of outputs takes its sums up again from the program's scratch. With one or two rows a tile is a whole panel wide, so that
// the weights are one long stream.
#include "ops/kernels/w16a16_kernels.h"

#include <fmt/format.h>

#include <algorithm>

#include "lang/builder.h"
#include "ops/kernels/matmul_schedule.h"
#include "ops/packed.h"

namespace bgl::ops::kernels {
namespace {

using lang::Builder;
using lang::Mem;
using lang::TileAccess;
using lang::Val;

constexpr int64_t kPairsAtOnce = 64;  // of K: a panel's part then stays in the first cache while the rows pass
constexpr int64_t kPairRowsMost = 480;  // of a program: its unfinished sums stay in the second cache
constexpr int64_t kPairsAhead = 16;  // asked for before they are needed, where the weights stream
constexpr int64_t kLineWords = 16;  // of a cache line

struct PairTile {
  int rows, cols;
};
// As many sums as the registers hold beside the halves of what dot2 multiplies.
PairTile pair_tile_for(int64_t m, const Machine& machine) {
  if (m == 1) return {1, 64};
  if (m == 2) return {2, 32};
  return {machine.registers >= 32 ? 12 : 4, 2 * machine.vector_floats};
}

// x[M, K] -> [rows, K up to whole pairs] of bfloat16; rows past M are zeros. Program: a row.
lang::Function make_round_rows() {
  Builder b("round_rows");
  const Val x = b.pointer("x", Mem::f32), out = b.pointer("pairs", Mem::bf16);
  const Val m = b.i64("m"), k = b.i64("k"), width = b.i64("width");
  const Val row = b.program_id(0), there = b.select(b.cmp_lt(row, m), k, b.const_i64(0));
  constexpr int kAtOnce = 64;
  b.each(b.const_i64(0), width, b.const_i64(kAtOnce), [&](Val at) {
    TileAccess from{.rows = 1, .cols = kAtOnce}, to = from;
    from.col_limit = there - at;
    to.col_limit = width - at;
    b.store(out, row * width + at, b.load(x, row * k + at, from), to);
  });
  return b.finish();
}

// Program (run of panels, block of rows).
lang::Function make_w16a16(PairTile t) {
  Builder b("w16a16_linear");
  const Val x = b.pointer("x", Mem::i32), w = b.pointer("panels", Mem::i32), y = b.pointer("y", Mem::f32);
  const Val m = b.i64("m"), n = b.i64("n"), pairs = b.i64("pairs"), panels = b.i64("panels"), panels_per = b.i64("panels_per"), rows_per = b.i64("rows_per");
  const Val first_panel = b.program_id(0) * panels_per, last_panel = b.min(first_panel + panels_per, panels);
  const Val first = b.program_id(1) * rows_per, last = b.min(first + rows_per, m);
  const Val unfinished = b.scratch(Mem::f32, kPairRowsMost * kPanelWidth);
  const TileAccess lanes{.rows = 1, .cols = t.cols};

  auto tile = [&](Val panel, int lane, Val at, Val from, Val to) {
    TileAccess kept{.rows = t.rows, .cols = t.cols};
    kept.row_stride = b.const_i64(kPanelWidth);
    const Val kept_at = (at - first) * double(kPanelWidth) + double(lane);
    b.when(b.cmp_eq(from, b.const_i64(0)), [&] { b.store(unfinished, kept_at, b.full(0, t.rows, t.cols), kept); });
    TileAccess column{.rows = t.rows, .cols = 1};
    column.row_stride = pairs;
    const Val sum = b.loop(from, to, b.const_i64(1), {b.load(unfinished, kept_at, kept)}, [&](Val i, const Builder::Vals& c) {
      const Val w_at = (panel * pairs + i) * double(kPanelWidth);
      for (int64_t line = 0; t.rows <= 2 && lane == 0 && line < kPanelWidth; line += kLineWords) {
        b.prefetch(w, w_at + double(kPairsAhead * kPanelWidth + line));
      }
      return Builder::Vals{b.dot2(b.load(x, at * pairs + i, column), b.load(w, w_at + double(lane), lanes), c[0])};
    })[0];
    b.when(
        b.cmp_lt(to, pairs), [&] { b.store(unfinished, kept_at, sum, kept); },
        [&] {
          const Val first_column = panel * double(kPanelWidth) + double(lane);
          TileAccess out{.rows = t.rows, .cols = t.cols};
          out.row_stride = n;
          out.row_limit = m - at;
          out.col_limit = n - first_column;
          b.store(y, at * n + first_column, sum, out);
        });
  };
  b.each(first_panel, last_panel, b.const_i64(1), [&](Val panel) {
    // At least one pass, so that K == 0 writes zeros.
    b.each(b.const_i64(0), b.max(pairs, b.const_i64(1)), b.const_i64(kPairsAtOnce), [&](Val from) {
      const Val to = b.min(from + double(kPairsAtOnce), pairs);
      for (int lane = 0; lane < kPanelWidth; lane += t.cols) {
        b.each(first, last, b.const_i64(t.rows), [&](Val at) { tile(panel, lane, at, from, to); });
      }
    });
  });
  return b.finish();
}

// Program: one id. Pairs of a row lie a panel's width of pairs apart.
lang::Function make_w16a16_rows() {
  Builder b("w16a16_rows");
  const Val w = b.pointer("panels", Mem::bf16), ids = b.pointer("ids", Mem::i64), out = b.pointer("out", Mem::f32);
  const Val k = b.i64("k"), pairs = b.i64("pairs");
  const Val row = b.program_id(0), id = b.load(ids, row), panel = id / double(kPanelWidth), lane = id % double(kPanelWidth);
  constexpr int kPairsAPiece = 32, kPiece = kPairsAPiece * static_cast<int>(kPair);
  const Val line = b.scratch(Mem::f32, kPiece);
  b.each(b.const_i64(0), pairs, b.const_i64(kPairsAPiece), [&](Val at) {
    TileAccess packed{.rows = kPairsAPiece, .cols = static_cast<int>(kPair)}, plain = packed;
    packed.row_stride = b.const_i64(kPanelWidth * kPair);
    packed.row_limit = pairs - at;
    plain.row_stride = b.const_i64(kPair);
    b.store(line, b.const_i64(0), b.load(w, ((panel * pairs + at) * double(kPanelWidth) + lane) * double(kPair), packed), plain);
    TileAccess end{.rows = 1, .cols = kPiece};
    end.col_limit = k - at * double(kPair);
    b.store(out, row * k + at * double(kPair), b.load(line, b.const_i64(0), {.rows = 1, .cols = kPiece}), end);
  });
  return b.finish();
}

}  // namespace

void lower_w16a16_linear(Lowering& l) {
  const OperandId x = l.contiguous(l.in(0)), w = l.contiguous(l.in(1));
  const int64_t m = l.shape(x)[0], k = l.shape(x)[1], n = l.shape(l.out())[1], panels = l.shape(w)[0], pairs = l.shape(w)[1];
  if (m * n == 0) return;
  const PairTile t = pair_tile_for(m, l.machine());
  const int64_t rows = (m + t.rows - 1) / t.rows * t.rows, width = pairs * kPair;  // whole tiles
  const OperandId rounded = l.temp({DType::kBF16, {rows, width}});
  l.launch("round_rows", make_round_rows, {rows, 1, 1}, {slot(x), slot(rounded), slot(m), slot(k), slot(width)});
  const int64_t rows_per = std::min(kPairRowsMost / t.rows * t.rows, rows), blocks = (m + rows_per - 1) / rows_per;
  const int64_t panels_per = m <= 2 ? streamed_panels_per(panels, l.machine().threads) : items_per_program(panels, blocks, 1, 4 * l.machine().threads);
  l.launch(fmt::format("w16a16_linear/{}x{}", t.rows, t.cols), [&] { return make_w16a16(t); }, {(panels + panels_per - 1) / panels_per, blocks, 1},
           {slot(rounded), slot(w), slot(l.out()), slot(m), slot(n), slot(pairs), slot(panels), slot(panels_per), slot(rows_per)});
}

void lower_w16a16_rows(Lowering& l, OperandId panels, OperandId ids, int64_t k) {
  l.launch("w16a16_rows", make_w16a16_rows, {numel(l.shape(ids)), 1, 1},
           {slot(panels), slot(ids), slot(l.out()), slot(k), slot(l.shape(panels)[1])});
}

}  // namespace bgl::ops::kernels
