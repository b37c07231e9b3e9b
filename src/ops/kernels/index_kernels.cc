#include "ops/kernels/index_kernels.h"

#include <fmt/format.h>

#include "ops/kernels/pointwise.h"
#include "ops/kernels/reduce_kernels.h"
#include "ops/kernels/row_kernels.h"

namespace bgl::ops::kernels {
namespace {

using lang::Builder;
using lang::Elem;
using lang::Mem;
using lang::TileAccess;
using lang::Val;

TileAccess lanes(Val limit) {
  TileAccess a{.rows = 1, .cols = kLanes};
  a.col_limit = limit;
  return a;
}

lang::Function make_embedding(Mem mem) {
  Builder b("embedding");
  const Val table = b.pointer("table", mem), ids = b.pointer("ids", Mem::i64), out = b.pointer("out", mem), c = b.i64("c");
  const Val row = b.program_id(0);
  const Val from = b.load(ids, row) * c;
  for_row(b, c, [&](Val at, Val limit) { b.store(out, row * c + at, b.load(table, from + at, lanes(limit)), lanes(limit)); });
  return b.finish();
}

// A program owns 16 columns of the table, so no two programs touch one element.
lang::Function make_embedding_grad() {
  Builder b("embedding_grad");
  const Val g = b.pointer("g", Mem::f32), ids = b.pointer("ids", Mem::i64), out = b.pointer("out", Mem::f32);
  const Val n = b.i64("n"), c = b.i64("c"), v = b.i64("v");
  const Val column = b.program_id(0) * double(kLanes);
  const TileAccess a = lanes(c - column);
  b.each(b.const_i64(0), v, b.const_i64(1), [&](Val row) { b.store(out, row * c + column, b.full(0, 1, kLanes), a); });
  b.each(b.const_i64(0), n, b.const_i64(1), [&](Val i) {
    const Val at = b.load(ids, i) * c + column;
    b.store(out, at, b.load(out, at, a) + b.load(g, i * c + column, a), a);
  });
  return b.finish();
}

lang::Function make_arange(Mem mem) {
  Builder b("arange");
  const Val out = b.pointer("out", mem), n = b.i64("n");
  const Val from = b.program_id(0) * double(kLanes);
  b.store(out, from, b.cast(b.iota(kLanes) + from, lang::register_type(mem)), lanes(n - from));
  return b.finish();
}

}  // namespace

void lower_embedding(Lowering& l) {
  const OperandId table = l.contiguous(l.in(0)), ids = l.contiguous(l.in(1));
  const int64_t c = l.shape(table)[1];
  check_ids(l, ids, l.shape(table)[0], 0, "embedding: id");
  if (c == 0) return;
  const Mem mem = memory_type(l.operand(table).meta.dtype);
  l.launch(fmt::format("embedding/{}", lang::name_of(mem)), [&] { return make_embedding(mem); }, {numel(l.shape(ids)), 1, 1},
           {slot(table), slot(ids), slot(l.out()), slot(c)});
}

void lower_embedding_grad(Lowering& l) {
  const OperandId g = l.contiguous(l.in(0)), ids = l.contiguous(l.in(1));
  const Shape& out = l.shape(l.out());
  l.launch("embedding_grad", make_embedding_grad, {(out[1] + kLanes - 1) / kLanes, 1, 1},
           {slot(g), slot(ids), slot(l.out()), slot(numel(l.shape(ids))), slot(out[1]), slot(out[0])});
}

void lower_arange(Lowering& l) {
  const Mem mem = memory_type(l.operand(l.out()).meta.dtype);
  const int64_t n = numel(l.shape(l.out()));
  l.launch(fmt::format("arange/{}", lang::name_of(mem)), [&] { return make_arange(mem); }, {(n + kLanes - 1) / kLanes, 1, 1},
           {slot(l.out()), slot(n)});
}

// torch.optim.AdamW with its order of operations: the moment moves by (g - m) * (1 - beta1).
void lower_adamw(Lowering& l, double beta1, double beta2, double eps) {
  std::vector<OperandId> ins, outs;
  for (int i = 0; i < 9; ++i) ins.push_back(l.in(i));
  for (int i = 0; i < 3; ++i) outs.push_back(l.out(i));
  const std::string key = fmt::format("adamw/{:a},{:a},{:a}", beta1, beta2, eps);
  lower_pointwise(l, key, ins, outs, [=](Builder& b, std::span<const Val> in) {
    const Val p = in[0], g = in[1] * in[8], m = in[2], v = in[3], lr = in[4], decay = in[5], bias1 = in[6], bias2_sqrt = in[7];
    const Val m_next = m + (g - m) * (1 - beta1);
    const Val v_next = v * beta2 + g * g * (1 - beta2);
    const Val p_next = p * decay - lr / bias1 * m_next / (b.sqrt(v_next) / bias2_sqrt + eps);
    return std::vector<Val>{p_next, m_next, v_next};
  });
}

}  // namespace bgl::ops::kernels
