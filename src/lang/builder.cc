#include "lang/builder.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "base/status.h"

namespace bgl::lang {
namespace {

bool is_int(Elem e) { return e != Elem::f32; }
bool is_compare(Op op) { return op >= Op::kEq && op <= Op::kGe; }
std::string text_of(const Type& t) {
  if (t.is_pointer) return fmt::format("*{}", name_of(t.mem));
  if (t.scalar()) return name_of(t.elem);
  return fmt::format("{}x{}x{}", t.rows, t.cols, name_of(t.elem));
}

}  // namespace

const Type& Val::type() const { return b->fn_.at(id).type; }

Builder::Builder(std::string name) : body_(&fn_.body) { fn_.name = std::move(name); }

void Builder::refuse(const std::string& what, const Where& w) const {
  const char* slash = std::strrchr(w.file_name(), '/');
  throw Error(invalid_argument("[kernel {}] {}:{}: {}", fn_.name, slash ? slash + 1 : w.file_name(), w.line(), what));
}
void Builder::same_builder(Val v, const Where& w) const {
  if (v.b != this) refuse(v.b ? "a value of another kernel is used here" : "an empty value is used here", w);
}

Val Builder::add(Inst inst, const Where& w) {
  inst.line = static_cast<int>(w.line());
  const char* slash = std::strrchr(w.file_name(), '/');
  inst.file = slash ? slash + 1 : w.file_name();
  const int id = static_cast<int>(fn_.insts.size());
  const bool listed = inst.op != Op::kParam && inst.op != Op::kArg;
  fn_.insts.push_back(std::move(inst));
  if (listed) body_->push_back(id);
  return {this, id};
}

Val Builder::pointer(const std::string& name, Mem mem) {
  const Type t{register_type(mem), 1, 1, true, mem};
  fn_.params.push_back({name, t});
  return add({.op = Op::kParam, .type = t, .imm = static_cast<int64_t>(fn_.params.size()) - 1}, Where::current());
}
Val Builder::i64(const std::string& name) {
  fn_.params.push_back({name, {Elem::i64}});
  return add({.op = Op::kParam, .type = {Elem::i64}, .imm = static_cast<int64_t>(fn_.params.size()) - 1}, Where::current());
}
Val Builder::f32(const std::string& name) {
  fn_.params.push_back({name, {Elem::f32}});
  return add({.op = Op::kParam, .type = {Elem::f32}, .imm = static_cast<int64_t>(fn_.params.size()) - 1}, Where::current());
}

Val Builder::program_id(int axis) { return add({.op = Op::kProgramId, .type = {Elem::i64}, .imm = axis}, Where::current()); }
Val Builder::constant(double value, Elem elem) {
  if (elem != Elem::f32) return constant_int(static_cast<int64_t>(value), elem);
  return add({.op = Op::kConst, .type = {elem}, .fimm = static_cast<float>(value)}, Where::current());
}
Val Builder::constant_int(int64_t value, Elem elem) {
  if (elem == Elem::f32) return constant(static_cast<double>(value), elem);
  return add({.op = Op::kConst, .type = {elem}, .imm = value}, Where::current());
}
Val Builder::splat_like(double value, Val like) { return full(value, like.rows(), like.cols(), like.elem()); }
Val Builder::full(double value, int rows, int cols, Elem elem) {
  Inst inst{.op = Op::kConst, .type = {elem, rows, cols}};
  if (elem == Elem::f32) {
    inst.fimm = static_cast<float>(value);
  } else {
    inst.imm = static_cast<int64_t>(value);
  }
  return add(std::move(inst), Where::current());
}
Val Builder::iota(int cols, Elem elem) { return add({.op = Op::kIota, .type = {elem, 1, cols}}, Where::current()); }
Val Builder::row_iota(int rows, Elem elem) { return add({.op = Op::kRowIota, .type = {elem, rows, 1}}, Where::current()); }

Val Builder::broadcast(Val v, int rows, int cols) {
  if (v.rows() == rows && v.cols() == cols) return v;
  if ((v.rows() != 1 && v.rows() != rows) || (v.cols() != 1 && v.cols() != cols)) {
    refuse(fmt::format("a {} cannot be broadcast to {}x{}", text_of(v.type()), rows, cols), Where::current());
  }
  return add({.op = Op::kBroadcast, .type = {v.elem(), rows, cols}, .in = {v.id}}, Where::current());
}

Val Builder::transpose(Val v, Where w) {
  if (v.rows() != v.cols()) refuse(fmt::format("transpose of {}, which is not square", text_of(v.type())), w);
  return unary(Op::kTranspose, v, w);
}

Val Builder::unary(Op op, Val a, const Where& w) {
  same_builder(a, w);
  return add({.op = op, .type = a.type(), .in = {a.id}}, w);
}
Val Builder::neg(Val a, Where w) { return unary(Op::kNeg, a, w); }
Val Builder::abs(Val a, Where w) { return unary(Op::kAbs, a, w); }
Val Builder::sqrt(Val a, Where w) {
  if (a.elem() != Elem::f32) refuse(fmt::format("sqrt needs f32, got {}", text_of(a.type())), w);
  return unary(Op::kSqrt, a, w);
}
Val Builder::cast(Val a, Elem to, Where w) {
  same_builder(a, w);
  if (a.elem() == to) return a;
  if (to == Elem::i1) return cmp_ne(a, splat_like(0, a), w);
  return add({.op = Op::kCast, .type = {to, a.rows(), a.cols()}, .in = {a.id}}, w);
}
Val Builder::bitcast(Val a, Elem to, Where w) {
  same_builder(a, w);
  const bool good = (a.elem() == Elem::f32 && to == Elem::i32) || (a.elem() == Elem::i32 && to == Elem::f32);
  if (!good) refuse(fmt::format("bitcast from {} to {}", name_of(a.elem()), name_of(to)), w);
  return add({.op = Op::kBitcast, .type = {to, a.rows(), a.cols()}, .in = {a.id}}, w);
}

Val Builder::binary(Op op, Val a, Val b, Where w) {
  same_builder(a, w);
  same_builder(b, w);
  if (a.type().is_pointer || b.type().is_pointer) refuse(fmt::format("{} of a pointer", name_of(op)), w);
  if (a.elem() != b.elem()) {
    refuse(fmt::format("{} of {} and {}: cast one first", name_of(op), text_of(a.type()), text_of(b.type())), w);
  }
  const bool bits = op == Op::kAnd || op == Op::kOr || op == Op::kXor || op == Op::kShl || op == Op::kShr || op == Op::kRem;
  if (bits && !is_int(a.elem())) refuse(fmt::format("{} needs integers, got f32", name_of(op)), w);
  const int rows = std::max(a.rows(), b.rows()), cols = std::max(a.cols(), b.cols());
  a = broadcast(a, rows, cols);
  b = broadcast(b, rows, cols);
  const Elem elem = is_compare(op) ? Elem::i1 : a.elem();
  return add({.op = op, .type = {elem, rows, cols}, .in = {a.id, b.id}}, w);
}

Val Builder::fma(Val a, Val b, Val c, Where w) {
  if (a.elem() != Elem::f32 || b.elem() != Elem::f32 || c.elem() != Elem::f32) refuse("fma needs three f32", w);
  const int rows = std::max({a.rows(), b.rows(), c.rows()}), cols = std::max({a.cols(), b.cols(), c.cols()});
  a = broadcast(a, rows, cols), b = broadcast(b, rows, cols), c = broadcast(c, rows, cols);
  return add({.op = Op::kFma, .type = {Elem::f32, rows, cols}, .in = {a.id, b.id, c.id}}, w);
}

Val Builder::dot4(Val a, Val b, Val c, Where w) {
  if (a.elem() != Elem::i32 || b.elem() != Elem::i32 || c.elem() != Elem::i32) refuse("dot4 needs three i32", w);
  const int rows = std::max({a.rows(), b.rows(), c.rows()}), cols = std::max({a.cols(), b.cols(), c.cols()});
  a = broadcast(a, rows, cols), b = broadcast(b, rows, cols), c = broadcast(c, rows, cols);
  return add({.op = Op::kDot4, .type = {Elem::i32, rows, cols}, .in = {a.id, b.id, c.id}}, w);
}

Val Builder::dot2(Val a, Val b, Val c, Where w) {
  if (a.elem() != Elem::i32 || b.elem() != Elem::i32 || c.elem() != Elem::f32) refuse("dot2 needs two i32 and an f32", w);
  const int rows = std::max({a.rows(), b.rows(), c.rows()}), cols = std::max({a.cols(), b.cols(), c.cols()});
  a = broadcast(a, rows, cols), b = broadcast(b, rows, cols), c = broadcast(c, rows, cols);
  return add({.op = Op::kDot2, .type = {Elem::f32, rows, cols}, .in = {a.id, b.id, c.id}}, w);
}

Val Builder::select(Val condition, Val a, Val b, Where w) {
  if (condition.elem() != Elem::i1 || a.elem() != b.elem()) {
    refuse(fmt::format("select({}, {}, {})", text_of(condition.type()), text_of(a.type()), text_of(b.type())), w);
  }
  const int rows = std::max({condition.rows(), a.rows(), b.rows()}), cols = std::max({condition.cols(), a.cols(), b.cols()});
  condition = broadcast(condition, rows, cols), a = broadcast(a, rows, cols), b = broadcast(b, rows, cols);
  return add({.op = Op::kSelect, .type = {a.elem(), rows, cols}, .in = {condition.id, a.id, b.id}}, w);
}

Val Builder::reduce(Val a, int axis, ReduceKind kind, Where w) {
  same_builder(a, w);
  const Type t{a.elem(), axis == 0 ? 1 : a.rows(), axis == 1 ? 1 : a.cols()};
  return add({.op = Op::kReduce, .type = t, .in = {a.id}, .imm = axis, .reduce = kind}, w);
}

Val Builder::scratch(Mem mem, int64_t elements) {
  return add({.op = Op::kScratch, .type = {register_type(mem), 1, 1, true, mem}, .imm = elements}, Where::current());
}

std::vector<int> Builder::address(Val pointer, Val offset, const TileAccess& at, int64_t& flags, const Where& w) {
  same_builder(pointer, w);
  same_builder(offset, w);
  if (!pointer.type().is_pointer) refuse(fmt::format("expected a pointer, got {}", text_of(pointer.type())), w);
  for (const Val v : {offset, at.row_stride, at.col_stride, at.row_limit, at.col_limit}) {
    if (v && (!v.type().scalar() || v.elem() != Elem::i64)) {
      refuse(fmt::format("offsets, strides and limits are i64 scalars, got {}", text_of(v.type())), w);
    }
  }
  const Val row_stride = at.row_stride ? at.row_stride : const_i64(0);
  const Val col_stride = at.col_stride ? at.col_stride : const_i64(1);
  flags = (at.row_limit ? 1 : 0) | (at.col_limit ? 2 : 0);
  return {pointer.id, offset.id, row_stride.id, col_stride.id, at.row_limit ? at.row_limit.id : -1, at.col_limit ? at.col_limit.id : -1};
}

Val Builder::load(Val pointer, Val offset, const TileAccess& at, Where w) {
  int64_t flags = 0;
  std::vector<int> in = address(pointer, offset, at, flags, w);
  const Type t{register_type(pointer.type().mem), at.rows, at.cols};
  return add({.op = Op::kLoad, .type = t, .in = std::move(in), .imm = flags, .fimm = at.other}, w);
}
void Builder::store(Val pointer, Val offset, Val tile, const TileAccess& at, Where w) {
  int64_t flags = 0;
  std::vector<int> in = address(pointer, offset, at, flags, w);
  if (tile.elem() != register_type(pointer.type().mem)) {
    refuse(fmt::format("store of {} through {}", text_of(tile.type()), text_of(pointer.type())), w);
  }
  in.push_back(broadcast(tile, at.rows, at.cols).id);
  add({.op = Op::kStore, .type = {tile.elem(), at.rows, at.cols}, .in = std::move(in), .imm = flags}, w);
}
Val Builder::gather(Val pointer, Val offsets, Val mask, double other, Where w) {
  if (!pointer.type().is_pointer || offsets.elem() != Elem::i64) refuse("gather needs a pointer and i64 offsets", w);
  if (mask) mask = broadcast(mask, offsets.rows(), offsets.cols());
  const Type t{register_type(pointer.type().mem), offsets.rows(), offsets.cols()};
  return add({.op = Op::kGather, .type = t, .in = {pointer.id, offsets.id, mask ? mask.id : -1}, .fimm = other}, w);
}
void Builder::scatter(Val pointer, Val offsets, Val tile, Val mask, Where w) {
  if (!pointer.type().is_pointer || offsets.elem() != Elem::i64) refuse("scatter needs a pointer and i64 offsets", w);
  if (tile.elem() != register_type(pointer.type().mem)) refuse("scatter of another element type", w);
  if (mask) mask = broadcast(mask, offsets.rows(), offsets.cols());
  tile = broadcast(tile, offsets.rows(), offsets.cols());
  add({.op = Op::kScatter, .type = tile.type(), .in = {pointer.id, offsets.id, mask ? mask.id : -1, tile.id}}, w);
}

void Builder::prefetch(Val pointer, Val offset, Where w) {
  if (!pointer.type().is_pointer || offset.elem() != Elem::i64 || !offset.type().scalar()) refuse("prefetch needs a pointer and an i64 offset", w);
  add({.op = Op::kPrefetch, .type = {.elem = register_type(pointer.type().mem)}, .in = {pointer.id, offset.id}}, w);
}

std::vector<int> Builder::region(const std::function<void()>& fill) {
  std::vector<int> body;
  std::vector<int>* before = body_;
  body_ = &body;
  fill();
  body_ = before;
  return body;
}

Builder::Vals Builder::loop(Val lo, Val hi, Val step, const Vals& init, const std::function<Vals(Val, const Vals&)>& body, Where w) {
  Inst inst{.op = Op::kFor, .in = {lo.id, hi.id, step.id}};
  const Val iv = add({.op = Op::kArg, .type = {Elem::i64}}, w);
  inst.args.push_back(iv.id);
  Vals carried;
  for (const Val v : init) {
    same_builder(v, w);
    inst.in.push_back(v.id);
    carried.push_back(add({.op = Op::kArg, .type = v.type()}, w));
    inst.args.push_back(carried.back().id);
  }
  Vals next;
  inst.body = region([&] { next = body(iv, carried); });
  if (next.size() != init.size()) refuse(fmt::format("the loop carries {} values, its body returns {}", init.size(), next.size()), w);
  for (size_t i = 0; i < next.size(); ++i) {
    if (next[i].type() != init[i].type()) {
      refuse(fmt::format("carried value {} is {} before the loop and {} after its body", i, text_of(init[i].type()),
                         text_of(next[i].type())), w);
    }
    inst.yields.push_back(next[i].id);
  }
  const Val loop = add(std::move(inst), w);
  Vals out;
  for (size_t i = 0; i < init.size(); ++i) {
    out.push_back(add({.op = Op::kResult, .type = init[i].type(), .in = {loop.id}, .imm = static_cast<int64_t>(i)}, w));
  }
  return out;
}

void Builder::each(Val lo, Val hi, Val step, const std::function<void(Val)>& body, Where w) {
  loop(lo, hi, step, {}, [&](Val iv, const Vals&) -> Vals { body(iv); return {}; }, w);
}

void Builder::when(Val condition, const std::function<void()>& then, const std::function<void()>& otherwise, Where w) {
  if (condition.type() != Type{Elem::i1}) refuse(fmt::format("the condition is {}, not i1", text_of(condition.type())), w);
  Inst inst{.op = Op::kIf, .in = {condition.id}};
  inst.body = region(then);
  if (otherwise) inst.other_body = region(otherwise);
  add(std::move(inst), w);
}

Function Builder::finish() { return std::move(fn_); }

Val operator+(Val a, Operand b) { return a.b->binary(Op::kAdd, a, b.v, b.where); }
Val operator-(Val a, Operand b) { return a.b->binary(Op::kSub, a, b.v, b.where); }
Val operator*(Val a, Operand b) { return a.b->binary(Op::kMul, a, b.v, b.where); }
Val operator/(Val a, Operand b) { return a.b->binary(Op::kDiv, a, b.v, b.where); }
Val operator%(Val a, Operand b) { return a.b->binary(Op::kRem, a, b.v, b.where); }
Val operator+(Val a, Number b) { return a.b->binary(Op::kAdd, a, a.b->constant(b.v, a.elem()), b.where); }
Val operator-(Val a, Number b) { return a.b->binary(Op::kSub, a, a.b->constant(b.v, a.elem()), b.where); }
Val operator*(Val a, Number b) { return a.b->binary(Op::kMul, a, a.b->constant(b.v, a.elem()), b.where); }
Val operator/(Val a, Number b) { return a.b->binary(Op::kDiv, a, a.b->constant(b.v, a.elem()), b.where); }
Val operator%(Val a, Number b) { return a.b->binary(Op::kRem, a, a.b->constant(b.v, a.elem()), b.where); }
Val operator+(double a, Operand b) { return b.v.b->binary(Op::kAdd, b.v.b->constant(a, b.v.elem()), b.v, b.where); }
Val operator-(double a, Operand b) { return b.v.b->binary(Op::kSub, b.v.b->constant(a, b.v.elem()), b.v, b.where); }
Val operator*(double a, Operand b) { return b.v.b->binary(Op::kMul, b.v.b->constant(a, b.v.elem()), b.v, b.where); }

}  // namespace bgl::lang
