// K is walked in blocks. For each, a program packs its part of b into panels [K][NR] in its scratch, with zeros past N,
// and sweeps rows over it: a panel's block stays in the first cache while a block of rows passes, and the unfinished sums wait
// in the scratch as f32, which does not change the chain. `a` is packed block by block into tiles [K][padded MR] before, with
// zeros past M, where it is used often enough, else read in place by broadcasts. With one to three rows b is read where it
// lies: packing would cost more than the product.
#include "ops/kernels/matmul_kernels.h"

#include <fmt/format.h>

#include <algorithm>

#include "lang/builder.h"
#include "ops/kernels/matmul_schedule.h"
#include "ops/kernels/packed_kernels.h"
#include "ops/kernels/pointwise.h"
#include "ops/packed.h"

namespace bgl::ops::kernels {
namespace {

using lang::Builder;
using lang::Mem;
using lang::TileAccess;
using lang::Val;

constexpr int64_t kRowsAhead = 12;  // prefetched while b is packed: its rows are too far apart for the processor to foresee

// A matrix of a batch: element (r, c) of matrix (i, j) at i * batch0 + j * batch1 + r * row + c * col.
struct MatrixStrides {
  int64_t batch0 = 0, batch1 = 0, row = 0, col = 0;
};

// The rows of a packed tile of `a`: a power of two, so that it can be transposed in registers.
int padded(int mr) {
  int rows = 1;
  while (rows < mr) rows *= 2;
  return rows;
}

// Copies the block [from, to) x `side` of a matrix whose element (i, j) lies at i * step + j * across to `out`, rows `out_row`
// apart; of the `side` j only those under `limit` exist, the others become zeros. Steps along contiguous i take squares and
// transpose them.
struct PackPart {
  Val source, step, across;
  Val from, to;
  Val limit;
  Val target;
  int64_t out_row;
  int side;
};
void pack_part(Builder& b, Val in, Val out, const PackPart& p, bool i_contiguous, bool j_contiguous) {
  auto copy = [&](bool full) {
    auto single = [&](Val i) {
      TileAccess at{.rows = 1, .cols = p.side};
      if (!j_contiguous) at.col_stride = p.across;
      if (!full) at.col_limit = p.limit;
      b.store(out, p.target + (i - p.from) * double(p.out_row), b.load(in, p.source + i * p.step, at),
              {.rows = 1, .cols = p.side});
    };
    if (!i_contiguous || j_contiguous) {
      b.each(p.from, p.to, b.const_i64(1), single);
      return;
    }
    TileAccess square{.rows = p.side, .cols = p.side};
    square.row_stride = p.across;
    if (!full) square.row_limit = p.limit;
    TileAccess packed{.rows = p.side, .cols = p.side};
    packed.row_stride = b.const_i64(p.out_row);
    const Val whole = p.from + (p.to - p.from) / double(p.side) * double(p.side);
    b.each(p.from, whole, b.const_i64(p.side), [&](Val i) {
      b.store(out, p.target + (i - p.from) * double(p.out_row), b.transpose(b.load(in, p.source + i, square)), packed);
    });
    b.each(whole, p.to, b.const_i64(1), single);
  };
  b.when(
      b.cmp_ge(p.limit, b.const_i64(p.side)), [&] { copy(true); }, [&] { copy(false); });
}

// a[M, K] -> [blocks of K][tiles][k of the block][padded MR], zeros past M. Program (tile, block of k, batch).
lang::Function make_pack_a(int mr, bool k_contiguous, bool m_contiguous) {
  Builder b("pack_a");
  const Val x = b.pointer("a", Mem::f32), out = b.pointer("packed", Mem::f32);
  const Val k = b.i64("k"), m = b.i64("m"), row = b.i64("row"), col = b.i64("col");
  const Val inner = b.i64("inner_batches"), batch0 = b.i64("batch0"), batch1 = b.i64("batch1"), tiles = b.i64("tiles");
  const Val k_block = b.i64("k_block");
  const Val tile = b.program_id(0), batch = b.program_id(2);
  const int side = padded(mr);
  const Val from = b.program_id(1) * k_block, to = b.min(from + k_block, k);
  const Val base = batch / inner * batch0 + batch % inner * batch1 + tile * double(mr) * row;
  pack_part(b, x, out,
            {.source = base,
             .step = col,
             .across = row,
             .from = from,
             .to = to,
             .limit = m - tile * double(mr),
             .target = ((batch * k + from) * tiles + tile * (to - from)) * double(side),
             .out_row = side,
             .side = side},
            k_contiguous, m_contiguous);
  return b.finish();
}

// How b lies in memory.
enum class Right : uint8_t {
  kRows,       // b[k, n + 1] follows b[k, n]
  kColumns,    // b[k + 1, n] follows b[k, n]
  kScattered,  // neither
  kPanels,     // packed weights (ops/packed.h), which are widened, and scaled where they are int8
};

struct GemmShape {
  int mr, nr, vector;
  bool packed_a;
  Right right;
  Mem b_mem = Mem::f32;  // of kPanels, else f32
};

// Program (block of panels, block of rows, batch): for every block of k, the program's part of b is packed into its scratch,
// then swept. Rows left over after whole tiles are the end of a last one that begins before them: some rows are computed twice, to the
// same bits, and no kernel is needed for every number of rows. So an `a` that is not packed wants mr rows of every program at least.
lang::Function make_gemm(GemmShape s) {
  Builder b("gemm");
  const bool scaled = s.b_mem == Mem::i8;
  const Val a = b.pointer("a", Mem::f32), x = b.pointer("b", s.b_mem), c = b.pointer("c", Mem::f32);
  const Val scales = scaled ? b.pointer("scales", Mem::f32) : Val{};
  const Val m = b.i64("m"), n = b.i64("n"), k = b.i64("k");
  const Val row = s.packed_a ? b.const_i64(1) : b.i64("row"), col = s.packed_a ? b.const_i64(padded(s.mr)) : b.i64("col");
  const Val inner = b.i64("inner_batches"), batch0 = b.i64("batch0"), batch1 = b.i64("batch1");
  const Val b_row = b.i64("b_row"), b_col = b.i64("b_col"), b_inner = b.i64("b_inner"), b_batch0 = b.i64("b_batch0"),
            b_batch1 = b.i64("b_batch1");
  const Val panels = b.i64("panels"), rows_per = b.i64("rows_per"), panels_per = b.i64("panels_per");
  const Val k_block = b.i64("k_block"), row_block = b.i64("row_block");
  const Val batch = b.program_id(2);
  const Val first_panel = b.program_id(0) * panels_per, last_panel = b.min(first_panel + panels_per, panels);
  const Val first = b.program_id(1) * rows_per;
  const Val last = b.min(first + rows_per, m);
  const Val a_base = batch / inner * batch0 + batch % inner * batch1;
  const Val b_base = batch / b_inner * b_batch0 + batch % b_inner * b_batch1;
  const Val tiles = (m + double(s.mr - 1)) / double(s.mr);  // of packed `a`
  const Val packed = b.scratch(Mem::f32, kPackedMost * s.nr);
  const Val unfinished = b.scratch(Mem::f32, kUnfinishedMost * s.nr);  // tiles of sums, past blocks of k

  const Val width = k_block * double(s.nr);  // of a packed panel
  // Rows of b one after the other, all panels of a row together.
  auto pack_rows = [&](Val from, Val to) {
    b.each(from, to, b.const_i64(1), [&](Val i) {
      b.each(first_panel, last_panel, b.const_i64(1), [&](Val panel) {
        const Val column = panel * double(s.nr), source = b_base + i * b_row + column, limit = n - column;
        const Val target = (panel - first_panel) * width + (i - from) * double(s.nr);
        const TileAccess whole{.rows = 1, .cols = s.nr};
        TileAccess part = whole;
        part.col_limit = limit;
        b.prefetch(x, source + b_row * double(kRowsAhead));
        b.when(
            b.cmp_ge(limit, b.const_i64(s.nr)), [&] { b.store(packed, target, b.load(x, source, whole), whole); },
            [&] { b.store(packed, target, b.load(x, source, part), whole); });
      });
    });
  };
  auto pack_columns = [&](Val from, Val to) {
    b.each(first_panel, last_panel, b.const_i64(1), [&](Val panel) {
      // Squares of a vector's width: a whole panel would not fit the registers.
      for (int part = 0; part < s.nr; part += s.vector) {
        const Val column = panel * double(s.nr) + double(part);
        pack_part(b, x, packed,
                  {.source = b_base + column * b_col,
                   .step = b_row,
                   .across = b_col,
                   .from = from,
                   .to = to,
                   .limit = n - column,
                   .target = (panel - first_panel) * width + double(part),
                   .out_row = s.nr,
                   .side = s.vector},
                  s.right == Right::kColumns, false);
      }
    });
  };
  auto pack_panels = [&](Val from, Val to) {
    const Val groups = (k + double(kScaleGroup - 1)) / double(kScaleGroup);
    const TileAccess lanes{.rows = 1, .cols = s.nr};
    b.each(first_panel, last_panel, b.const_i64(1), [&](Val panel) {
      const Val column = panel * double(s.nr), stored = column / double(kPanelWidth), lane = column % double(kPanelWidth);
      b.each(from, to, b.const_i64(kScaleGroup), [&](Val group) {
        const Val scale = scaled ? b.load(scales, (stored * groups + group / double(kScaleGroup)) * double(kPanelWidth) + lane, lanes) : Val{};
        b.each(group, b.min(group + double(kScaleGroup), to), b.const_i64(1), [&](Val i) {
          const Val w = load_weights(b, x, (stored * k + i) * double(kPanelWidth) + lane, lanes, scale);
          b.store(packed, (panel - first_panel) * width + (i - from) * double(s.nr), w, lanes);
        });
      });
    });
  };
  const int rows = s.mr;
  auto tile = [&](Val panel, Val at, Val number, Val from, Val to) {
    const Val column = panel * double(s.nr), right_at = (panel - first_panel) * width;
    TileAccess c_access{.rows = rows, .cols = s.nr};
    c_access.row_stride = n;
    c_access.col_limit = n - column;
    if (s.packed_a) c_access.row_limit = m - at;
    TileAccess a_access{.rows = rows, .cols = 1};
    a_access.row_stride = row;
    const Val c_at = (batch * m + at) * n + column;
    const Val a_at =
        s.packed_a ? a_base + (from * tiles + at / double(s.mr) * (to - from)) * double(padded(s.mr)) : a_base + at * row;
    // Past the first block of k the sums so far are taken up again.
    const Val sums_at = (number * panels_per + panel - first_panel) * double(s.mr * s.nr);
    TileAccess sums{.rows = rows, .cols = s.nr};
    sums.row_stride = b.const_i64(s.nr);
    b.when(b.cmp_eq(from, b.const_i64(0)), [&] { b.store(unfinished, sums_at, b.full(0, rows, s.nr), sums); });
    const Val acc =
        b.loop(from, to, b.const_i64(1), {b.load(unfinished, sums_at, sums)}, [&](Val i, const Builder::Vals& carried) {
          const Val left = b.load(a, a_at + (s.packed_a ? i - from : i) * col, a_access);
          const Val right = b.load(packed, right_at + (i - from) * double(s.nr), {.rows = 1, .cols = s.nr});
          return Builder::Vals{b.fma(left, right, carried[0])};
        })[0];
    b.when(
        b.cmp_ge(to, k), [&] { b.store(c, c_at, acc, c_access); }, [&] { b.store(unfinished, sums_at, acc, sums); });
  };
  // At least one pass, so that K == 0 writes zeros.
  b.each(b.const_i64(0), b.max(k, b.const_i64(1)), k_block, [&](Val from) {
    const Val to = b.min(from + k_block, k);
    if (s.right == Right::kPanels) {
      pack_panels(from, to);
    } else {
      s.right == Right::kRows ? pack_rows(from, to) : pack_columns(from, to);
    }
    b.each(first, last, row_block, [&](Val block_first) {
      const Val block_last = b.min(block_first + row_block, last);
      const Val whole_end = s.packed_a ? block_last : block_first + (block_last - block_first) / double(s.mr) * double(s.mr);
      b.each(first_panel, last_panel, b.const_i64(1), [&](Val panel) {
        b.each(block_first, whole_end, b.const_i64(s.mr), [&](Val at) { tile(panel, at, (at - first) / double(s.mr), from, to); });
        if (!s.packed_a) {
          b.when(b.cmp_lt(whole_end, block_last), [&] { tile(panel, block_last - double(s.mr), (whole_end - first) / double(s.mr), from, to); });
        }
      });
    });
  });
  return b.finish();
}

// One to three rows of `a` times b[K, N] whose rows are contiguous, b read in place: a few of its rows side by side, from one
// end of the program's columns to the other, so that every stream is long; a thread takes one program, for the same reason. Program (block of columns, all rows, batch).
lang::Function make_few_rows(int rows) {
  const int cols = rows == 1 ? 64 : 32;  // as many as leave registers for all the sums
  Builder b("gemm_few_rows");
  const Val a = b.pointer("a", Mem::f32), x = b.pointer("b", Mem::f32), c = b.pointer("c", Mem::f32);
  const Val n = b.i64("n"), k = b.i64("k"), row = b.i64("row"), col = b.i64("col"), b_row = b.i64("b_row");
  const Val a_inner = b.i64("a_inner"), a0 = b.i64("a_batch0"), a1 = b.i64("a_batch1");
  const Val b_inner = b.i64("b_inner"), b0 = b.i64("b_batch0"), b1 = b.i64("b_batch1"), columns_per = b.i64("columns_per");
  const Val few_k = b.i64("few_k");
  const Val begin_column = b.program_id(0) * columns_per, batch = b.program_id(2);
  const Val end_column = b.min(begin_column + columns_per, n);
  const Val a_base = batch / a_inner * a0 + batch % a_inner * a1;
  const Val b_base = batch / b_inner * b0 + batch % b_inner * b1;
  auto tile = [&](Val column, Val from, Val to, Val limit) {
    TileAccess c_access{.rows = rows, .cols = cols};
    c_access.row_stride = n;
    c_access.col_limit = limit;
    TileAccess a_access{.rows = rows, .cols = 1};
    a_access.row_stride = row;
    TileAccess b_access{.rows = 1, .cols = cols};
    b_access.col_limit = limit;
    TileAccess begin = c_access;
    begin.row_limit = b.select(b.cmp_eq(from, b.const_i64(0)), b.const_i64(0), b.const_i64(rows));
    const Val c_at = batch * n * double(rows) + column;
    const Val acc = b.loop(from, to, b.const_i64(1), {b.load(c, c_at, begin)}, [&](Val i, const Builder::Vals& carried) {
      return Builder::Vals{
          b.fma(b.load(a, a_base + i * col, a_access), b.load(x, b_base + i * b_row + column, b_access), carried[0])};
    })[0];
    b.store(c, c_at, acc, c_access);
  };
  b.each(b.const_i64(0), b.max(k, b.const_i64(1)), few_k, [&](Val from) {
    const Val to = b.min(from + few_k, k);
    b.each(begin_column, end_column, b.const_i64(cols), [&](Val column) {
      b.when(
          b.cmp_le(column + double(cols), n), [&] { tile(column, from, to, {}); }, [&] { tile(column, from, to, n - column); });
    });
  });
  return b.finish();
}

struct Batched {
  MatrixStrides strides;
  int64_t inner = 1;
};
// The batch dims as at most two, where the layout allows; otherwise the operand is copied.
bool batch_strides(const Layout& x, Batched& out) {
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
  out.strides = {.batch0 = sizes.size() == 2 ? strides[0] : 0,
                 .batch1 = sizes.empty() ? 0 : strides.back(),
                 .row = x.strides[rank - 2],
                 .col = x.strides[rank - 1]};
  out.inner = sizes.empty() ? 1 : sizes.back();
  return true;
}

void few_rows(Lowering& l, OperandId a, OperandId b, const Batched& as, const Batched& bs, const ProductSize& p) {
  const int rows = static_cast<int>(p.m);
  const int64_t columns_per = items_per_program(p.n, 2 * p.batches, 128, l.machine().threads);
  constexpr std::array<int64_t, 4> kFewK = {8, 4, 16, 32};  // rows of b side by side
  const double flops = 2.0 * static_cast<double>(p.batches * p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
  l.choose(fmt::format("gemm_few_rows {}", size_class(p)), {"general", "k4", "k16", "k32"}, flops, [&](size_t i) {
    l.launch(fmt::format("gemm_few_rows/{}", rows), [&] { return make_few_rows(rows); },
             {(p.n + columns_per - 1) / columns_per, 1, p.batches},
             {slot(a), slot(b), slot(l.out()), slot(p.n), slot(p.k), slot(as.strides.row), slot(as.strides.col),
              slot(bs.strides.row), slot(as.inner), slot(as.strides.batch0), slot(as.strides.batch1), slot(bs.inner),
              slot(bs.strides.batch0), slot(bs.strides.batch1), slot(columns_per), slot(kFewK[i])});
  });
}

// `a` as tiles that gemm reads straight through; `as` becomes their strides.
OperandId pack_a(Lowering& l, OperandId a, Batched& as, const ProductSize& p, const GemmSchedule& s) {
  const int mr = s.mr;
  const int side = padded(mr);
  const int64_t tiles = (p.m + mr - 1) / mr;
  const bool k_contiguous = as.strides.col == 1, m_contiguous = as.strides.row == 1;
  const OperandId packed = l.temp({DType::kF32, {p.batches, tiles, p.k, side}});
  l.launch(fmt::format("pack_a/{},{},{}", mr, k_contiguous, m_contiguous),
           [&] { return make_pack_a(mr, k_contiguous, m_contiguous); }, {tiles, (p.k + s.k_block - 1) / s.k_block, p.batches},
           {slot(a), slot(packed), slot(p.k), slot(p.m), slot(as.strides.row), slot(as.strides.col), slot(as.inner),
            slot(as.strides.batch0), slot(as.strides.batch1), slot(tiles), slot(s.k_block)});
  as = {.strides = {.batch0 = tiles * p.k * side}, .inner = 1};
  return packed;
}

struct RightOperand {
  OperandId b;
  Right kind;
  Batched at;  // kPanels: unused
  Mem mem = Mem::f32;
  OperandId scales = {};  // of int8
  std::string name() const { return kind == Right::kPanels ? lang::name_of(mem) : std::string(1, "rcs"[static_cast<int>(kind)]); }
};

void gemm_as(Lowering& l, OperandId a, Batched as, const RightOperand& right, const ProductSize& p, const GemmSchedule& wanted) {
  const Batched& bs = right.at;
  const GemmSchedule s = possible(wanted, p, l.machine());
  if (s.packs_a) a = pack_a(l, a, as, p, s);
  const int64_t panels = (p.n + s.nr - 1) / s.nr;
  const auto [panels_per, rows_per] = share_of(p, s, l.machine());
  const GemmShape shape{s.mr, s.nr, l.machine().vector_floats, s.packs_a, right.kind, right.mem};
  std::vector<Slot> slots = {slot(a), slot(right.b), slot(l.out())};
  if (right.mem == Mem::i8) slots.push_back(slot(right.scales));
  slots.insert(slots.end(), {slot(p.m), slot(p.n), slot(p.k)});
  if (!s.packs_a) slots.insert(slots.end(), {slot(as.strides.row), slot(as.strides.col)});
  slots.insert(slots.end(), {slot(as.inner), slot(as.strides.batch0), slot(as.strides.batch1), slot(bs.strides.row),
                             slot(bs.strides.col), slot(bs.inner), slot(bs.strides.batch0), slot(bs.strides.batch1),
                             slot(panels), slot(rows_per), slot(panels_per), slot(s.k_block), slot(std::max<int64_t>(1, s.row_block / s.mr) * s.mr)});
  l.launch(fmt::format("gemm/{}x{}{}{}", s.mr, s.nr, s.packs_a ? "p" : "", right.name()), [&] { return make_gemm(shape); },
           {(panels + panels_per - 1) / panels_per, (p.m + rows_per - 1) / rows_per, p.batches}, std::move(slots));
}

void gemm(Lowering& l, OperandId a, const Batched& as, const RightOperand& right, const ProductSize& p) {
  const GemmKind kind{as.strides.row == 1, right.name(), right.kind == Right::kPanels};
  std::vector<GemmSchedule> schedules = other_gemms(p, kind, l.machine());
  schedules.insert(schedules.begin(), general_gemm(p, kind, l.machine()));
  std::vector<std::string> names = {"general"};
  for (size_t i = 1; i < schedules.size(); ++i) names.push_back(name_of(schedules[i]));
  const double flops = 2.0 * static_cast<double>(p.batches * p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
  l.choose(fmt::format("gemm {}{} {}", as.strides.row == 1 ? 't' : as.strides.col == 1 ? 'r' : 's', right.name(), size_class(p)), names, flops,
           [&](size_t i) { gemm_as(l, a, as, right, p, schedules[i]); });
}

}  // namespace

void lower_matmul(Lowering& l) {
  const Shape shape = l.shape(l.out());
  if (numel(shape) == 0) return;
  const size_t rank = shape.size();
  const int64_t m = shape[rank - 2], n = shape[rank - 1];
  const ProductSize size{numel(shape) / (m * n), m, n, l.shape(l.in(0)).back()};
  OperandId a = l.in(0), b = l.in(1);
  Batched as, bs;
  if (!batch_strides(l.layout(a), as)) batch_strides(l.layout(a = l.contiguous(a)), as);
  if (!batch_strides(l.layout(b), bs)) batch_strides(l.layout(b = l.contiguous(b)), bs);
  if (m <= kFewRows && bs.strides.col == 1) return few_rows(l, a, b, as, bs, size);
  gemm(l, a, as, {b, bs.strides.col == 1 ? Right::kRows : bs.strides.row == 1 ? Right::kColumns : Right::kScattered, bs}, size);
}

void lower_packed_product(Lowering& l, const PackedOperands& of, const PackedSize& p) {
  const Mem mem = memory_type(l.operand(of.panels).meta.dtype);
  const Batched rows{.strides = {.row = p.k, .col = 1}};
  gemm(l, of.x, rows, {.b = of.panels, .kind = Right::kPanels, .at = {}, .mem = mem, .scales = of.scales}, {1, p.m, p.n, p.k});
}

}  // namespace bgl::ops::kernels
