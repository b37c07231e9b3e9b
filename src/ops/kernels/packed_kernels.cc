// With one to three rows of x a program goes straight through its panels, the sums of all 64 outputs in registers: the product
// then takes as long as reading the weight does. With more rows it is the product of matmul_kernels.cc, which widens the panels
// while it packs them.
#include "ops/kernels/packed_kernels.h"

#include <fmt/format.h>

#include <algorithm>

#include "ops/kernels/matmul_kernels.h"
#include "ops/kernels/matmul_schedule.h"
#include "ops/kernels/pointwise.h"
#include "ops/kernels/reduce_kernels.h"
#include "ops/kernels/row_kernels.h"
#include "ops/kernels/w16a16_kernels.h"
#include "ops/kernels/w8a8_kernels.h"
#include "ops/packed.h"

namespace bgl::ops::kernels {
namespace {

using lang::Builder;
using lang::Elem;
using lang::Mem;
using lang::TileAccess;
using lang::Val;

// Narrow weights keep a core so busy with widening that it must ask for its lines this many steps of k ahead.
constexpr int64_t kStepsAhead = 32;

// Program: a run of panels.
lang::Function make_packed_rows(int rows, Mem mem) {
  const bool scaled = mem == Mem::i8;
  const int cols = rows == 1 ? 64 : 32;  // as many as leave registers for all the sums
  const bool narrow = mem != Mem::f32;
  const int a_line = 64 / lang::mem_size(mem);  // weights of a cache line
  Builder b("packed_rows");
  const Val a = b.pointer("x", Mem::f32), w = b.pointer("panels", mem), scales = b.pointer("scales", Mem::f32), c = b.pointer("y", Mem::f32);
  const Val n = b.i64("n"), k = b.i64("k"), panels = b.i64("panels"), panels_per = b.i64("panels_per");
  const Val first = b.program_id(0) * panels_per, last = b.min(first + panels_per, panels);
  const Val groups = (k + double(kScaleGroup - 1)) / double(kScaleGroup);
  TileAccess left{.rows = rows, .cols = 1};
  left.row_stride = k;
  const TileAccess lanes{.rows = 1, .cols = cols};
  auto part = [&](Val panel, int lane) {
    const Val base = panel * k * double(kPanelWidth) + double(lane);
    auto steps = [&](Val from, Val to, Val scale, Val sums) {
      return b.loop(from, to, b.const_i64(1), {sums}, [&](Val i, const Builder::Vals& carried) {
        const Val at = base + i * double(kPanelWidth);
        for (int line = 0; narrow && lane == 0 && line < kPanelWidth; line += a_line) b.prefetch(w, at + double(kStepsAhead * kPanelWidth + line));
        return Builder::Vals{b.fma(b.load(a, i, left), load_weights(b, w, at, lanes, scale), carried[0])};
      })[0];
    };
    Val sums = b.full(0, rows, cols);
    if (scaled) {
      sums = b.loop(b.const_i64(0), groups, b.const_i64(1), {sums}, [&](Val group, const Builder::Vals& carried) {
        const Val scale = b.load(scales, (panel * groups + group) * double(kPanelWidth) + double(lane), lanes);
        const Val from = group * double(kScaleGroup);
        return Builder::Vals{steps(from, b.min(from + double(kScaleGroup), k), scale, carried[0])};
      })[0];
    } else {
      sums = steps(b.const_i64(0), k, {}, sums);
    }
    const Val column = panel * double(kPanelWidth) + double(lane);
    TileAccess out{.rows = rows, .cols = cols};
    out.row_stride = n;
    out.col_limit = n - column;
    b.store(c, column, sums, out);
  };
  b.each(first, last, b.const_i64(1), [&](Val panel) {
    for (int lane = 0; lane < kPanelWidth; lane += cols) part(panel, lane);
  });
  return b.finish();
}

// Program: one id. The row's elements lie a panel's width apart.
lang::Function make_packed_embedding(Mem mem) {
  Builder b("packed_embedding");
  const Val w = b.pointer("panels", mem), scales = b.pointer("scales", Mem::f32), ids = b.pointer("ids", Mem::i64), out = b.pointer("out", Mem::f32);
  const Val k = b.i64("k");
  const Val row = b.program_id(0), id = b.load(ids, row), panel = id / double(kPanelWidth), lane = id % double(kPanelWidth);
  const Val groups = (k + double(kScaleGroup - 1)) / double(kScaleGroup);
  static_assert(kScaleGroup % kLanes == 0, "a piece of a row has one scale");
  for_row(b, k, [&](Val at, Val limit) {
    TileAccess piece{.rows = 1, .cols = kLanes};
    piece.col_limit = limit;
    TileAccess apart = piece;
    apart.col_stride = b.const_i64(kPanelWidth);
    const Val scale = mem == Mem::i8 ? b.load(scales, (panel * groups + at / double(kScaleGroup)) * double(kPanelWidth) + lane) : Val{};
    b.store(out, row * k + at, load_weights(b, w, (panel * k + at) * double(kPanelWidth) + lane, apart, scale), piece);
  });
  return b.finish();
}

}  // namespace

Val load_weights(Builder& b, Val panels, Val offset, const TileAccess& at, Val scale) {
  const Val w = b.load(panels, offset, at);
  return scale ? b.cast(w, Elem::f32) * scale : w;
}

void lower_packed_linear(Lowering& l, bool scaled) {
  const OperandId x = l.contiguous(l.in(0)), w = l.contiguous(l.in(1)), scales = scaled ? l.contiguous(l.in(2)) : w;
  const int64_t m = l.shape(x)[0], k = l.shape(x)[1], n = l.shape(l.out())[1], panels = l.shape(w)[0];
  if (m * n == 0) return;
  if (m > kFewRows) return lower_packed_product(l, {x, w, scales}, {m, n, k});
  const Mem mem = memory_type(l.operand(w).meta.dtype);
  const int64_t panels_per = streamed_panels_per(panels, l.machine().threads);
  l.launch(fmt::format("packed_rows/{}{}", m, lang::name_of(mem)), [&] { return make_packed_rows(static_cast<int>(m), mem); },
           {(panels + panels_per - 1) / panels_per, 1, 1},
           {slot(x), slot(w), slot(scales), slot(l.out()), slot(n), slot(k), slot(panels), slot(panels_per)});
}

void lower_packed_embedding(Lowering& l, bool scaled, int64_t rows, int64_t k) {
  const OperandId w = l.contiguous(l.in(0)), scales = scaled ? l.contiguous(l.in(1)) : w, ids = l.contiguous(l.in(scaled ? 2 : 1));
  check_ids(l, ids, rows, 0, "embedding: id");
  if (k == 0) return;
  if (l.shape(w).size() == 4 && !scaled) return lower_w16a16_rows(l, w, ids, k);
  if (l.shape(w).size() == 4) return lower_w8a8_rows(l, {w, scales, ids}, k);
  const Mem mem = memory_type(l.operand(w).meta.dtype);
  l.launch(fmt::format("packed_embedding/{}", lang::name_of(mem)), [&] { return make_packed_embedding(mem); }, {numel(l.shape(ids)), 1, 1},
           {slot(w), slot(scales), slot(ids), slot(l.out()), slot(k)});
}

}  // namespace bgl::ops::kernels
