// b is packed into panels of NR columns, [panels][K][NR] with zeros past N, so that the inner loop reads it straight through; `a` is
// packed into [tiles][K][MR] with zeros past M where it is used often enough, else read in place by broadcasts. K is walked in blocks of
// 256: a block of a panel stays in the first cache while all rows of the program pass, and the unfinished outputs wait in memory as
// f32, which does not change the chain. With few rows b is read where it lies: packing would cost more than the product.
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
constexpr int64_t kRowFloats = 32 << 10;  // of `a` a program takes: about a half of a small second cache
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

// a[M, K] -> [tiles][K][MR], zeros past M. Program (tile, block of k, batch).
lang::Function make_pack_a(int mr) {
  Builder b("pack_a");
  const Val x = b.pointer("a", Mem::f32), out = b.pointer("packed", Mem::f32);
  const Val k = b.i64("k"), m = b.i64("m"), row = b.i64("row"), col = b.i64("col");
  const Val inner = b.i64("inner_batches"), batch0 = b.i64("batch0"), batch1 = b.i64("batch1"), tiles = b.i64("tiles");
  const Val tile = b.program_id(0), batch = b.program_id(2);
  const Val from = b.program_id(1) * double(kPackRows);
  const Val to = b.min(from + double(kPackRows), k);
  const Val source = batch / inner * batch0 + batch % inner * batch1 + tile * double(mr) * row;
  const Val target = (batch * tiles + tile) * k * double(mr);
  const Val limit = m - tile * double(mr);
  auto copy = [&](bool full) {
    TileAccess in{.rows = mr, .cols = 1};
    in.row_stride = row;
    if (!full) in.row_limit = limit;
    TileAccess packed{.rows = mr, .cols = 1};
    packed.row_stride = b.const_i64(1);
    b.each(from, to, b.const_i64(1), [&](Val i) { b.store(out, target + i * double(mr), b.load(x, source + i * col, in), packed); });
  };
  b.when(b.cmp_ge(limit, b.const_i64(mr)), [&] { copy(true); }, [&] { copy(false); });
  return b.finish();
}

struct GemmShape {
  int mr, nr;
  int tail;       // rows left over after whole tiles of mr; 0 when `a` is packed, whose tiles are all whole
  bool packed_a;
};

// Program (panel, block of rows, batch).
lang::Function make_gemm(GemmShape s) {
  Builder b("gemm");
  const Val a = b.pointer("a", Mem::f32), packed = b.pointer("packed", Mem::f32), c = b.pointer("c", Mem::f32);
  const Val m = b.i64("m"), n = b.i64("n"), k = b.i64("k");
  const Val row = s.packed_a ? b.const_i64(1) : b.i64("row"), col = s.packed_a ? b.const_i64(s.mr) : b.i64("col");
  const Val inner = b.i64("inner_batches"), batch0 = b.i64("batch0"), batch1 = b.i64("batch1");
  const Val panels = b.i64("panels"), packed_batches = b.i64("packed_batches"), rows_per = b.i64("rows_per");
  const Val panel = b.program_id(0), batch = b.program_id(2);
  const Val first = b.program_id(1) * rows_per;
  const Val last = b.min(first + rows_per, m);
  const Val whole_end = s.packed_a ? last : first + (last - first) / double(s.mr) * double(s.mr);
  const Val a_base = batch / inner * batch0 + batch % inner * batch1;
  const Val b_base = (batch % packed_batches * panels + panel) * k * double(s.nr);
  const Val c_base = batch * m * n + panel * double(s.nr);
  const Val limit = n - panel * double(s.nr);

  auto tile = [&](Val at, int rows, Val from, Val to) {
    TileAccess c_access{.rows = rows, .cols = s.nr};
    c_access.row_stride = n;
    c_access.col_limit = limit;
    if (s.packed_a) c_access.row_limit = m - at;
    TileAccess a_access{.rows = rows, .cols = 1};
    a_access.row_stride = row;
    const Val c_at = c_base + at * n;
    const Val a_at = s.packed_a ? a_base + at * k : a_base + at * row;
    // Past the first block of k the outputs so far are taken up again.
    TileAccess begin = c_access;
    const Val none = b.const_i64(0), all = s.packed_a ? c_access.row_limit : b.const_i64(rows);
    begin.row_limit = b.select(b.cmp_eq(from, none), none, all);
    const Val acc = b.loop(from, to, b.const_i64(1), {b.load(c, c_at, begin)}, [&](Val i, const Builder::Vals& carried) {
      const Val left = b.load(a, a_at + i * col, a_access);
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

// A few rows of `a` times b[K, N] whose rows are contiguous, b read in place. Program (kFewColumns columns, all rows, batch).
constexpr int64_t kFewRows = 16;
constexpr int64_t kFewColumns = 256;
constexpr int64_t kFewK = 16;

lang::Function make_few_rows(int rows) {
  // As many columns at once as leave registers for all the sums.
  const int cols = rows == 1 ? 64 : rows <= 3 ? 32 : 16;
  Builder b("gemm_few_rows");
  const Val a = b.pointer("a", Mem::f32), x = b.pointer("b", Mem::f32), c = b.pointer("c", Mem::f32);
  const Val m = b.i64("m"), n = b.i64("n"), k = b.i64("k"), row = b.i64("row"), col = b.i64("col"), b_row = b.i64("b_row");
  const Val a_inner = b.i64("a_inner"), a0 = b.i64("a_batch0"), a1 = b.i64("a_batch1");
  const Val b_inner = b.i64("b_inner"), b0 = b.i64("b_batch0"), b1 = b.i64("b_batch1");
  const Val begin_column = b.program_id(0) * double(kFewColumns), batch = b.program_id(2);
  const Val end_column = b.min(begin_column + double(kFewColumns), n);
  const Val a_base = batch / a_inner * a0 + batch % a_inner * a1;
  const Val b_base = batch / b_inner * b0 + batch % b_inner * b1;
  auto tile = [&](Val at, int tile_rows, Val column, Val from, Val to, Val limit) {
    TileAccess c_access{.rows = tile_rows, .cols = cols};
    c_access.row_stride = n;
    c_access.col_limit = limit;
    TileAccess a_access{.rows = tile_rows, .cols = 1};
    a_access.row_stride = row;
    TileAccess b_access{.rows = 1, .cols = cols};
    b_access.col_limit = limit;
    TileAccess begin = c_access;
    begin.row_limit = b.select(b.cmp_eq(from, b.const_i64(0)), b.const_i64(0), b.const_i64(tile_rows));
    const Val c_at = (batch * m + at) * n + column;
    const Val acc = b.loop(from, to, b.const_i64(1), {b.load(c, c_at, begin)}, [&](Val i, const Builder::Vals& carried) {
      return Builder::Vals{b.fma(b.load(a, a_base + at * row + i * col, a_access), b.load(x, b_base + i * b_row + column, b_access), carried[0])};
    })[0];
    b.store(c, c_at, acc, c_access);
  };
  b.each(b.const_i64(0), b.max(k, b.const_i64(1)), b.const_i64(kFewK), [&](Val from) {
    const Val to = b.min(from + double(kFewK), k);
    b.each(begin_column, end_column, b.const_i64(cols), [&](Val column) {
      auto rows_from = [&](Val begin_row, Val end_row, int tile_rows) {
        b.each(begin_row, end_row, b.const_i64(tile_rows), [&](Val at) {
          b.when(b.cmp_le(column + double(cols), n), [&] { tile(at, tile_rows, column, from, to, {}); },
                 [&] { tile(at, tile_rows, column, from, to, n - column); });
        });
      };
      const Val whole = m / double(rows) * double(rows);
      rows_from(b.const_i64(0), whole, rows);
      if (rows > 3) rows_from(whole, m, 1);
    });
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

struct Batched {
  MatrixStrides strides;
  int64_t inner;
};
struct ProductSize {
  int64_t batches, m, n, k;
};

void few_rows(Lowering& l, OperandId a, OperandId b, const Batched& as, const Batched& bs, const ProductSize& p) {
  const int rows = p.m == 1 ? 1 : p.m <= 3 ? static_cast<int>(p.m) : 4;
  l.launch(fmt::format("gemm_few_rows/{}", rows), [&] { return make_few_rows(rows); }, {(p.n + kFewColumns - 1) / kFewColumns, 1, p.batches},
           {slot(a), slot(b), slot(l.out()), slot(p.m), slot(p.n), slot(p.k), slot(as.strides.row), slot(as.strides.col), slot(bs.strides.row), slot(as.inner),
            slot(as.strides.batch0), slot(as.strides.batch1), slot(bs.inner), slot(bs.strides.batch0), slot(bs.strides.batch1)});
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
  if (m <= kFewRows && bs.col == 1) return few_rows(l, a, b, {as, a_inner}, {bs, b_inner}, {batches, m, n, k});
  const Tile t = tile_for(l.machine());
  const int64_t panels = (n + t.nr - 1) / t.nr;
  // One matrix for the whole batch is packed once.
  const int64_t b_batches = bs.batch0 == 0 && bs.batch1 == 0 ? 1 : batches;
  const OperandId packed = l.temp({DType::kF32, {b_batches, panels, k, t.nr}});
  const bool direct = bs.col == 1;
  l.launch(fmt::format("pack_b/{},{}", t.nr, direct), [&] { return make_pack(t.nr, direct); },
           {panels, (k + kPackRows - 1) / kPackRows, b_batches},
           {slot(b), slot(packed), slot(k), slot(n), slot(bs.row), slot(bs.col), slot(b_inner), slot(bs.batch0), slot(bs.batch1), slot(panels)});
  const int64_t rows_per = std::clamp<int64_t>(kRowFloats / std::max<int64_t>(k, 1) / t.mr, 4, 40) * t.mr;
  // Rows that lie together pack at the speed of memory; scattered ones must be used by more panels to be worth it.
  const bool pack_a = panels >= (as.row == 1 ? 4 : 16);
  const int64_t tiles = (m + t.mr - 1) / t.mr;
  if (pack_a) {
    const OperandId packed_a = l.temp({DType::kF32, {batches, tiles, k, t.mr}});
    l.launch(fmt::format("pack_a/{}", t.mr), [&] { return make_pack_a(t.mr); }, {tiles, (k + kPackRows - 1) / kPackRows, batches},
             {slot(a), slot(packed_a), slot(k), slot(m), slot(as.row), slot(as.col), slot(a_inner), slot(as.batch0), slot(as.batch1), slot(tiles)});
    a = packed_a;
    a_inner = 1;
    as.batch0 = tiles * k * t.mr;
    as.batch1 = 0;
  }
  const GemmShape shape_of{t.mr, t.nr, pack_a ? 0 : static_cast<int>(m % t.mr), pack_a};
  std::vector<Slot> slots = {slot(a), slot(packed), slot(l.out()), slot(m), slot(n), slot(k)};
  if (!pack_a) slots.insert(slots.end(), {slot(as.row), slot(as.col)});
  slots.insert(slots.end(), {slot(a_inner), slot(as.batch0), slot(as.batch1), slot(panels), slot(b_batches), slot(rows_per)});
  l.launch(fmt::format("gemm/{}x{}+{}{}", t.mr, t.nr, shape_of.tail, pack_a ? "p" : ""), [&] { return make_gemm(shape_of); },
           {panels, (m + rows_per - 1) / rows_per, batches}, std::move(slots));
}

}  // namespace bgl::ops::kernels
