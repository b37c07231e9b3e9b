// b is packed into panels of kNR columns, [panels][K][NR] with zeros past N, so that the inner loop reads it straight through; `a` is
// read in place, MR rows at a time, by broadcasts. K is walked in blocks of 256: a block of a panel stays in the first cache while
// all rows of the program pass, and the unfinished outputs wait in memory as f32, which does not change the chain.
#include "ops/kernels/matmul_kernels.h"

#include <fmt/format.h>

#include <algorithm>

#include "lang/builder.h"

namespace bgl::ops::kernels {
namespace {

using lang::Builder;
using lang::Mem;
using lang::TileAccess;
using lang::Val;

constexpr int64_t kKBlock = 256;
constexpr int64_t kRowBlock = 96;  // rows of `a` a program takes at most
constexpr int64_t kPackRows = 64;  // k a packing program takes

struct Tile {
  int mr, nr;
};
// As many accumulators as the registers hold beside two of b and one of a.
Tile tile_for(const Machine& m) {
  const int nr = 2 * m.vector_floats;
  return m.registers >= 32 ? Tile{12, nr} : Tile{6, nr};
}

// A matrix of a batch: element (r, c) of matrix (i, j) at i * batch0 + j * batch1 + r * row + c * col.
struct MatrixStrides {
  int64_t batch0 = 0, batch1 = 0, row = 0, col = 0;
};

// b[K, N] -> panels. Program (panel, block of k, batch).
lang::Function make_pack(int nr, bool rows_are_contiguous) {
  Builder b("pack_b");
  const Val x = b.pointer("b", Mem::f32), out = b.pointer("packed", Mem::f32);
  const Val k = b.i64("k"), n = b.i64("n"), row = b.i64("row"), col = b.i64("col");
  const Val inner = b.i64("inner_batches"), batch0 = b.i64("batch0"), batch1 = b.i64("batch1"), panels = b.i64("panels");
  const Val panel = b.program_id(0), batch = b.program_id(2);
  const Val from = b.program_id(1) * double(kPackRows);
  const Val to = b.min(from + double(kPackRows), k);
  const Val source = batch / inner * batch0 + batch % inner * batch1 + panel * double(nr) * col;
  const Val target = (batch * panels + panel) * k * double(nr);
  const Val limit = n - panel * double(nr);
  auto copy = [&](bool full) {
    TileAccess in{.rows = 1, .cols = nr};
    if (!rows_are_contiguous) in.col_stride = col;
    if (!full) in.col_limit = limit;
    b.each(from, to, b.const_i64(1), [&](Val i) {
      b.store(out, target + i * double(nr), b.load(x, source + i * row, in), {.rows = 1, .cols = nr});
    });
  };
  b.when(b.cmp_ge(limit, b.const_i64(nr)), [&] { copy(true); }, [&] { copy(false); });
  return b.finish();
}

struct GemmShape {
  int mr, nr;
  int tail;  // rows left over after whole tiles of mr
};

// Program (panel, block of rows, batch).
lang::Function make_gemm(GemmShape s) {
  Builder b("gemm");
  const Val a = b.pointer("a", Mem::f32), packed = b.pointer("packed", Mem::f32), c = b.pointer("c", Mem::f32);
  const Val m = b.i64("m"), n = b.i64("n"), k = b.i64("k"), row = b.i64("row"), col = b.i64("col");
  const Val inner = b.i64("inner_batches"), batch0 = b.i64("batch0"), batch1 = b.i64("batch1");
  const Val panels = b.i64("panels"), packed_batches = b.i64("packed_batches"), rows_per = b.i64("rows_per");
  const Val panel = b.program_id(0), batch = b.program_id(2);
  const Val first = b.program_id(1) * rows_per;
  const Val last = b.min(first + rows_per, m);
  const Val whole_end = first + (last - first) / double(s.mr) * double(s.mr);
  const Val a_base = batch / inner * batch0 + batch % inner * batch1;
  const Val b_base = (batch % packed_batches * panels + panel) * k * double(s.nr);
  const Val c_base = batch * m * n + panel * double(s.nr);
  const Val limit = n - panel * double(s.nr);

  auto tile = [&](Val at, int rows, Val from, Val to) {
    TileAccess c_access{.rows = rows, .cols = s.nr};
    c_access.row_stride = n;
    c_access.col_limit = limit;
    TileAccess a_access{.rows = rows, .cols = 1};
    a_access.row_stride = row;
    const Val c_at = c_base + at * n;
    // Past the first block of k the outputs so far are taken up again.
    TileAccess begin = c_access;
    begin.row_limit = b.select(b.cmp_eq(from, b.const_i64(0)), b.const_i64(0), b.const_i64(rows));
    const Val acc = b.loop(from, to, b.const_i64(1), {b.load(c, c_at, begin)}, [&](Val i, const Builder::Vals& carried) {
      const Val left = b.load(a, a_base + at * row + i * col, a_access);
      const Val right = b.load(packed, b_base + i * double(s.nr), {.rows = 1, .cols = s.nr});
      return Builder::Vals{b.fma(left, right, carried[0])};
    })[0];
    b.store(c, c_at, acc, c_access);
  };
  // At least one pass, so that K == 0 writes zeros.
  b.each(b.const_i64(0), b.max(k, b.const_i64(1)), b.const_i64(kKBlock), [&](Val from) {
    const Val to = b.min(from + double(kKBlock), k);
    b.each(first, whole_end, b.const_i64(s.mr), [&](Val at) { tile(at, s.mr, from, to); });
    if (s.tail > 0) b.when(b.cmp_lt(whole_end, last), [&] { tile(whole_end, s.tail, from, to); });
  });
  return b.finish();
}

// The batch dims as at most two, where the layout allows; otherwise the operand is copied.
bool batch_strides(const Layout& x, int64_t& inner, MatrixStrides& s) {
  const size_t rank = x.shape.size();
  Shape sizes, strides;
  for (size_t d = 0; d + 2 < rank; ++d) {
    if (x.shape[d] == 1) continue;
    if (!sizes.empty() && strides.back() == x.strides[d] * x.shape[d]) {
      sizes.back() *= x.shape[d];
      strides.back() = x.strides[d];
    } else {
      sizes.push_back(x.shape[d]);
      strides.push_back(x.strides[d]);
    }
  }
  if (sizes.size() > 2) return false;
  s.row = x.strides[rank - 2];
  s.col = x.strides[rank - 1];
  inner = sizes.empty() ? 1 : sizes.back();
  s.batch1 = sizes.empty() ? 0 : strides.back();
  s.batch0 = sizes.size() == 2 ? strides[0] : 0;
  return true;
}

}  // namespace

void lower_matmul(Lowering& l) {
  const Shape shape = l.shape(l.out());
  if (numel(shape) == 0) return;
  const size_t rank = shape.size();
  const int64_t m = shape[rank - 2], n = shape[rank - 1], k = l.shape(l.in(0)).back();
  const int64_t batches = numel(shape) / (m * n);
  OperandId a = l.in(0), b = l.in(1);
  int64_t a_inner = 1, b_inner = 1;
  MatrixStrides as, bs;
  if (!batch_strides(l.layout(a), a_inner, as)) batch_strides(l.layout(a = l.contiguous(a)), a_inner, as);
  if (!batch_strides(l.layout(b), b_inner, bs)) batch_strides(l.layout(b = l.contiguous(b)), b_inner, bs);
  const Tile t = tile_for(l.machine());
  const int64_t panels = (n + t.nr - 1) / t.nr;
  // One matrix for the whole batch is packed once.
  const int64_t b_batches = bs.batch0 == 0 && bs.batch1 == 0 ? 1 : batches;
  const OperandId packed = l.temp({DType::kF32, {b_batches, panels, k, t.nr}});
  const bool direct = bs.col == 1;
  l.launch(fmt::format("pack_b/{},{}", t.nr, direct), [&] { return make_pack(t.nr, direct); },
           {panels, (k + kPackRows - 1) / kPackRows, b_batches},
           {slot(b), slot(packed), slot(k), slot(n), slot(bs.row), slot(bs.col), slot(b_inner), slot(bs.batch0), slot(bs.batch1), slot(panels)});
  const int64_t rows_per = std::max<int64_t>(kRowBlock / t.mr, 1) * t.mr;
  const int tail = static_cast<int>(m % t.mr);
  l.launch(fmt::format("gemm/{}x{}+{}", t.mr, t.nr, tail), [&] { return make_gemm({t.mr, t.nr, tail}); },
           {panels, (m + rows_per - 1) / rows_per, batches},
           {slot(a), slot(packed), slot(l.out()), slot(m), slot(n), slot(k), slot(as.row), slot(as.col), slot(a_inner), slot(as.batch0),
            slot(as.batch1), slot(panels), slot(b_batches), slot(rows_per)});
}

}  // namespace bgl::ops::kernels
