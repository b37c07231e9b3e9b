// x is rounded to bytes once, in a launch of its own. Then a program takes some panels and a block of rows: four groups of K at a time, a
// tile of outputs sums a group's products of bytes in registers, as integers, and adds them, scaled, to its unfinished sums in the
// program's scratch. With one or two rows a tile is a whole panel wide, so that the weights are one long stream.
#include "ops/kernels/w8a8_kernels.h"

#include <fmt/format.h>

#include <algorithm>
#include <cfloat>

#include "lang/builder.h"
#include "ops/kernels/matmul_schedule.h"
#include "ops/packed.h"

namespace bgl::ops::kernels {
namespace {

using lang::Builder;
using lang::Elem;
using lang::Mem;
using lang::TileAccess;
using lang::Val;

constexpr int64_t kFours = kScaleGroup / kByteGroup;  // of a group
constexpr int64_t kGroupsAtOnce = 4;  // of K: a panel's part then stays in the first cache while the rows pass
constexpr int64_t kRowsMost = 512;    // of a program: its unfinished sums stay in the second cache
constexpr int64_t kFoursAhead = 16;   // asked for before they are needed, where the weights stream

struct ByteTile {
  int rows, cols;
};
// As many sums as the registers hold beside what dot4 makes of its operands.
ByteTile tile_for(int64_t m, const Machine& machine) {
  if (m == 1) return {1, 64};
  if (m == 2) return {2, 32};
  return {machine.registers >= 32 ? 8 : 4, 2 * machine.vector_floats};
}

// x[M, K] -> bytes[rows, K up to whole groups], q + 128, and a scale for every row and group; rows past M get scales of 0. Program: a row.
// What is not finite has a scale that is not, and so has the product.
lang::Function make_quantise() {
  Builder b("quantise_rows");
  const Val x = b.pointer("x", Mem::f32), bytes = b.pointer("bytes", Mem::u8), scales = b.pointer("scales", Mem::f32);
  const Val m = b.i64("m"), k = b.i64("k"), groups = b.i64("groups");
  const Val row = b.program_id(0);
  const Val width = b.select(b.cmp_lt(row, m), k, b.const_i64(0));
  const int lanes = static_cast<int>(kScaleGroup);
  b.each(b.const_i64(0), groups, b.const_i64(1), [&](Val g) {
    const Val from = g * double(kScaleGroup);
    TileAccess at{.rows = 1, .cols = lanes};
    at.col_limit = width - from;
    const Val v = b.load(x, row * k + from, at);
    const Val not_finite = b.sum(v - v);  // 0, or a NaN
    const Val scale = b.reduce_max(b.abs(v)) / 127.0 + not_finite;
    constexpr double kToInteger = 0x1.8p23;  // added and taken away again it leaves the nearest integer
    const Val q = v / b.max(b.const_f32(FLT_MIN), scale) + kToInteger - kToInteger;
    b.store(bytes, (row * groups + g) * double(kScaleGroup), b.cast(q, Elem::i32) + double(kByteOffset), {.rows = 1, .cols = lanes});
    b.store(scales, row * groups + g, scale);
  });
  return b.finish();
}

// Program (run of panels, block of rows).
lang::Function make_w8a8(ByteTile t) {
  Builder b("w8a8_linear");
  const Val x = b.pointer("x", Mem::i32), x_scales = b.pointer("x_scales", Mem::f32), w = b.pointer("panels", Mem::i32),
            w_scales = b.pointer("scales", Mem::f32), sums = b.pointer("sums", Mem::i32), y = b.pointer("y", Mem::f32);
  const Val m = b.i64("m"), n = b.i64("n"), groups = b.i64("groups"), panels = b.i64("panels"), panels_per = b.i64("panels_per"), rows_per = b.i64("rows_per");
  const Val first_panel = b.program_id(0) * panels_per, last_panel = b.min(first_panel + panels_per, panels);
  const Val first = b.program_id(1) * rows_per, last = b.min(first + rows_per, m);
  const Val fours = groups * double(kFours);
  const Val unfinished = b.scratch(Mem::f32, kRowsMost * kPanelWidth);
  const TileAccess lanes{.rows = 1, .cols = t.cols};

  auto tile = [&](Val panel, int lane, Val at, Val from, Val to) {
    TileAccess kept{.rows = t.rows, .cols = t.cols};
    kept.row_stride = b.const_i64(kPanelWidth);
    const Val kept_at = (at - first) * double(kPanelWidth) + double(lane);
    b.when(b.cmp_eq(from, b.const_i64(0)), [&] { b.store(unfinished, kept_at, b.full(0, t.rows, t.cols), kept); });
    b.each(from, to, b.const_i64(1), [&](Val g) {
      const Val scaled_at = (panel * groups + g) * double(kPanelWidth) + double(lane);
      const Val start = b.broadcast(b.load(sums, scaled_at, lanes), t.rows, t.cols);
      TileAccess column{.rows = t.rows, .cols = 1};
      column.row_stride = fours;
      const Val sum = b.loop(g * double(kFours), (g + 1.0) * double(kFours), b.const_i64(1), {start}, [&](Val i, const Builder::Vals& c) {
        const Val w_at = (panel * fours + i) * double(kPanelWidth);
        if (t.rows <= 2 && lane == 0) {
          for (int64_t line = 0; line < kPanelWidth; line += 16) b.prefetch(w, w_at + double(kFoursAhead * kPanelWidth + line));
        }
        return Builder::Vals{b.dot4(b.load(x, at * fours + i, column), b.load(w, w_at + double(lane), lanes), c[0])};
      })[0];
      TileAccess row_scales{.rows = t.rows, .cols = 1};
      row_scales.row_stride = groups;
      const Val scale = b.load(x_scales, at * groups + g, row_scales) * b.load(w_scales, scaled_at, lanes);
      b.store(unfinished, kept_at, b.fma(b.cast(sum, Elem::f32), scale, b.load(unfinished, kept_at, kept)), kept);
    });
    b.when(b.cmp_ge(to, groups), [&] {
      const Val column = panel * double(kPanelWidth) + double(lane);
      TileAccess out{.rows = t.rows, .cols = t.cols};
      out.row_stride = n;
      out.row_limit = m - at;
      out.col_limit = n - column;
      b.store(y, at * n + column, b.load(unfinished, kept_at, kept), out);
    });
  };
  b.each(first_panel, last_panel, b.const_i64(1), [&](Val panel) {
    // At least one pass, so that K == 0 writes zeros.
    b.each(b.const_i64(0), b.max(groups, b.const_i64(1)), b.const_i64(kGroupsAtOnce), [&](Val from) {
      const Val to = b.min(from + double(kGroupsAtOnce), groups);
      for (int lane = 0; lane < kPanelWidth; lane += t.cols) {
        b.each(first, last, b.const_i64(t.rows), [&](Val at) { tile(panel, lane, at, from, to); });
      }
    });
  });
  return b.finish();
}

// Program: one id. Fours of a row lie a panel's width of fours apart.
lang::Function make_w8a8_rows() {
  Builder b("w8a8_rows");
  const Val w = b.pointer("panels", Mem::i8), scales = b.pointer("scales", Mem::f32), ids = b.pointer("ids", Mem::i64), out = b.pointer("out", Mem::f32);
  const Val k = b.i64("k"), groups = b.i64("groups");
  const Val row = b.program_id(0), id = b.load(ids, row), panel = id / double(kPanelWidth), lane = id % double(kPanelWidth);
  const int fours = static_cast<int>(kFours), four = static_cast<int>(kByteGroup);
  b.each(b.const_i64(0), groups, b.const_i64(1), [&](Val g) {
    TileAccess packed{.rows = fours, .cols = four}, plain = packed;
    packed.row_stride = b.const_i64(kPanelWidth * kByteGroup);
    plain.row_stride = b.const_i64(kByteGroup);
    const Val q = b.load(w, (((panel * groups + g) * double(kFours)) * double(kPanelWidth) + lane) * double(kByteGroup), packed);
    const Val value = b.cast(q, Elem::f32) * b.load(scales, (panel * groups + g) * double(kPanelWidth) + lane);
    const Val line = b.scratch(Mem::f32, kScaleGroup);
    b.store(line, b.const_i64(0), value, plain);
    TileAccess end{.rows = 1, .cols = static_cast<int>(kScaleGroup)};
    end.col_limit = k - g * double(kScaleGroup);
    b.store(out, row * k + g * double(kScaleGroup), b.load(line, b.const_i64(0), {.rows = 1, .cols = static_cast<int>(kScaleGroup)}), end);
  });
  return b.finish();
}

}  // namespace

void lower_w8a8_linear(Lowering& l) {
  const OperandId x = l.contiguous(l.in(0)), w = l.contiguous(l.in(1)), scales = l.contiguous(l.in(2)), sums = l.contiguous(l.in(3));
  const int64_t m = l.shape(x)[0], k = l.shape(x)[1], n = l.shape(l.out())[1], panels = l.shape(w)[0], groups = scale_groups(k);
  if (m * n == 0) return;
  const ByteTile t = tile_for(m, l.machine());
  const int64_t rows = (m + t.rows - 1) / t.rows * t.rows;  // whole tiles
  const OperandId bytes = l.temp({DType::kU8, {rows, groups * kScaleGroup}}), x_scales = l.temp({DType::kF32, {rows, groups}});
  l.launch("quantise_rows", make_quantise, {rows, 1, 1}, {slot(x), slot(bytes), slot(x_scales), slot(m), slot(k), slot(groups)});
  const int64_t rows_per = std::min(kRowsMost / t.rows * t.rows, rows), blocks = (m + rows_per - 1) / rows_per;
  const int64_t panels_per = m <= 2 ? streamed_panels_per(panels, l.machine().threads) : items_per_program(panels, blocks, 1, 4 * l.machine().threads);
  l.launch(fmt::format("w8a8_linear/{}x{}", t.rows, t.cols), [&] { return make_w8a8(t); }, {(panels + panels_per - 1) / panels_per, blocks, 1},
           {slot(bytes), slot(x_scales), slot(w), slot(scales), slot(sums), slot(l.out()), slot(m), slot(n), slot(groups), slot(panels), slot(panels_per),
            slot(rows_per)});
}

void lower_w8a8_rows(Lowering& l, const W8a8Rows& of, int64_t k) {
  l.launch("w8a8_rows", make_w8a8_rows, {numel(l.shape(of.ids)), 1, 1},
           {slot(of.panels), slot(of.scales), slot(of.ids), slot(l.out()), slot(k), slot(scale_groups(k))});
}

}  // namespace bgl::ops::kernels
