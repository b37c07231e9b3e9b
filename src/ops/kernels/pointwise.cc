// Dims that lie together in every operand are merged first. What is left are rows along the last dim and an index over the outer
// dims; a program takes a run of rows, or a piece of one long row, 16 elements at a time.
#include "ops/kernels/pointwise.h"

#include <fmt/format.h>

#include <algorithm>

namespace bgl::ops::kernels {
namespace {

using lang::Builder;
using lang::Elem;
using lang::Mem;
using lang::TileAccess;
using lang::Val;

constexpr int64_t kPiece = 4096;  // elements a program works through
constexpr int kWide = 32;

struct Collapsed {
  Shape shape;                  // at least one dim
  std::vector<Shape> strides;  // per operand
};

// Drops dims of size 1 and merges dim d into d+1 where every operand steps over them as over one.
Collapsed collapse(const Shape& shape, const std::vector<Shape>& strides) {
  Collapsed c;
  c.strides.resize(strides.size());
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 1) continue;
    bool joins = !c.shape.empty();
    for (size_t k = 0; joins && k < strides.size(); ++k) joins = c.strides[k].back() == strides[k][d] * shape[d];
    if (joins) {
      c.shape.back() *= shape[d];
      for (size_t k = 0; k < strides.size(); ++k) c.strides[k].back() = strides[k][d];
    } else {
      c.shape.push_back(shape[d]);
      for (size_t k = 0; k < strides.size(); ++k) c.strides[k].push_back(strides[k][d]);
    }
  }
  if (c.shape.empty()) {
    c.shape = {1};
    for (Shape& s : c.strides) s = {1};
  }
  return c;
}

enum class Step : char { kOne = '1', kFixed = '0', kAny = 's' };
Step step_of(int64_t stride) { return stride == 1 ? Step::kOne : stride == 0 ? Step::kFixed : Step::kAny; }

struct OperandSpec {
  Mem mem;
  Step step;
};

Val widen(Builder& b, Val v) { return v.elem() == Elem::i32 ? b.cast(v, Elem::i64) : v; }
Val narrow(Builder& b, Val v, Mem mem) { return b.cast(v, lang::register_type(mem)); }

// Params: pointers; rows, rows a program, inner size, piece; sizes of the outer dims from the second on; per operand its strides over
// the outer dims and, where it is neither 1 nor 0, over the inner one.
lang::Function make_pointwise(const std::string& name, const std::vector<OperandSpec>& specs, size_t inputs, size_t outer,
                              const PointwiseBody& body) {
  Builder b(name);
  std::vector<Val> pointers;
  for (size_t k = 0; k < specs.size(); ++k) pointers.push_back(b.pointer(fmt::format("p{}", k), specs[k].mem));
  const Val rows = b.i64("rows"), rows_per = b.i64("rows_per"), inner = b.i64("inner"), piece = b.i64("piece");
  std::vector<Val> sizes(outer);
  for (size_t d = 1; d < outer; ++d) sizes[d] = b.i64(fmt::format("size{}", d));
  std::vector<std::vector<Val>> strides(specs.size());
  std::vector<Val> inner_strides(specs.size());
  for (size_t k = 0; k < specs.size(); ++k) {
    for (size_t d = 0; d < outer; ++d) strides[k].push_back(b.i64(fmt::format("s{}_{}", k, d)));
    if (specs[k].step == Step::kAny) inner_strides[k] = b.i64(fmt::format("s{}", k));
  }
  const Val first = b.program_id(0) * rows_per;
  const Val last = b.min(first + rows_per, rows);
  const Val from = b.program_id(1) * piece;
  const Val to = b.min(from + piece, inner);
  b.each(first, last, b.const_i64(1), [&](Val row) {
    std::vector<Val> base(specs.size());
    Val rest = row;
    for (size_t d = outer; d-- > 0;) {
      const Val index = d == 0 ? rest : rest % sizes[d];
      if (d > 0) rest = rest / sizes[d];
      for (size_t k = 0; k < specs.size(); ++k) {
        const Val part = index * strides[k][d];
        base[k] = base[k] ? base[k] + part : part;
      }
    }
    std::vector<Val> fixed(specs.size());
    for (size_t k = 0; k < specs.size(); ++k) {
      if (!base[k]) base[k] = b.const_i64(0);
      if (k < inputs && specs[k].step == Step::kFixed) fixed[k] = widen(b, b.load(pointers[k], base[k]));
    }
    auto some = [&](Val at, int lanes, Val limit) {
      auto access = [&](size_t k) {
        TileAccess a{.rows = 1, .cols = lanes};
        if (specs[k].step == Step::kAny) a.col_stride = inner_strides[k];
        if (limit) a.col_limit = limit;
        return a;
      };
      auto offset = [&](size_t k) { return specs[k].step == Step::kAny ? base[k] + at * inner_strides[k] : base[k] + at; };
      std::vector<Val> in;
      for (size_t k = 0; k < inputs; ++k) {
        in.push_back(fixed[k] ? b.broadcast(fixed[k], 1, lanes) : widen(b, b.load(pointers[k], offset(k), access(k))));
      }
      const std::vector<Val> out = body(b, in);
      for (size_t k = inputs; k < specs.size(); ++k) {
        b.store(pointers[k], offset(k), narrow(b, out[k - inputs], specs[k].mem), access(k));
      }
    };
    const Val whole = from + (to - from) / kWide * kWide;
    b.each(from, whole, b.const_i64(kWide), [&](Val at) { some(at, kWide, {}); });
    b.when(b.cmp_lt(whole, to), [&] { some(whole, kWide, to - whole); });
  });
  return b.finish();
}

Shape strides_in(const Layout& layout, const Shape& shape) {
  if (numel(layout.shape) == 1) return Shape(shape.size(), 0);
  BGL_CHECK(layout.shape == shape, "operand {} in a pointwise kernel over {}", shape_text(layout.shape), shape_text(shape));
  return layout.strides;
}

}  // namespace

lang::Mem memory_type(DType t) {
  switch (t) {
    case DType::kF32: return Mem::f32;
    case DType::kBF16: return Mem::bf16;
    case DType::kF16: return Mem::f16;
    case DType::kI64: return Mem::i64;
    case DType::kI32: return Mem::i32;
    case DType::kU8: case DType::kBool: return Mem::u8;
    case DType::kF64: break;
  }
  throw Error(invalid_argument("float64 tensors are stored, not computed with: cast to float32"));
}

void lower_pointwise(Lowering& l, const std::string& key, std::span<const OperandId> ins, std::span<const OperandId> outs,
                     const PointwiseBody& body) {
  const Shape& shape = l.shape(outs[0]);
  if (numel(shape) == 0) return;
  std::vector<OperandId> ids(ins.begin(), ins.end());
  ids.insert(ids.end(), outs.begin(), outs.end());
  std::vector<Shape> strides;
  for (const OperandId id : ids) strides.push_back(strides_in(l.layout(id), shape));
  const Collapsed c = collapse(shape, strides);
  const size_t outer = c.shape.size() - 1;
  std::vector<OperandSpec> specs;
  std::string name = fmt::format("{}/r{}", key, outer);
  for (size_t k = 0; k < ids.size(); ++k) {
    specs.push_back({memory_type(l.operand(ids[k]).meta.dtype), step_of(c.strides[k].back())});
    // A store needs a place for every lane even along a dim of one element.
    if (k >= ins.size() && specs.back().step == Step::kFixed) specs.back().step = Step::kOne;
    name += fmt::format(",{}{}", lang::name_of(specs.back().mem), static_cast<char>(specs.back().step));
  }
  const int64_t inner = c.shape.back();
  const int64_t rows = numel(c.shape) / inner;
  const int64_t rows_per = std::max<int64_t>(1, kPiece / inner);
  std::vector<Slot> slots;
  for (const OperandId id : ids) slots.push_back(slot(id));
  for (const int64_t v : {rows, rows_per, inner, kPiece}) slots.push_back(slot(v));
  for (size_t d = 1; d < outer; ++d) slots.push_back(slot(c.shape[d]));
  for (size_t k = 0; k < ids.size(); ++k) {
    for (size_t d = 0; d < outer; ++d) slots.push_back(slot(c.strides[k][d]));
    if (specs[k].step == Step::kAny) slots.push_back(slot(c.strides[k].back()));
  }
  l.launch(name, [&] { return make_pointwise("pointwise", specs, ins.size(), outer, body); },
           {(rows + rows_per - 1) / rows_per, (inner + kPiece - 1) / kPiece, 1}, std::move(slots));
}

}  // namespace bgl::ops::kernels
