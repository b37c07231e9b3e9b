// The gradient of attention, scores recomputed from lse. Where there are groups of heads enough for the threads, one kernel gives all
// three (attention_grad_whole.cc). Otherwise one gives dq, a few queries over the key blocks, and another dk and dv, a few keys over the
// heads of their group in order and each head's query blocks in order, so no two programs add to one element, and every score is made
// twice. Both ways give the same bits. Ref: arXiv:2205.14135, appendix B.
#include <fmt/format.h>

#include <limits>

#include "lang/math.h"
#include "ops/kernels/attention_grad.h"
#include "ops/kernels/block_rows.h"

namespace bgl::ops::kernels {
namespace {

using lang::Builder;
using lang::Elem;
using lang::Mem;
using lang::TileAccess;
using lang::Val;

constexpr int64_t kBlock = kKeyBlock;

TileAccess column(Builder& b, int rows, Val limit) {
  TileAccess a{.rows = rows, .cols = 1};
  a.row_stride = b.const_i64(1);
  a.row_limit = limit;
  return a;
}

// Program (block of `rows` queries, head, batch).
lang::Function make_dq(int rows, bool causal) {
  Builder b("attention_dq");
  const Val q = b.pointer("q", Mem::f32), k = b.pointer("k", Mem::f32), kt = b.pointer("kt", Mem::f32), vt = b.pointer("vt", Mem::f32),
            lse = b.pointer("lse", Mem::f32), delta = b.pointer("delta", Mem::f32), dout = b.pointer("dout", Mem::f32),
            dq = b.pointer("dq", Mem::f32);
  const GradSizes n = grad_sizes(b);
  const RowStrides qs = row_strides(b, "q"), ks = row_strides(b, "k"), os = row_strides(b, "dout");
  const Val scale = b.f32("scale");
  const Val t0 = b.program_id(0) * double(rows), head = b.program_id(1), batch = b.program_id(2);
  const Val group = head / n.per_group;
  const Val exist = n.t - t0;
  const BlockRows query = make_rows(b, rows), grad = make_rows(b, rows), out = make_rows(b, rows), ds = make_rows(b, rows, kBlock);
  read_rows(b, query, n.d, q, batch * qs.batch + head * qs.head + t0 * qs.row, qs.row, exist);
  read_rows(b, grad, n.d, dout, batch * os.batch + head * os.head + t0 * os.row, os.row, exist);
  clear_rows(b, out, n.d);
  const Val row = (batch * n.heads + head) * n.t + t0;
  const Val shift = b.load(lse, row, column(b, rows, exist)), inner = b.load(delta, row, column(b, rows, exist));
  Val visible = b.full(0, rows, 1, Elem::i64) + n.s;
  Val seen = n.s;
  if (causal) {
    visible = b.min(visible, b.row_iota(rows) + (n.s - n.t + t0 + 1));
    seen = b.min(n.s, n.s - n.t + t0 + double(rows));
  }
  const Val base = (batch * (n.heads / n.per_group) + group) * key_blocks(n.s) * double(kBlock) * n.d;
  b.each(b.const_i64(0), key_blocks(seen), b.const_i64(1), [&](Val block) {
    const Val first = block * double(kBlock);
    b.each(b.const_i64(0), b.const_i64(kBlock), b.const_i64(kTile), [&](Val j) {
      const Val scores = row_dots(b, query, n.d, kt, base + first * n.d + j) * scale;
      const Val p = b.select(b.cmp_lt(first + j + b.iota(kTile), visible), lang::exp(b, scores - shift), b.full(0, rows, kTile));
      const Val dp = row_dots(b, grad, n.d, vt, base + first * n.d + j);
      store_tile(b, ds, j, p * (dp - inner) * scale);
    });
    add_weighted(b, out, n.d, {}, ds, b.min(n.s - first, b.const_i64(kBlock)), k, batch * ks.batch + group * ks.head + first * ks.row, ks.row);
  });
  write_rows(b, out, n.d, dq, row * n.d, n.d, exist);
  return b.finish();
}

// Program (block of `rows` keys, group, batch).
lang::Function make_dkv(int rows, bool causal) {
  Builder b("attention_dkv");
  const Val q = b.pointer("q", Mem::f32), k = b.pointer("k", Mem::f32), v = b.pointer("v", Mem::f32), qt = b.pointer("qt", Mem::f32),
            ot = b.pointer("dout_t", Mem::f32), lse = b.pointer("lse", Mem::f32), delta = b.pointer("delta", Mem::f32),
            dout = b.pointer("dout", Mem::f32), dk = b.pointer("dk", Mem::f32), dv = b.pointer("dv", Mem::f32);
  const GradSizes n = grad_sizes(b);
  const RowStrides qs = row_strides(b, "q"), ks = row_strides(b, "k"), vs = row_strides(b, "v"), os = row_strides(b, "dout");
  const Val scale = b.f32("scale");
  const Val s0 = b.program_id(0) * double(rows), group = b.program_id(1), batch = b.program_id(2);
  const Val exist = n.s - s0;
  const BlockRows key = make_rows(b, rows), value = make_rows(b, rows), dk_rows = make_rows(b, rows), dv_rows = make_rows(b, rows);
  const BlockRows p_rows = make_rows(b, rows, kBlock), ds_rows = make_rows(b, rows, kBlock);
  read_rows(b, key, n.d, k, batch * ks.batch + group * ks.head + s0 * ks.row, ks.row, exist);
  read_rows(b, value, n.d, v, batch * vs.batch + group * vs.head + s0 * vs.row, vs.row, exist);
  clear_rows(b, dk_rows, n.d);
  clear_rows(b, dv_rows, n.d);
  // Query t sees the key s when s <= S - T + t.
  const Val ahead = causal ? n.s - n.t : Val{};
  const Val key_index = b.row_iota(rows) + s0;
  const Val first_block = causal ? b.max(s0 - ahead, b.const_i64(0)) / double(kBlock) : b.const_i64(0);
  b.each(group * n.per_group, (group + 1.0) * n.per_group, b.const_i64(1), [&](Val head) {
    const Val row = (batch * n.heads + head) * n.t;
    const Val base = (batch * n.heads + head) * key_blocks(n.t) * double(kBlock) * n.d;
    b.each(first_block, key_blocks(n.t), b.const_i64(1), [&](Val block) {
      const Val first = block * double(kBlock);
      b.each(b.const_i64(0), b.const_i64(kBlock), b.const_i64(kTile), [&](Val j) {
        TileAccess stats{.rows = 1, .cols = kTile};
        stats.col_limit = n.t - first - j;
        const Val t = first + j + b.iota(kTile);
        Val sees = b.broadcast(b.cmp_lt(t, b.full(0, 1, kTile, Elem::i64) + n.t), rows, kTile);
        if (causal) sees = b.logical_and(sees, b.cmp_le(key_index, t + ahead));
        const Val scores = row_dots(b, key, n.d, qt, base + first * n.d + j) * scale;
        const Val p = b.select(sees, lang::exp(b, scores - b.load(lse, row + first + j, stats)), b.full(0, rows, kTile));
        const Val dp = row_dots(b, value, n.d, ot, base + first * n.d + j);
        store_tile(b, p_rows, j, p);
        store_tile(b, ds_rows, j, p * (dp - b.load(delta, row + first + j, stats)) * scale);
      });
      const Val count = b.min(n.t - first, b.const_i64(kBlock));
      add_weighted(b, dv_rows, n.d, {}, p_rows, count, dout, batch * os.batch + head * os.head + first * os.row, os.row);
      add_weighted(b, dk_rows, n.d, {}, ds_rows, count, q, batch * qs.batch + head * qs.head + first * qs.row, qs.row);
    });
  });
  const Val out = ((batch * (n.heads / n.per_group) + group) * n.s + s0) * n.d;
  write_rows(b, dk_rows, n.d, dk, out, n.d, exist);
  write_rows(b, dv_rows, n.d, dv, out, n.d, exist);
  return b.finish();
}

}  // namespace

void lower_attention_grad(Lowering& l, double scale, bool causal) {
  const OperandId q = unit_rows(l, l.in(0)), k = unit_rows(l, l.in(1)), v = unit_rows(l, l.in(2)), dout = unit_rows(l, l.in(5));
  const OperandId lse = l.contiguous(l.in(3)), delta = l.contiguous(l.in(4));
  const Shape q_shape = l.shape(q), k_shape = l.shape(k);
  const OperandId kt = transpose_blocks(l, k), vt = transpose_blocks(l, v);
  const int64_t batches = q_shape[0], heads = q_shape[1], t = q_shape[2], d = q_shape[3], groups = k_shape[1], s = k_shape[2];
  auto with_common = [&](std::vector<Slot> slots, std::initializer_list<OperandId> strided) {
    for (const int64_t x : {heads, heads / groups, t, s, d}) slots.push_back(slot(x));
    for (const OperandId id : strided) {
      for (size_t i = 0; i < 3; ++i) slots.push_back(slot(l.layout(id).strides[i]));
    }
    slots.push_back(slot_f32(scale));
    return slots;
  };
  const int rows = rows_at_once(l.machine());
  const char* kind = causal ? "c" : "";
  constexpr int64_t kProgramsAThread = 4;  // so that no thread waits long for the last
  if (batches * groups >= kProgramsAThread * l.machine().threads) {
    const int64_t width = d <= 64 ? 64 : d <= 128 ? 128 : kMaxHeadWidth;
    l.launch(fmt::format("attention_grad/{}w{}{}", rows, width, kind), [&] { return make_whole_grad(rows, width, causal); }, {groups, batches, 1},
             with_common({slot(q), slot(k), slot(kt), slot(vt), slot(lse), slot(delta), slot(dout), slot(l.out(0)), slot(l.out(1)), slot(l.out(2))},
                         {q, k, dout}));
    return;
  }
  const OperandId qt = transpose_blocks(l, q), ot = transpose_blocks(l, dout);
  l.launch(fmt::format("attention_dq/{}{}", rows, kind), [&] { return make_dq(rows, causal); }, {(t + rows - 1) / rows, heads, batches},
           with_common({slot(q), slot(k), slot(kt), slot(vt), slot(lse), slot(delta), slot(dout), slot(l.out(0))}, {q, k, dout}));
  l.launch(fmt::format("attention_dkv/{}{}", rows, kind), [&] { return make_dkv(rows, causal); }, {(s + rows - 1) / rows, groups, batches},
           with_common({slot(q), slot(k), slot(v), slot(qt), slot(ot), slot(lse), slot(delta), slot(dout), slot(l.out(1)), slot(l.out(2))},
                       {q, k, v, dout}));
}

}  // namespace bgl::ops::kernels
