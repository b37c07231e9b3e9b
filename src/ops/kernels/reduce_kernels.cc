#include "ops/kernels/reduce_kernels.h"

#include <algorithm>
#include <limits>

#include "ops/kernels/pointwise.h"

namespace bgl::ops::kernels {
namespace {

using lang::Builder;
using lang::Elem;
using lang::Mem;
using lang::ReduceKind;
using lang::TileAccess;
using lang::Val;

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
double neutral(Reduce kind) { return kind == Reduce::kSum ? 0.0 : kMinusInfinity; }
Val join(Builder& b, Reduce kind, Val a, Val c) { return kind == Reduce::kSum ? a + c : b.max(a, c); }
ReduceKind tree(Reduce kind) { return kind == Reduce::kSum ? ReduceKind::kSum : ReduceKind::kMax; }

// x[rows, n] contiguous; program (row, chunk) -> out[row, chunk].
lang::Function make_row(Reduce kind) {
  Builder b(kind == Reduce::kSum ? "row_sum" : "row_max");
  const Val x = b.pointer("x", Mem::f32), out = b.pointer("out", Mem::f32);
  const Val n = b.i64("n"), chunks = b.i64("chunks");
  const Val row = b.program_id(0), chunk = b.program_id(1);
  const Val from = chunk * double(kRowChunk);
  const Val to = b.min(from + double(kRowChunk), n);
  const Val r = range_reduce(b, from, to, kind, [&](Val at, Val limit) {
    TileAccess a{.rows = 1, .cols = kLanes, .other = neutral(kind)};
    a.col_limit = limit;
    return b.load(x, row * n + at, a);
  });
  b.store(out, row * chunks + chunk, r);
  return b.finish();
}

void row_launches(Lowering& l, OperandId x, OperandId out, int64_t rows, int64_t n, Reduce kind) {
  const int64_t chunks = std::max<int64_t>(1, (n + kRowChunk - 1) / kRowChunk);
  const OperandId to = chunks == 1 ? out : l.temp({DType::kF32, {rows, chunks}});
  l.launch(kind == Reduce::kSum ? "row_sum" : "row_max", [&] { return make_row(kind); }, {rows, chunks, 1},
           {slot(x), slot(to), slot(n), slot(chunks)});
  if (chunks > 1) row_launches(l, to, out, rows, chunks, kind);
}

// x[batch, n, cols] contiguous; program (64 columns, chunk of rows, batch) -> out[batch, chunk, cols].
lang::Function make_column(Reduce kind) {
  constexpr int kCols = 64;
  Builder b(kind == Reduce::kSum ? "column_sum" : "column_max");
  const Val x = b.pointer("x", Mem::f32), out = b.pointer("out", Mem::f32);
  const Val n = b.i64("n"), cols = b.i64("cols"), chunks = b.i64("chunks");
  const Val column = b.program_id(0) * double(kCols), chunk = b.program_id(1), batch = b.program_id(2);
  const Val from = chunk * double(kColumnChunk);
  const Val to = b.min(from + double(kColumnChunk), n);
  auto run = [&](Val limit) {
    TileAccess a{.rows = 1, .cols = kCols, .other = neutral(kind)};
    a.col_limit = limit;
    const Val acc = b.loop(from, to, b.const_i64(1), {b.full(neutral(kind), 1, kCols)}, [&](Val row, const Builder::Vals& c) {
      return Builder::Vals{join(b, kind, c[0], b.load(x, (batch * n + row) * cols + column, a))};
    })[0];
    b.store(out, (batch * chunks + chunk) * cols + column, acc, a);
  };
  b.when(b.cmp_le(column + double(kCols), cols), [&] { run({}); }, [&] { run(cols - column); });
  return b.finish();
}

void column_launches(Lowering& l, OperandId x, OperandId out, int64_t batch, int64_t n, int64_t cols, Reduce kind) {
  const int64_t chunks = std::max<int64_t>(1, (n + kColumnChunk - 1) / kColumnChunk);
  const OperandId to = chunks == 1 ? out : l.temp({DType::kF32, {batch, chunks, cols}});
  l.launch(kind == Reduce::kSum ? "column_sum" : "column_max", [&] { return make_column(kind); }, {(cols + 63) / 64, chunks, batch},
           {slot(x), slot(to), slot(n), slot(cols), slot(chunks)});
  if (chunks > 1) column_launches(l, to, out, batch, chunks, cols, kind);
}

// The operand with the dims in `last` moved to the end, as row-major memory.
OperandId reduced_last(Lowering& l, OperandId x, const std::vector<int64_t>& last) {
  Layout moved{{}, {}, l.layout(x).offset};
  auto take = [&](bool reduced) {
    for (size_t d = 0; d < l.shape(x).size(); ++d) {
      if ((std::count(last.begin(), last.end(), static_cast<int64_t>(d)) > 0) != reduced) continue;
      moved.shape.push_back(l.layout(x).shape[d]);
      moved.strides.push_back(l.layout(x).strides[d]);
    }
  };
  take(false);
  take(true);
  return l.contiguous(l.view(x, std::move(moved)));
}

// x[rows, n] contiguous -> out[rows]: the lanes keep their best and where it was; ties go to the lower index.
lang::Function make_argmax() {
  Builder b("row_argmax");
  const Val x = b.pointer("x", Mem::f32), out = b.pointer("out", Mem::i64), n = b.i64("n");
  const Val row = b.program_id(0);
  auto step = [&](Val at, const Builder::Vals& c) {
    TileAccess a{.rows = 1, .cols = kLanes, .other = kMinusInfinity};
    a.col_limit = n - at;
    const Val v = b.load(x, row * n + at, a);
    const Val better = b.cmp_gt(v, c[0]);
    return Builder::Vals{b.select(better, v, c[0]), b.select(better, b.iota(kLanes) + at, c[1])};
  };
  const Builder::Vals best = b.loop(b.const_i64(0), n, b.const_i64(kLanes),
                                    {b.full(kMinusInfinity, 1, kLanes), b.iota(kLanes)}, step);
  const Val m = b.reduce_max(best[0]);
  const Val where = b.select(b.cmp_eq(best[0], m), best[1], b.full(9e18, 1, kLanes, Elem::i64));
  b.store(out, row, b.min(b.reduce(where, 1, ReduceKind::kMin), n - 1));
  return b.finish();
}

}  // namespace

Val range_reduce(Builder& b, Val from, Val to, Reduce kind, const std::function<Val(Val, Val)>& element) {
  const Val whole = from + (to - from) / kLanes * kLanes;
  Val acc = b.loop(from, whole, b.const_i64(kLanes), {b.full(neutral(kind), 1, kLanes)}, [&](Val at, const Builder::Vals& c) {
    return Builder::Vals{join(b, kind, c[0], element(at, {}))};
  })[0];
  // At most one more tile, of the lanes that are left.
  acc = b.loop(whole, to, b.const_i64(kLanes), {acc}, [&](Val at, const Builder::Vals& c) {
    return Builder::Vals{join(b, kind, c[0], element(at, to - at))};
  })[0];
  return b.reduce(acc, 1, tree(kind));
}

Val row_reduce(Builder& b, Val n, Reduce kind, const std::function<Val(Val, Val)>& element) {
  const Val partial = b.scratch(Mem::f32, kRowChunk);
  const Val chunks = b.max((n + double(kRowChunk - 1)) / double(kRowChunk), b.const_i64(1));
  b.each(b.const_i64(0), chunks, b.const_i64(1), [&](Val chunk) {
    const Val from = chunk * double(kRowChunk);
    b.store(partial, chunk, range_reduce(b, from, b.min(from + double(kRowChunk), n), kind, element));
  });
  return range_reduce(b, b.const_i64(0), chunks, kind, [&](Val at, Val limit) {
    TileAccess a{.rows = 1, .cols = kLanes, .other = neutral(kind)};
    a.col_limit = limit;
    return b.load(partial, at, a);
  });
}

void for_row(Builder& b, Val n, const std::function<void(Val, Val)>& body) {
  const Val whole = n / double(kLanes) * double(kLanes);
  b.each(b.const_i64(0), whole, b.const_i64(kLanes), [&](Val at) { body(at, {}); });
  b.when(b.cmp_lt(whole, n), [&] { body(whole, n - whole); });
}

void lower_reduce(Lowering& l, const std::vector<int64_t>& dims, Reduce kind) {
  const Shape& shape = l.shape(l.in(0));
  const auto rank = static_cast<int64_t>(shape.size());
  const int64_t kept = numel(l.shape(l.out()));
  if (kept == 0) return;
  if (dims.empty()) return lower_copy(l, l.in(0), l.view(l.out(), {shape, contiguous_strides(shape), 0}));
  const int64_t reduced = [&] {
    int64_t n = 1;
    for (const int64_t d : dims) n *= shape[static_cast<size_t>(d)];
    return n;
  }();
  const bool adjacent = dims.back() - dims.front() + 1 == static_cast<int64_t>(dims.size());
  if (adjacent && dims.back() != rank - 1 && reduced > 0) {
    int64_t cols = 1;
    for (int64_t d = dims.back() + 1; d < rank; ++d) cols *= shape[static_cast<size_t>(d)];
    return column_launches(l, l.contiguous(l.in(0)), l.out(), kept / cols, reduced, cols, kind);
  }
  row_launches(l, reduced_last(l, l.in(0), dims), l.out(), kept, reduced, kind);
}

void lower_argmax(Lowering& l, const std::vector<int64_t>& dims) {
  const int64_t rows = numel(l.shape(l.out()));
  if (rows == 0) return;
  const OperandId x = reduced_last(l, l.in(0), dims);
  l.launch("row_argmax", make_argmax, {rows, 1, 1}, {slot(x), slot(l.out()), slot(numel(l.shape(l.in(0))) / rows)});
}

}  // namespace bgl::ops::kernels
