#include "lang/interpret.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "lang/internal/half.h"
#include "lang/internal/interpreter.h"
#include "lang/verify.h"

namespace bgl::lang {
namespace internal {

Interpreter::Interpreter(const Function& fn, std::array<int64_t, 3> grid, std::span<const uint64_t> slots,
                         const InterpretOptions& options)
    : fn_(fn),
      grid_(grid),
      slots_(slots),
      options_(options),
      scratch_of_(fn.insts.size(), -1),
      bounded_(!options.buffers.empty()) {
  size_t total = 0;
  for (size_t id = 0; id < fn.insts.size(); ++id) {
    const Inst& i = fn.insts[id];
    starts_.push_back(total);
    total += i.op == Op::kFor || i.op == Op::kIf ? 0 : size(i.type);
    if (i.op == Op::kScratch) {
      scratch_of_[id] = static_cast<int>(scratch_.size());
      scratch_.emplace_back(static_cast<size_t>(i.imm) * static_cast<size_t>(mem_size(i.type.mem)));
      shadows_.push_back({reinterpret_cast<uint64_t>(scratch_.back().data()),
                          scratch_.back().size(),
                          true,
                          std::vector<uint8_t>(scratch_.back().size()),
                          {},
                          {}});
    }
  }
  scratch_count_ = scratch_.size();
  cells_.resize(total);
  for (const Buffer& b : options.buffers) {
    shadows_.push_back({reinterpret_cast<uint64_t>(b.data), b.bytes, false, std::vector<uint8_t>(b.initialised ? 0 : b.bytes),
                        std::vector<uint32_t>(b.bytes), std::vector<uint32_t>(b.bytes)});
  }
  for (size_t id = 0; id < fn.insts.size(); ++id) {
    const Inst& i = fn.insts[id];
    if (i.op != Op::kParam) continue;
    const uint64_t slot = slots_[static_cast<size_t>(i.imm)];
    Cell& c = *cells(static_cast<int>(id));
    if (i.type.is_pointer || i.type.elem == Elem::i64) {
      c.address = slot;
    } else {
      c.f = float_of(static_cast<uint32_t>(slot));
    }
  }
}

Status Interpreter::make_fault(const Inst& i, const std::string& what) const {
  const std::string where = i.line > 0 ? fmt::format("{}:{}: ", i.file, i.line) : std::string();
  return invalid_argument("[kernel {}] {}{}: {}, in program ({}, {}, {})", fn_.name, where, name_of(i.op), what, pid_[0],
                          pid_[1], pid_[2]);
}

Status Interpreter::run(int64_t begin, int64_t end) {
  for (int64_t p = begin; p < end; ++p) {
    pid_ = {p % grid_[0], p / grid_[0] % grid_[1], p / grid_[0] / grid_[1]};
    program_ = static_cast<uint32_t>(p + 1);
    for (size_t s = 0; s < scratch_count_; ++s) std::fill(shadows_[s].written.begin(), shadows_[s].written.end(), uint8_t{0});
    BGL_TRY(body(fn_.body));
  }
  return {};
}

Status Interpreter::body(const std::vector<int>& list) {
  for (const int id : list) BGL_TRY(inst(id));
  return {};
}

// One case for every operation, in the order of ir.h.
Status Interpreter::inst(int id) {
  const Inst& i = fn_.at(id);
  Cell* out = cells(id);
  const size_t n = size(i.type);
  switch (i.op) {
    case Op::kParam:
    case Op::kArg:
      return {};
    case Op::kProgramId:
      out->i = pid_[static_cast<size_t>(i.imm)];
      return {};
    case Op::kConst:
      for (size_t k = 0; k < n; ++k) {
        if (i.type.elem == Elem::f32) {
          out[k].f = static_cast<float>(i.fimm);
        } else {
          out[k].i = i.type.elem == Elem::i1 ? i.imm & 1 : i.type.elem == Elem::i32 ? static_cast<int32_t>(i.imm) : i.imm;
        }
      }
      return {};
    case Op::kIota:
    case Op::kRowIota:
      for (size_t k = 0; k < n; ++k) out[k].i = static_cast<int64_t>(k);
      return {};
    case Op::kScratch:
      out->address = reinterpret_cast<uint64_t>(scratch_[static_cast<size_t>(scratch_of_[static_cast<size_t>(id)])].data());
      return {};
    case Op::kNeg:
    case Op::kAbs:
    case Op::kSqrt:
    case Op::kCast:
    case Op::kBitcast:
      unary(i, out);
      return {};
    case Op::kBroadcast:
      broadcast(i, out);
      return {};
    case Op::kTranspose: {
      const Cell* x = cells(i.in[0]);
      const auto size = static_cast<size_t>(i.type.cols);
      for (size_t k = 0; k < n; ++k) out[k] = x[k % size * size + k / size];
      return {};
    }
    case Op::kFma: {
      const Cell *a = cells(i.in[0]), *b = cells(i.in[1]), *c = cells(i.in[2]);
      for (size_t k = 0; k < n; ++k) out[k].f = multiply_add(a[k].f, b[k].f, c[k].f);
      return {};
    }
    case Op::kDot4: {
      const Cell *a = cells(i.in[0]), *b = cells(i.in[1]), *c = cells(i.in[2]);
      for (size_t k = 0; k < n; ++k) {
        auto sum = static_cast<uint32_t>(c[k].i);
        for (int j = 0; j < 32; j += 8) {
          sum += static_cast<uint32_t>(static_cast<uint8_t>(a[k].i >> j) * static_cast<int8_t>(static_cast<uint8_t>(b[k].i >> j)));
        }
        out[k].i = static_cast<int32_t>(sum);
      }
      return {};
    }
    case Op::kDot2: {
      const Cell *a = cells(i.in[0]), *b = cells(i.in[1]), *c = cells(i.in[2]);
      const auto high = [](const Cell& v) { return std::bit_cast<float>(static_cast<uint32_t>(v.i) & 0xffff0000u); };
      const auto low = [](const Cell& v) { return std::bit_cast<float>(static_cast<uint32_t>(v.i) << 16); };
      for (size_t k = 0; k < n; ++k) out[k].f = multiply_add(low(a[k]), low(b[k]), multiply_add(high(a[k]), high(b[k]), c[k].f));
      return {};
    }
    case Op::kSelect: {
      const Cell *c = cells(i.in[0]), *a = cells(i.in[1]), *b = cells(i.in[2]);
      for (size_t k = 0; k < n; ++k) out[k] = c[k].i ? a[k] : b[k];
      return {};
    }
    case Op::kReduce:
      reduce(i, out);
      return {};
    case Op::kLoad:
      return load(i, out);
    case Op::kStore:
      return store(i);
    case Op::kGather:
      return gather(i, out);
    case Op::kScatter:
      return scatter(i);
    case Op::kPrefetch:
      return {};
    case Op::kFor:
      return loop(i);
    case Op::kResult: {
      const Cell* from = cells(fn_.at(i.in[0]).args[static_cast<size_t>(i.imm) + 1]);
      std::copy(from, from + n, out);
      return {};
    }
    case Op::kIf:
      return body(cells(i.in[0])->i ? i.body : i.other_body);
    default:
      return binary(i, out);
  }
}

Status Interpreter::loop(const Inst& i) {
  const int64_t hi = cells(i.in[1])->i, step = cells(i.in[2])->i;
  if (step <= 0) return fault(i, "the step is {}", step);
  for (size_t c = 1; c < i.args.size(); ++c) {
    const Cell* from = cells(i.in[c + 2]);
    std::copy(from, from + size(type(i.args[c])), cells(i.args[c]));
  }
  std::vector<std::vector<Cell>> next(i.yields.size());
  for (int64_t iv = cells(i.in[0])->i; iv < hi; iv += step) {
    cells(i.args[0])->i = iv;
    BGL_TRY(body(i.body));
    // All are read before any is written: a loop may carry one value into another's place.
    for (size_t c = 0; c < i.yields.size(); ++c) {
      const Cell* from = cells(i.yields[c]);
      next[c].assign(from, from + size(type(i.yields[c])));
    }
    for (size_t c = 0; c < i.yields.size(); ++c) std::copy(next[c].begin(), next[c].end(), cells(i.args[c + 1]));
  }
  return {};
}

void Interpreter::unary(const Inst& i, Cell* out) {
  const Cell* x = cells(i.in[0]);
  const Elem from = type(i.in[0]).elem, to = i.type.elem;
  auto wrap = [to](int64_t v) { return to == Elem::i32 ? static_cast<int32_t>(v) : v; };
  for (size_t k = 0; k < size(i.type); ++k) {
    switch (i.op) {
      case Op::kNeg:
        if (to == Elem::f32)
          out[k].f = -x[k].f;
        else
          out[k].i = wrap(static_cast<int64_t>(0 - static_cast<uint64_t>(x[k].i)));
        break;
      case Op::kAbs:
        if (to == Elem::f32)
          out[k].f = std::fabs(x[k].f);
        else
          out[k].i = x[k].i < 0 ? wrap(static_cast<int64_t>(0 - static_cast<uint64_t>(x[k].i))) : x[k].i;
        break;
      case Op::kSqrt:
        out[k].f = std::sqrt(x[k].f);
        break;
      case Op::kBitcast:
        if (to == Elem::f32)
          out[k].f = float_of(static_cast<uint32_t>(x[k].i));
        else
          out[k].i = static_cast<int32_t>(bits_of(x[k].f));
        break;
      default:
        if (from == to) {
          out[k] = x[k];
        } else if (to == Elem::f32) {
          out[k].f = static_cast<float>(x[k].i);
        } else if (from == Elem::f32) {
          // Out of range is undefined; this is what x86 gives.
          const double limit = to == Elem::i32 ? 0x1p31 : 0x1p63;
          const bool inside = x[k].f >= -limit && x[k].f < limit;
          out[k].i = inside            ? static_cast<int64_t>(x[k].f)
                     : to == Elem::i32 ? std::numeric_limits<int32_t>::min()
                                       : std::numeric_limits<int64_t>::min();
        } else {
          out[k].i = wrap(x[k].i);
        }
    }
  }
}

Status Interpreter::divide(const Inst& i, int64_t a, int64_t b, int64_t& out) const {
  if (b == 0) return fault(i, "by zero");
  if (b == -1) {
    out = i.op == Op::kDiv ? static_cast<int64_t>(0 - static_cast<uint64_t>(a)) : 0;
  } else {
    out = i.op == Op::kDiv ? a / b : a % b;
  }
  return {};
}

namespace {
template <typename T>
bool compare(Op op, T a, T b) {
  switch (op) {
    case Op::kEq:
      return a == b;
    case Op::kNe:
      return a != b;
    case Op::kLt:
      return a < b;
    case Op::kLe:
      return a <= b;
    case Op::kGt:
      return a > b;
    default:
      return a >= b;
  }
}
float real_binary(Op op, float a, float b) {
  switch (op) {
    case Op::kAdd:
      return a + b;
    case Op::kSub:
      return a - b;
    case Op::kMul:
      return a * b;
    case Op::kDiv:
      return a / b;
    case Op::kMin:
      return b < a ? b : a;
    default:
      return b > a ? b : a;
  }
}
}  // namespace

Status Interpreter::binary(const Inst& i, Cell* out) {
  const Cell *x = cells(i.in[0]), *y = cells(i.in[1]);
  const Elem e = type(i.in[0]).elem;
  const int width = e == Elem::i64 ? 64 : 32;
  for (size_t k = 0; k < size(i.type); ++k) {
    if (i.op >= Op::kEq && i.op <= Op::kGe) {
      out[k].i = e == Elem::f32 ? compare(i.op, x[k].f, y[k].f) : compare(i.op, x[k].i, y[k].i);
      continue;
    }
    if (e == Elem::f32) {
      out[k].f = real_binary(i.op, x[k].f, y[k].f);
      continue;
    }
    const auto a = static_cast<uint64_t>(x[k].i), b = static_cast<uint64_t>(y[k].i);
    int64_t v = 0;
    switch (i.op) {
      case Op::kAdd:
        v = static_cast<int64_t>(a + b);
        break;
      case Op::kSub:
        v = static_cast<int64_t>(a - b);
        break;
      case Op::kMul:
        v = static_cast<int64_t>(a * b);
        break;
      case Op::kDiv:
      case Op::kRem:
        BGL_TRY(divide(i, x[k].i, y[k].i, v));
        break;
      case Op::kMin:
        v = y[k].i < x[k].i ? y[k].i : x[k].i;
        break;
      case Op::kMax:
        v = y[k].i > x[k].i ? y[k].i : x[k].i;
        break;
      case Op::kAnd:
        v = x[k].i & y[k].i;
        break;
      case Op::kOr:
        v = x[k].i | y[k].i;
        break;
      case Op::kXor:
        v = x[k].i ^ y[k].i;
        break;
      default:
        if (b >= static_cast<uint64_t>(width)) return fault(i, "by {}, not 0 to {}", y[k].i, width - 1);
        v = static_cast<int64_t>(i.op == Op::kShl ? a << b : (width == 32 ? static_cast<uint32_t>(a) : a) >> b);
    }
    out[k].i = e == Elem::i32 ? static_cast<int32_t>(v) : v;
  }
  return {};
}

void Interpreter::broadcast(const Inst& i, Cell* out) {
  const Type& t = type(i.in[0]);
  const Cell* x = cells(i.in[0]);
  for (int r = 0; r < i.type.rows; ++r) {
    for (int c = 0; c < i.type.cols; ++c) *out++ = x[(t.rows == 1 ? 0 : r) * t.cols + (t.cols == 1 ? 0 : c)];
  }
}

Cell Interpreter::join(ReduceKind kind, Elem e, Cell a, Cell b) {
  Cell out;
  if (e == Elem::f32) {
    out.f = real_binary(kind == ReduceKind::kSum ? Op::kAdd : kind == ReduceKind::kMax ? Op::kMax : Op::kMin, a.f, b.f);
  } else if (kind == ReduceKind::kSum) {
    out.i = static_cast<int64_t>(static_cast<uint64_t>(a.i) + static_cast<uint64_t>(b.i));
    if (e == Elem::i32) out.i = static_cast<int32_t>(out.i);
  } else {
    out.i = kind == ReduceKind::kMax ? std::max(a.i, b.i) : std::min(a.i, b.i);
  }
  return out;
}

void Interpreter::reduce(const Inst& i, Cell* out) {
  const Type& t = type(i.in[0]);
  const Cell* x = cells(i.in[0]);
  if (i.imm == 0) {
    for (int c = 0; c < t.cols; ++c) {
      out[c] = x[c];
      for (int r = 1; r < t.rows; ++r) out[c] = join(i.reduce, t.elem, out[c], x[r * t.cols + c]);
    }
    return;
  }
  for (int r = 0; r < t.rows; ++r) {
    Cell row[64];
    std::copy(x + r * t.cols, x + (r + 1) * t.cols, row);
    for (int half = t.cols / 2; half >= 1; half /= 2) {
      for (int c = 0; c < half; ++c) row[c] = join(i.reduce, t.elem, row[c], row[c + half]);
    }
    out[r] = row[0];
  }
}

}  // namespace internal

namespace {
Status check_launch(const Function& fn, std::array<int64_t, 3> grid, std::span<const uint64_t> slots) {
  if (slots.size() != fn.params.size()) {
    return invalid_argument("[kernel {}] has {} parameters, the launch gives {}", fn.name, fn.params.size(), slots.size());
  }
  if (grid[0] < 0 || grid[1] < 0 || grid[2] < 0) {
    return invalid_argument("[kernel {}] the grid is {} x {} x {}", fn.name, grid[0], grid[1], grid[2]);
  }
  return {};
}
}  // namespace

Status interpret(const Function& fn, std::array<int64_t, 3> grid, std::span<const uint64_t> slots,
                 const InterpretOptions& options) {
  BGL_TRY(verify(fn));
  BGL_TRY(check_launch(fn, grid, slots));
  return internal::Interpreter(fn, grid, slots, options).run(0, grid[0] * grid[1] * grid[2]);
}

Status interpret_range(const Function& fn, std::array<int64_t, 3> grid, int64_t begin, int64_t end,
                       std::span<const uint64_t> slots, bool fma) {
  BGL_TRY(check_launch(fn, grid, slots));
  const InterpretOptions options{{}, fma};
  return internal::Interpreter(fn, grid, slots, options).run(begin, end);
}

}  // namespace bgl::lang
