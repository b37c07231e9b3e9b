// The gradient of attention by one program a group of heads: key block after key block, and for each of them 48 queries after the
// other, so that every score is made once. Five products a pair: the scores, the gradient of the weights, and what they add to dq, dk and
// dv. All three sums are chains in the order of attention_grad.cc's two kernels, and give their bits: over the keys for dq, which lies
// in memory between key blocks, over the heads of the group and their queries for dk and dv.
#include "ops/kernels/attention_grad.h"

#include "lang/builder.h"
#include "lang/math.h"
#include "ops/kernels/attention_kernels.h"
#include "ops/kernels/block_rows.h"

namespace bgl::ops::kernels {
namespace {

using lang::Builder;
using lang::Elem;
using lang::Mem;
using lang::TileAccess;
using lang::Val;

constexpr int kQueries = 48;       // at once: whole tiles of 6 or 12 rows
constexpr int64_t kPairsWidth = 80;  // of a row of weights: 64 keys, and what a last tile of keys reads beyond them

// Copies `count` rows of d numbers into `to`.
void copy_rows(Builder& b, const BlockRows& to, Val from, Val base, Val stride, Val count, Val d) {
  b.each(b.const_i64(0), count, b.const_i64(1), [&](Val row) {
    b.each(b.const_i64(0), d, b.const_i64(kTile), [&](Val at) {
      TileAccess a{.rows = 1, .cols = kTile};
      a.col_limit = d - at;
      store_tile(b, rows_of(to, row, 1), at, b.load(from, base + row * stride + at, a));
    });
  });
}
void write_out(Builder& b, const BlockRows& rows, Val to, Val base, Val count, Val d) {
  b.each(b.const_i64(0), count, b.const_i64(1), [&](Val row) {
    b.each(b.const_i64(0), d, b.const_i64(kTile), [&](Val at) {
      TileAccess a{.rows = 1, .cols = kTile};
      a.col_limit = d - at;
      b.store(to, base + row * d + at, load_tile(b, rows_of(rows, row, 1), at), a);
    });
  });
}
void clear(Builder& b, const BlockRows& rows) {
  b.each(b.const_i64(0), b.const_i64(rows.rows * rows.width), b.const_i64(kTile), [&](Val at) {
    b.store(rows.memory, at, b.full(0, 1, kTile), {.rows = 1, .cols = kTile});
  });
}

// acc + sum over j in [from, to) of left(j) [R x 1] * right(j) [1 x 16].
Val chain(Builder& b, Val acc, Val from, Val to, const std::function<Val(Val)>& left, const std::function<Val(Val)>& right) {
  return b.loop(from, to, b.const_i64(1), {acc}, [&](Val j, const Builder::Vals& c) { return Builder::Vals{b.fma(left(j), right(j), c[0])}; })[0];
}

struct Whole {
  Builder& b;
  int rows;  // of a tile
  int64_t width;
  bool causal;
  Val q = b.pointer("q", Mem::f32), k = b.pointer("k", Mem::f32), kt = b.pointer("kt", Mem::f32), vt = b.pointer("vt", Mem::f32),
      lse = b.pointer("lse", Mem::f32), delta = b.pointer("delta", Mem::f32), dout = b.pointer("dout", Mem::f32), dq = b.pointer("dq", Mem::f32),
      dk = b.pointer("dk", Mem::f32), dv = b.pointer("dv", Mem::f32);
  GradSizes n = grad_sizes(b);
  RowStrides qs = row_strides(b, "q"), ks = row_strides(b, "k"), os = row_strides(b, "dout");
  Val scale = b.f32("scale");
  Val group = b.program_id(0), batch = b.program_id(1);
  Val zero = b.const_i64(0), one = b.const_i64(1), tile = b.const_i64(kTile);
  Val ahead = n.s - n.t;  // query t sees the keys before ahead + t + 1
  int key_rows = (static_cast<int>(kKeyBlock) + rows - 1) / rows * rows;
  BlockRows keys = make_rows(b, kKeyBlock, width), queries = make_rows(b, kQueries, width), grads = make_rows(b, kQueries, width),
            dk_rows = make_rows(b, key_rows, width), dv_rows = make_rows(b, key_rows, width), p_rows = make_rows(b, kQueries, kPairsWidth),
            ds_rows = make_rows(b, kQueries, kPairsWidth);

  // A block of keys against the queries from `t0` on.
  struct Block {
    Val first, count, base;  // its first key, how many there are, its place in kt and vt
    Val head_row;            // of lse, delta and dq: this head's first
    Val t0;
  };
  void program();
  void weights(const Block& at, Val row, Val exist, Val seen);
  void add_to_queries(const Block& at, Val row, Val exist, Val seen);
  void add_to_keys(const Block& at, Val key, Val exist);
};

// Weights and their gradients, times scale, of a tile of queries and the keys of the block; `seen` keys are seen by one of them.
void Whole::weights(const Block& at, Val row, Val exist, Val seen) {
  TileAccess column{.rows = rows, .cols = 1};
  column.row_stride = one;
  column.row_limit = exist - row;
  const Val from = at.head_row + at.t0 + row;
  const Val shift = b.load(lse, from, column), inner = b.load(delta, from, column);
  Val visible = b.full(0, rows, 1, Elem::i64) + n.s;
  if (causal) visible = b.min(visible, b.row_iota(rows) + (ahead + at.t0 + row + 1));
  const BlockRows query = rows_of(queries, row, rows), grad = rows_of(grads, row, rows), p_out = rows_of(p_rows, row, rows), ds_out = rows_of(ds_rows, row, rows);
  b.each(zero, at.count, tile, [&](Val j) {
    auto compute = [&] {
      const Val scores = row_dots(b, query, n.d, kt, at.base + j) * scale;
      const Val p = b.select(b.cmp_lt(at.first + j + b.iota(kTile), visible), lang::exp(b, scores - shift), b.full(0, rows, kTile));
      store_tile(b, p_out, j, p);
      const Val dp = row_dots(b, grad, n.d, vt, at.base + j);
      store_tile(b, ds_out, j, load_tile(b, p_out, j) * (dp - inner) * scale);
    };
    if (!causal) return compute();
    b.when(b.cmp_lt(j, seen), compute, [&] {
      store_tile(b, p_out, j, b.full(0, rows, kTile));
      store_tile(b, ds_out, j, b.full(0, rows, kTile));
    });
  });
}

void Whole::add_to_queries(const Block& at, Val row, Val exist, Val seen) {
  b.each(zero, n.d, tile, [&](Val column) {
    TileAccess a{.rows = rows, .cols = kTile};
    a.row_stride = n.d;
    a.row_limit = exist - row;
    a.col_limit = n.d - column;
    const Val place = (at.head_row + at.t0 + row) * n.d + column;
    TileAccess weights{.rows = rows, .cols = 1};
    weights.row_stride = b.const_i64(kPairsWidth);
    const Val acc = chain(
        b, b.load(dq, place, a), zero, seen, [&](Val j) { return b.load(ds_rows.memory, row * double(kPairsWidth) + j, weights); },
        [&](Val j) { return b.load(keys.memory, j * double(width) + column, {.rows = 1, .cols = kTile}); });
    b.store(dq, place, acc, a);
  });
}

// dk and dv of a tile of keys.
void Whole::add_to_keys(const Block& at, Val key, Val exist) {
  const Val from = causal ? b.max(at.first + key - ahead - at.t0, zero) : zero;
  TileAccess weights{.rows = rows, .cols = 1};
  weights.row_stride = one;
  b.each(zero, n.d, tile, [&](Val column) {
    auto add = [&](const BlockRows& to, const BlockRows& pairs, const BlockRows& right) {
      const BlockRows out = rows_of(to, key, rows);
      store_tile(b, out, column,
                 chain(
                     b, load_tile(b, out, column), from, exist, [&](Val t) { return b.load(pairs.memory, t * double(kPairsWidth) + key, weights); },
                     [&](Val t) { return b.load(right.memory, t * double(width) + column, {.rows = 1, .cols = kTile}); }));
    };
    add(dv_rows, p_rows, grads);
    add(dk_rows, ds_rows, queries);
  });
}

void Whole::program() {
  for (const BlockRows& r : {queries, grads, p_rows, ds_rows}) clear(b, r);  // what lies beyond the last row or key is read, and counts for nothing
  const Val first_head = group * n.per_group, last_head = first_head + n.per_group;
  const Val of_group = batch * (n.heads / n.per_group) + group;
  const Val dq_begin = (batch * n.heads + first_head) * n.t * n.d;
  b.each(zero, n.per_group * n.t * n.d, tile, [&](Val i) {
    TileAccess a{.rows = 1, .cols = kTile};
    a.col_limit = n.per_group * n.t * n.d - i;
    b.store(dq, dq_begin + i, b.full(0, 1, kTile), a);
  });
  b.each(zero, key_blocks(n.s), one, [&](Val block) {
    Block at;
    at.first = block * double(kKeyBlock);
    at.count = b.min(n.s - at.first, b.const_i64(kKeyBlock));
    at.base = (of_group * key_blocks(n.s) + block) * double(kKeyBlock) * n.d;
    copy_rows(b, keys, k, batch * ks.batch + group * ks.head + at.first * ks.row, ks.row, at.count, n.d);
    clear(b, dk_rows);
    clear(b, dv_rows);
    b.each(first_head, last_head, one, [&](Val head) {
      at.head_row = (batch * n.heads + head) * n.t;
      b.each(causal ? b.max(at.first - ahead, zero) : zero, n.t, b.const_i64(kQueries), [&](Val t0) {
        at.t0 = t0;
        const Val exist = b.min(n.t - t0, b.const_i64(kQueries));
        copy_rows(b, queries, q, batch * qs.batch + head * qs.head + t0 * qs.row, qs.row, exist, n.d);
        copy_rows(b, grads, dout, batch * os.batch + head * os.head + t0 * os.row, os.row, exist, n.d);
        b.each(zero, exist, b.const_i64(rows), [&](Val row) {
          const Val seen = causal ? b.min(at.count, ahead + t0 + row + double(rows) - at.first) : at.count;
          weights(at, row, exist, seen);
          add_to_queries(at, row, exist, seen);
        });
        b.each(zero, at.count, b.const_i64(rows), [&](Val key) { add_to_keys(at, key, exist); });
      });
    });
    const Val out = (of_group * n.s + at.first) * n.d;
    write_out(b, dk_rows, dk, out, at.count, n.d);
    write_out(b, dv_rows, dv, out, at.count, n.d);
  });
}

}  // namespace

lang::Function make_whole_grad(int rows, int64_t width, bool causal) {
  Builder b("attention_grad");
  Whole{b, rows, width, causal}.program();
  return b.finish();
}

}  // namespace bgl::ops::kernels
