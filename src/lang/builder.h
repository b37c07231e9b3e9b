// The embedded front end: C++ that writes tile IR. Operators on Val broadcast scalars, rows (1 x C) and columns (R x 1) to the
// other operand's shape; a double or int on one side becomes a constant of the other side's type. Misuse throws bgl::Error with the
// source line of the call.
//
//   Builder b("scale");
//   Val x = b.pointer("x", Mem::f32), y = b.pointer("y", Mem::f32), n = b.i64("n");
//   Val start = b.program_id(0) * 16;
//   TileAccess at{.rows = 1, .cols = 16, .col_limit = n - start};
//   b.store(y, start, b.load(x, start, at) * 2.0, at);
//   Function f = b.finish();
#pragma once

#include <functional>
#include <source_location>
#include <span>
#include <string>
#include <vector>

#include "lang/ir.h"

namespace bgl::lang {

class Builder;

struct Val {
  Builder* b = nullptr;
  int id = -1;
  explicit operator bool() const { return b != nullptr; }
  const Type& type() const;
  Elem elem() const { return type().elem; }
  int rows() const { return type().rows; }
  int cols() const { return type().cols; }
};

// How a tile lies in memory; see ir.h. Strides and limits are i64 scalars; an absent stride: rows 0 apart, columns 1 apart.
struct TileAccess {
  int rows = 1;
  int cols = 1;
  Val row_stride = {};
  Val col_stride = {};
  Val row_limit = {};  // absent: all rows
  Val col_limit = {};
  double other = 0;
};

class Builder {
 public:
  using Where = std::source_location;
  explicit Builder(std::string name);
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;

  // Parameters, in order; the launch gives one 8-byte slot each.
  Val pointer(const std::string& name, Mem mem);
  Val i64(const std::string& name);
  Val f32(const std::string& name);

  Val program_id(int axis);
  Val constant(double value, Elem elem);
  Val const_i64(int64_t value) { return constant_int(value, Elem::i64); }
  Val const_f32(double value) { return constant(value, Elem::f32); }
  Val constant_int(int64_t value, Elem elem);
  // A constant of `like`'s element type and shape.
  Val splat_like(double value, Val like);
  Val iota(int cols, Elem elem = Elem::i64);      // 1 x cols
  Val row_iota(int rows, Elem elem = Elem::i64);  // rows x 1
  Val broadcast(Val v, int rows, int cols);
  Val transpose(Val v, Where w = Where::current());  // square
  Val full(double value, int rows, int cols, Elem elem = Elem::f32);

  Val neg(Val a, Where w = Where::current());
  Val abs(Val a, Where w = Where::current());
  Val sqrt(Val a, Where w = Where::current());
  Val cast(Val a, Elem to, Where w = Where::current());
  Val bitcast(Val a, Elem to, Where w = Where::current());
  Val binary(Op op, Val a, Val b, Where w = Where::current());
  Val min(Val a, Val b, Where w = Where::current()) { return binary(Op::kMin, a, b, w); }
  Val max(Val a, Val b, Where w = Where::current()) { return binary(Op::kMax, a, b, w); }
  Val cmp_eq(Val a, Val b, Where w = Where::current()) { return binary(Op::kEq, a, b, w); }
  Val cmp_ne(Val a, Val b, Where w = Where::current()) { return binary(Op::kNe, a, b, w); }
  Val cmp_lt(Val a, Val b, Where w = Where::current()) { return binary(Op::kLt, a, b, w); }
  Val cmp_le(Val a, Val b, Where w = Where::current()) { return binary(Op::kLe, a, b, w); }
  Val cmp_gt(Val a, Val b, Where w = Where::current()) { return binary(Op::kGt, a, b, w); }
  Val cmp_ge(Val a, Val b, Where w = Where::current()) { return binary(Op::kGe, a, b, w); }
  Val logical_and(Val a, Val b, Where w = Where::current()) { return binary(Op::kAnd, a, b, w); }
  Val logical_or(Val a, Val b, Where w = Where::current()) { return binary(Op::kOr, a, b, w); }
  Val shl(Val a, Val b, Where w = Where::current()) { return binary(Op::kShl, a, b, w); }
  Val shr(Val a, Val b, Where w = Where::current()) { return binary(Op::kShr, a, b, w); }
  Val fma(Val a, Val b, Val c, Where w = Where::current());
  Val dot4(Val a, Val b, Val c, Where w = Where::current());
  Val dot2(Val a, Val b, Val c, Where w = Where::current());
  Val select(Val condition, Val a, Val b, Where w = Where::current());
  Val reduce(Val a, int axis, ReduceKind kind, Where w = Where::current());
  Val sum(Val a, int axis = 1, Where w = Where::current()) { return reduce(a, axis, ReduceKind::kSum, w); }
  Val reduce_max(Val a, int axis = 1, Where w = Where::current()) { return reduce(a, axis, ReduceKind::kMax, w); }

  Val scratch(Mem mem, int64_t elements);
  Val load(Val pointer, Val offset, const TileAccess& at = {}, Where w = Where::current());
  void store(Val pointer, Val offset, Val tile, const TileAccess& at = {}, Where w = Where::current());
  Val gather(Val pointer, Val offsets, Val mask = {}, double other = 0, Where w = Where::current());
  void scatter(Val pointer, Val offsets, Val tile, Val mask = {}, Where w = Where::current());
  void prefetch(Val pointer, Val offset, Where w = Where::current());

  using Vals = std::vector<Val>;
  // for (iv = lo; iv < hi; iv += step): body(iv, carried) returns the next carried values. Returns the last ones.
  Vals loop(Val lo, Val hi, Val step, const Vals& init, const std::function<Vals(Val iv, const Vals& carried)>& body,
            Where w = Where::current());
  // The same with nothing carried.
  void each(Val lo, Val hi, Val step, const std::function<void(Val iv)>& body, Where w = Where::current());
  void when(Val condition, const std::function<void()>& then, const std::function<void()>& otherwise = {},
            Where w = Where::current());

  // The function so far; the builder is spent.
  Function finish();
  const Function& function() const { return fn_; }

 private:
  friend struct Val;
  Val add(Inst inst, const Where& w);
  Val unary(Op op, Val a, const Where& w);
  std::vector<int> address(Val pointer, Val offset, const TileAccess& at, int64_t& flags, const Where& w);
  std::vector<int> region(const std::function<void()>& fill);
  [[noreturn]] void refuse(const std::string& what, const Where& w) const;
  void same_builder(Val v, const Where& w) const;

  Function fn_;
  std::vector<int>* body_;
};

// The right operand carries the source line of its expression, which a default argument of an operator could not.
struct Operand {
  Val v;
  Builder::Where where;
  Operand(Val value, Builder::Where w = Builder::Where::current()) : v(value), where(w) {}
};
struct Number {
  double v;
  Builder::Where where;
  Number(double value, Builder::Where w = Builder::Where::current()) : v(value), where(w) {}
};
Val operator+(Val a, Operand b);
Val operator-(Val a, Operand b);
Val operator*(Val a, Operand b);
Val operator/(Val a, Operand b);
Val operator%(Val a, Operand b);
Val operator+(Val a, Number b);
Val operator-(Val a, Number b);
Val operator*(Val a, Number b);
Val operator/(Val a, Number b);
Val operator%(Val a, Number b);
Val operator+(double a, Operand b);
Val operator-(double a, Operand b);
Val operator*(double a, Operand b);

}  // namespace bgl::lang
