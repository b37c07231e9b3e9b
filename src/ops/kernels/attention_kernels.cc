// The block of 64 keys is the unit of every order here: scores are one chain over the head's width, a row's maximum and sum run over
// the block's four tiles of 16 keys, the weighted values are one chain over the keys. How many queries a program takes
// and whether keys lie in a row or in pages changes none of it. Keys are read transposed, [block][D][64].
#include "ops/kernels/attention_kernels.h"

#include <fmt/format.h>

#include <functional>
#include <limits>

#include "lang/builder.h"
#include "lang/math.h"
#include "ops/kernels/block_rows.h"

namespace bgl::ops::kernels {
namespace {

using lang::Builder;
using lang::Elem;
using lang::Mem;
using lang::TileAccess;
using lang::Val;

constexpr float kMinusInf = -std::numeric_limits<float>::infinity();

// Where a block of keys and values lies.
struct KeyBlock {
  Val k_base;       // of [D][64]
  Val v_base;       // of row 0
  Val v_row;        // elements between rows of v
  Val keys;         // keys of this block that exist, 1..64
};

// softmax over `blocks` blocks of keys for R queries whose rows lie in q_rows. visible: R x 1, keys each query sees. Calls
// done(out rows not yet divided, l, m).
struct Softmax {
  BlockRows out;
  Val total, maximum;
};
Softmax attend(Builder& b, int rows, const BlockRows& q, Val d, Val scale, Val blocks, Val visible, Val k, Val v,
               const std::function<KeyBlock(Val)>& block_at) {
  const BlockRows out = make_rows(b, rows);
  clear_rows(b, out, d);
  const BlockRows p = make_rows(b, rows, kKeyBlock);
  const Val lanes = b.iota(kTile);
  const Val zero = b.const_i64(0), sixteen = b.const_i64(kTile);
  const Builder::Vals init = {b.full(kMinusInf, rows, 1), b.full(0, rows, 1)};
  const Builder::Vals last = b.loop(zero, blocks, b.const_i64(1), init, [&](Val block, const Builder::Vals& c) {
    const KeyBlock at = block_at(block);
    const Val m = b.loop(zero, b.const_i64(kKeyBlock), sixteen, {c[0]}, [&](Val j, const Builder::Vals& best) {
      const Val s = row_dots(b, q, d, k, at.k_base + j) * scale;
      const Val key = block * double(kKeyBlock) + j + lanes;
      const Val seen = b.select(b.cmp_lt(key, visible), s, b.full(kMinusInf, rows, kTile));
      store_tile(b, p, j, seen);
      return Builder::Vals{b.max(best[0], b.reduce_max(seen))};
    })[0];
    const Val sums = b.loop(zero, b.const_i64(kKeyBlock), sixteen, {b.full(0, rows, kTile)}, [&](Val j, const Builder::Vals& sum) {
      const Val e = lang::exp_of_nonpositive(b, load_tile(b, p, j) - m);
      store_tile(b, p, j, e);
      return Builder::Vals{sum[0] + e};
    })[0];
    const Val shrink = lang::exp_of_nonpositive(b, c[0] - m);
    add_weighted(b, out, d, shrink, p, at.keys, v, at.v_base, at.v_row);
    return Builder::Vals{m, c[1] * shrink + b.sum(sums)};
  });
  return {out, last[1], last[0]};
}

// Program (block of `rows` queries, head, batch).
lang::Function make_attention(int rows, bool causal) {
  Builder b("attention");
  const Val q = b.pointer("q", Mem::f32), k = b.pointer("k", Mem::f32), v = b.pointer("v", Mem::f32), out = b.pointer("out", Mem::f32),
            lse = b.pointer("lse", Mem::f32);
  const Val heads = b.i64("heads"), per_group = b.i64("heads_per_group"), t = b.i64("t"), s = b.i64("s"), d = b.i64("d");
  const Val q0 = b.i64("q_batch"), q1 = b.i64("q_head"), q2 = b.i64("q_row"), v0 = b.i64("v_batch"), v1 = b.i64("v_head"), v2 = b.i64("v_row");
  const Val scale = b.f32("scale");
  const Val t0 = b.program_id(0) * double(rows), head = b.program_id(1), batch = b.program_id(2);
  const Val group = head / per_group;
  const BlockRows query = make_rows(b, rows);
  read_rows(b, query, d, q, batch * q0 + head * q1 + t0 * q2, q2, t - t0);
  Val visible = b.full(0, rows, 1, Elem::i64) + s;
  Val seen = s;
  if (causal) {
    visible = b.min(visible, b.row_iota(rows) + (s - t + t0 + 1));
    seen = b.min(s, s - t + t0 + double(rows));
  }
  const Val key_blocks = (s + double(kKeyBlock - 1)) / double(kKeyBlock);
  const Val k_base = (batch * (heads / per_group) + group) * key_blocks * double(kKeyBlock) * d;
  const Val v_base = batch * v0 + group * v1;
  const Softmax r = attend(b, rows, query, d, scale, (seen + double(kKeyBlock - 1)) / double(kKeyBlock), visible, k, v, [&](Val block) {
    const Val first = block * double(kKeyBlock);
    return KeyBlock{k_base + first * d, v_base + first * v2, v2, b.min(s - first, b.const_i64(kKeyBlock))};
  });
  const Val row = (batch * heads + head) * t + t0;
  write_rows(b, r.out, d, out, row * d, d, t - t0, r.total);
  TileAccess column{.rows = rows, .cols = 1};
  column.row_stride = b.const_i64(1);
  column.row_limit = t - t0;
  b.store(lse, row, r.maximum + lang::log(b, r.total), column);
  return b.finish();
}

// Program (head, query).
lang::Function make_paged() {
  Builder b("paged_attention");
  const Val q = b.pointer("q", Mem::f32), k = b.pointer("k_pages", Mem::f32), v = b.pointer("v_pages", Mem::f32),
            pages = b.pointer("pages", Mem::i64), lengths = b.pointer("lengths", Mem::i64), out = b.pointer("out", Mem::f32);
  const Val heads = b.i64("heads"), per_group = b.i64("heads_per_group"), d = b.i64("d"), table = b.i64("table");
  const Val scale = b.f32("scale");
  const Val head = b.program_id(0), n = b.program_id(1);
  const Val groups = heads / per_group, group = head / per_group;
  const BlockRows query = make_rows(b, 1);
  const Val at = (n * heads + head) * d;
  read_rows(b, query, d, q, at, d, b.const_i64(1));
  const Val length = b.load(lengths, n);
  const Val blocks = (length + double(kKeyBlock - 1)) / double(kKeyBlock);
  const Softmax r = attend(b, 1, query, d, scale, blocks, length, k, v, [&](Val block) {
    const Val base = (b.load(pages, n * table + block) * groups + group) * double(kKeyBlock) * d;
    return KeyBlock{base, base, d, b.min(length - block * double(kKeyBlock), b.const_i64(kKeyBlock))};
  });
  write_rows(b, r.out, d, out, at, d, b.const_i64(1), r.total);
  return b.finish();
}

// x[B, G, S, D] -> [B, G, blocks, D, 64], zeros past S. Program (block, group, batch).
lang::Function make_transpose() {
  Builder b("transpose_blocks");
  const Val x = b.pointer("x", Mem::f32), out = b.pointer("out", Mem::f32);
  const Val groups = b.i64("groups"), s = b.i64("s"), d = b.i64("d"), s0 = b.i64("batch"), s1 = b.i64("head"), s2 = b.i64("row"), s3 = b.i64("col");
  const Val block = b.program_id(0), group = b.program_id(1), batch = b.program_id(2);
  const Val first = block * double(kKeyBlock);
  const Val blocks = (s + double(kKeyBlock - 1)) / double(kKeyBlock);
  const Val from = batch * s0 + group * s1 + first * s2;
  const Val to = ((batch * groups + group) * blocks + block) * double(kKeyBlock) * d;
  TileAccess in{.rows = 1, .cols = kKeyBlock};
  in.col_stride = s2;
  in.col_limit = s - first;
  b.each(b.const_i64(0), d, b.const_i64(1), [&](Val i) {
    b.store(out, to + i * double(kKeyBlock), b.load(x, from + i * s3, in), {.rows = 1, .cols = kKeyBlock});
  });
  return b.finish();
}

// Program (row): pages[slot] = x[row], per group; keys transposed within their page.
lang::Function make_write_pages(bool transposed) {
  Builder b("write_pages");
  const Val pages = b.pointer("pages", Mem::f32), x = b.pointer("x", Mem::f32), slots = b.pointer("slots", Mem::i64);
  const Val groups = b.i64("groups"), d = b.i64("d");
  const Val n = b.program_id(0);
  const Val at = b.load(slots, n);
  const Val page = at / double(kKeyBlock), place = at % double(kKeyBlock);
  b.each(b.const_i64(0), groups, b.const_i64(1), [&](Val group) {
    const Val base = (page * groups + group) * double(kKeyBlock) * d;
    b.each(b.const_i64(0), d, b.const_i64(1), [&](Val i) {
      const Val to = transposed ? base + i * double(kKeyBlock) + place : base + place * d + i;
      b.store(pages, to, b.load(x, (n * groups + group) * d + i));
    });
  });
  return b.finish();
}

// Program (position, head, batch).
lang::Function make_rope(bool interleaved) {
  Builder b("rope");
  const Val x = b.pointer("x", Mem::f32), positions = b.pointer("positions", Mem::i64), cos = b.pointer("cos", Mem::f32),
            sin = b.pointer("sin", Mem::f32), y = b.pointer("y", Mem::f32);
  const Val heads = b.i64("heads"), t = b.i64("t"), half = b.i64("half"), s0 = b.i64("batch"), s1 = b.i64("head"), s2 = b.i64("row");
  const Val at = b.program_id(0), head = b.program_id(1), batch = b.program_id(2);
  const Val angle = b.load(positions, batch * t + at) * half;
  const Val from = batch * s0 + head * s1 + at * s2;
  const Val to = ((batch * heads + head) * t + at) * half * 2.0;
  b.each(b.const_i64(0), half, b.const_i64(kTile), [&](Val i) {
    TileAccess table{.rows = 1, .cols = kTile};
    table.col_limit = half - i;
    TileAccess pair = table;
    if (interleaved) pair.col_stride = b.const_i64(2);
    const Val first = interleaved ? i * 2.0 : i;
    const Val second = interleaved ? first + 1 : i + half;
    const Val u = b.load(x, from + first, pair), w = b.load(x, from + second, pair);
    const Val c = b.load(cos, angle + i, table), s = b.load(sin, angle + i, table);
    b.store(y, to + first, u * c - w * s, pair);
    b.store(y, to + second, u * s + w * c, pair);
  });
  return b.finish();
}

}  // namespace

OperandId unit_rows(Lowering& l, OperandId x) {
  const Layout& layout = l.layout(x);
  return layout.shape.back() == 1 || layout.strides.back() == 1 ? x : l.contiguous(x);
}

OperandId transpose_blocks(Lowering& l, OperandId x) {
  const Layout layout = l.layout(x);
  const int64_t b = layout.shape[0], g = layout.shape[1], s = layout.shape[2], d = layout.shape[3];
  const int64_t blocks = (s + kKeyBlock - 1) / kKeyBlock;
  const OperandId out = l.temp({DType::kF32, {b, g, blocks, d, kKeyBlock}});
  l.launch("transpose_blocks", make_transpose, {blocks, g, b},
           {slot(x), slot(out), slot(g), slot(s), slot(d), slot(layout.strides[0]), slot(layout.strides[1]), slot(layout.strides[2]),
            slot(layout.strides[3])});
  return out;
}

void lower_attention(Lowering& l, double scale, bool causal) {
  const OperandId q = unit_rows(l, l.in(0)), v = unit_rows(l, l.in(2));
  const Shape& qs = l.shape(q);
  const int64_t t = qs[2], s = l.shape(v)[2];
  if (numel(qs) == 0) return;
  const OperandId kt = transpose_blocks(l, l.in(1));
  const int rows = rows_at_once(l.machine());
  const Shape &a = l.layout(q).strides, &c = l.layout(v).strides;
  l.launch(fmt::format("attention/{}{}", rows, causal ? "c" : ""), [&] { return make_attention(rows, causal); },
           {(t + rows - 1) / rows, qs[1], qs[0]},
           {slot(q), slot(kt), slot(v), slot(l.out(0)), slot(l.out(1)), slot(qs[1]), slot(qs[1] / l.shape(v)[1]), slot(t), slot(s), slot(qs[3]),
            slot(a[0]), slot(a[1]), slot(a[2]), slot(c[0]), slot(c[1]), slot(c[2]), slot_f32(scale)});
}

void lower_paged_attention(Lowering& l, double scale) {
  const OperandId q = l.contiguous(l.in(0)), k = l.contiguous(l.in(1)), v = l.contiguous(l.in(2)), pages = l.contiguous(l.in(3)),
                  lengths = l.contiguous(l.in(4));
  const Shape& qs = l.shape(q);
  l.launch("paged_attention", make_paged, {qs[1], qs[0], 1},
           {slot(q), slot(k), slot(v), slot(pages), slot(lengths), slot(l.out()), slot(qs[1]), slot(qs[1] / l.shape(k)[1]), slot(qs[2]),
            slot(l.shape(pages)[1]), slot_f32(scale)});
}

void lower_write_pages(Lowering& l, bool transposed) {
  const OperandId x = l.contiguous(l.in(1)), slots = l.contiguous(l.in(2));
  copy_unless_shared(l, l.in(0), l.out());
  const Shape& xs = l.shape(x);
  l.launch(transposed ? "write_pages/t" : "write_pages", [&] { return make_write_pages(transposed); }, {xs[0], 1, 1},
           {slot(l.out()), slot(x), slot(slots), slot(xs[1]), slot(xs[2])});
}

void lower_rope(Lowering& l, bool interleaved) {
  const OperandId x = unit_rows(l, l.in(0)), positions = l.contiguous(l.in(1)), cos = l.contiguous(l.in(2)), sin = l.contiguous(l.in(3));
  const Shape &xs = l.shape(x), &st = l.layout(x).strides;
  l.launch(interleaved ? "rope/i" : "rope", [&] { return make_rope(interleaved); }, {xs[2], xs[1], xs[0]},
           {slot(x), slot(positions), slot(cos), slot(sin), slot(l.out()), slot(xs[1]), slot(xs[2]), slot(xs[3] / 2), slot(st[0]), slot(st[1]),
            slot(st[2])});
}

}  // namespace bgl::ops::kernels
