#include "lang/print_cxx.h"

#include <fmt/format.h>

#include <limits>

#include "lang/internal/half.h"

namespace bgl::lang {
namespace {

// What every text begins with. The conversions are those of internal/half.h; memcpy and memset are here because a compiler may
// make calls of loops, and a kernel calls no outside symbol.
constexpr const char* kPrelude =
    R"(typedef unsigned char u8; typedef signed char i8; typedef unsigned short u16; typedef int i32; typedef unsigned u32;
typedef long long i64; typedef unsigned long long u64;
extern "C" __attribute__((visibility("hidden"), used)) void* memcpy(void* to, const void* from, unsigned long n) {
  for (unsigned long k = 0; k < n; ++k) ((volatile u8*)to)[k] = ((const u8*)from)[k];
  return to;
}
extern "C" __attribute__((visibility("hidden"), used)) void* memset(void* to, int v, unsigned long n) {
  for (unsigned long k = 0; k < n; ++k) ((volatile u8*)to)[k] = (u8)v;
  return to;
}
static inline float as_f32(u32 b) { float v; __builtin_memcpy(&v, &b, 4); return v; }
static inline u32 as_bits(float v) { u32 b; __builtin_memcpy(&b, &v, 4); return b; }
static inline float from_bf16(u16 h) { return as_f32((u32)h << 16); }
static inline u16 to_bf16(float v) {
  const u32 b = as_bits(v);
  return v != v ? (u16)((b >> 16) | 0x40) : (u16)((b + 0x7fff + ((b >> 16) & 1)) >> 16);
}
static inline float from_f16(u16 h) {
  const u32 sign = (h & 0x8000u) << 16, size = h & 0x7fffu;
  u32 b;
  if (size < 0x400) b = as_bits((float)size * 0x1p-24f);
  else if (size > 0x7c00) b = ((size << 13) + (224u << 23)) | 0x400000;
  else b = (size << 13) + (size == 0x7c00 ? 224u << 23 : 112u << 23);
  return as_f32(b | sign);
}
static inline u16 to_f16(float v) {
  const u32 b = as_bits(v), size = b & 0x7fffffff, sign = (b ^ size) >> 16;
  u32 h;
  if (size > 0x7f800000) h = ((size >> 13) & 0x3ff) | 0x7e00;
  else if (size >= 0x477ff000) h = 0x7c00;
  else if (size < 0x38800000) h = as_bits(as_f32(size) + 0.5f) - 0x3f000000;
  else h = (size - (112u << 23) + 0xfff + ((size >> 13) & 1)) >> 13;
  return (u16)(h | sign);
}
)";

const char* type_name(Elem e) {
  constexpr const char* kNames[] = {"i32", "i32", "i64", "float"};  // i1 is 0 or 1
  return kNames[static_cast<int>(e)];
}
const char* memory_name(Mem m) {
  constexpr const char* kNames[] = {"i8", "u8", "i32", "i64", "u16", "u16", "float"};
  return kNames[static_cast<int>(m)];
}
int count(const Type& t) { return t.rows * t.cols; }

class CxxPrinter {
 public:
  CxxPrinter(const Function& fn, bool fma) : fn_(fn), fma_(fma) {}

  std::string print() {
    text_ = kPrelude;
    text_ += fmt::format(
        "extern \"C\" __attribute__((visibility(\"default\"))) void {}(const u64* args, i64 pid0_begin, i64 pid0_end, "
        "i64 pid1, i64 pid2) {{\n",
        fn_.name);
    for (size_t id = 0; id < fn_.insts.size(); ++id) {
      const Inst& i = fn_.insts[id];
      if (i.op != Op::kParam) continue;
      if (i.type.is_pointer) {
        line(1, "{0}* const v{1} = ({0}*)args[{2}];", memory_name(i.type.mem), id, i.imm);
      } else if (i.type.elem == Elem::f32) {
        line(1, "const float v{}[1] = {{as_f32((u32)args[{}])}};", id, i.imm);
      } else {
        line(1, "const i64 v{}[1] = {{(i64)args[{}]}};", id, i.imm);
      }
    }
    line(1, "for (i64 pid0 = pid0_begin; pid0 < pid0_end; ++pid0) {{");
    body(fn_.body, 2);
    text_ += "  }\n}\n";
    return std::move(text_);
  }

 private:
  template <typename... A>
  void line(int depth, fmt::format_string<A...> f, A&&... a) {
    text_.append(static_cast<size_t>(depth) * 2, ' ') += fmt::format(f, std::forward<A>(a)...) + "\n";
  }
  const Type& type(int v) const { return fn_.at(v).type; }
  void body(const std::vector<int>& list, int depth) {
    for (const int id : list) inst(id, depth);
  }
  void declare(int id, int depth) { line(depth, "{} v{}[{}];", type_name(type(id).elem), id, count(type(id))); }
  // Declares v<id> and gives each element k the expression.
  void each(int id, int depth, const std::string& expression) {
    declare(id, depth);
    line(depth, "for (int k = 0; k < {}; ++k) v{}[k] = {};", count(type(id)), id, expression);
  }
  static std::string number(Elem e, int64_t imm, double fimm) {
    if (e == Elem::f32) return fmt::format("as_f32({:#x}u)", internal::bits_of(static_cast<float>(fimm)));
    if (e == Elem::i1) return imm & 1 ? "1" : "0";
    if (e == Elem::i32) return fmt::format("(i32){:#x}u", static_cast<uint32_t>(imm));
    return fmt::format("(i64){:#x}ull", static_cast<uint64_t>(imm));
  }
  static std::string joined(ReduceKind kind, Elem e, const std::string& a, const std::string& b) {
    if (kind != ReduceKind::kSum) return fmt::format("({1} {2} {0} ? {1} : {0})", a, b, kind == ReduceKind::kMax ? ">" : "<");
    if (e == Elem::f32) return fmt::format("({} + {})", a, b);
    return fmt::format("({0})(({1}){2} + ({1}){3})", type_name(e), e == Elem::i64 ? "u64" : "u32", a, b);
  }

  void inst(int id, int depth);
  void loop(const Inst& i, int depth);
  std::string arithmetic(const Inst& i) const;
  std::string conversion(const Inst& i) const;
  std::string multiply_add(const std::string& a, const std::string& b, const std::string& c) const;
  static std::string dot4(const Inst& i);
  std::string dot2(const Inst& i) const;
  void reduce(int id, int depth);
  void access(int id, int depth);
  static std::string widened(Mem m, const std::string& raw);
  static std::string narrowed(Mem m, const std::string& value);

  const Function& fn_;
  const bool fma_;
  std::string text_;
};

void CxxPrinter::inst(int id, int depth) {
  const Inst& i = fn_.at(id);
  switch (i.op) {
    case Op::kParam:
    case Op::kArg:
      return;
    case Op::kProgramId:
      return line(depth, "const i64 v{}[1] = {{pid{}}};", id, i.imm);
    case Op::kConst:
      return each(id, depth, number(i.type.elem, i.imm, i.fimm));
    case Op::kIota:
    case Op::kRowIota:
      return each(id, depth, "k");
    case Op::kScratch:
      line(depth, "alignas(64) {0} s{1}[{2}]; {0}* const v{1} = s{1};", memory_name(i.type.mem), id, i.imm);
      return;
    case Op::kNeg:
    case Op::kAbs:
    case Op::kSqrt:
    case Op::kCast:
    case Op::kBitcast:
      return each(id, depth, conversion(i));
    case Op::kBroadcast: {
      const Type& t = type(i.in[0]);
      return each(id, depth,
                  fmt::format("v{}[{} * {} + {}]", i.in[0], t.rows == 1 ? "0" : fmt::format("k / {}", i.type.cols), t.cols,
                              t.cols == 1 ? "0" : fmt::format("k % {}", i.type.cols)));
    }
    case Op::kTranspose:
      return each(id, depth, fmt::format("v{0}[k % {1} * {1} + k / {1}]", i.in[0], i.type.cols));
    case Op::kFma:
      return each(id, depth, multiply_add(fmt::format("v{}[k]", i.in[0]), fmt::format("v{}[k]", i.in[1]), fmt::format("v{}[k]", i.in[2])));
    case Op::kDot4:
      return each(id, depth, dot4(i));
    case Op::kDot2:
      return each(id, depth, dot2(i));
    case Op::kSelect:
      return each(id, depth, fmt::format("v{}[k] ? v{}[k] : v{}[k]", i.in[0], i.in[1], i.in[2]));
    case Op::kReduce:
      return reduce(id, depth);
    case Op::kLoad:
    case Op::kStore:
    case Op::kGather:
    case Op::kScatter:
      return access(id, depth);
    case Op::kPrefetch:
      return line(depth, "__builtin_prefetch(v{} + v{}[0]);", i.in[0], i.in[1]);
    case Op::kFor:
      return loop(i, depth);
    case Op::kResult: {
      // The carried array itself: it is not written after its loop, unless the loop runs again, and then this is printed again
      // too.
      const int from = fn_.at(i.in[0]).args[static_cast<size_t>(i.imm) + 1];
      if (i.type.is_pointer) return line(depth, "{}* const v{} = v{};", memory_name(i.type.mem), id, from);
      return each(id, depth, fmt::format("v{}[k]", from));
    }
    case Op::kIf:
      line(depth, "if (v{}[0]) {{", i.in[0]);
      body(i.body, depth + 1);
      if (!i.other_body.empty()) {
        line(depth, "}} else {{");
        body(i.other_body, depth + 1);
      }
      return line(depth, "}}");
    default:
      return each(id, depth, arithmetic(i));
  }
}

void CxxPrinter::loop(const Inst& i, int depth) {
  for (size_t c = 1; c < i.args.size(); ++c) {
    const int arg = i.args[c];
    if (type(arg).is_pointer) {
      line(depth, "{}* v{} = v{};", memory_name(type(arg).mem), arg, i.in[c + 2]);
    } else {
      each(arg, depth, fmt::format("v{}[k]", i.in[c + 2]));
    }
  }
  line(depth, "for (i64 v{0}[1] = {{v{1}[0]}}; v{0}[0] < v{2}[0]; v{0}[0] += v{3}[0]) {{", i.args[0], i.in[0], i.in[1],
       i.in[2]);
  body(i.body, depth + 1);
  for (size_t c = 0; c < i.yields.size(); ++c) {
    const Type& t = type(i.yields[c]);
    if (t.is_pointer) {
      line(depth + 1, "{}* const n{} = v{};", memory_name(t.mem), c, i.yields[c]);
    } else {
      line(depth + 1, "{} n{}[{}];", type_name(t.elem), c, count(t));
      line(depth + 1, "for (int k = 0; k < {}; ++k) n{}[k] = v{}[k];", count(t), c, i.yields[c]);
    }
  }
  for (size_t c = 0; c < i.yields.size(); ++c) {
    const Type& t = type(i.yields[c]);
    if (t.is_pointer) {
      line(depth + 1, "v{} = n{};", i.args[c + 1], c);
    } else {
      line(depth + 1, "for (int k = 0; k < {}; ++k) v{}[k] = n{}[k];", count(t), i.args[c + 1], c);
    }
  }
  line(depth, "}}");
}

std::string CxxPrinter::conversion(const Inst& i) const {
  const std::string x = fmt::format("v{}[k]", i.in[0]);
  const Elem e = i.type.elem, from = type(i.in[0]).elem;
  const char* wide = e == Elem::i64 ? "u64" : "u32";
  switch (i.op) {
    case Op::kNeg:
      return e == Elem::f32 ? "-" + x : fmt::format("({})(0 - ({}){})", type_name(e), wide, x);
    case Op::kAbs:
      return e == Elem::f32 ? fmt::format("__builtin_fabsf({})", x)
                            : fmt::format("{1} < 0 ? ({0})(0 - ({2}){1}) : {1}", type_name(e), x, wide);
    case Op::kSqrt:
      return fmt::format("__builtin_sqrtf({})", x);
    case Op::kBitcast:
      return e == Elem::f32 ? fmt::format("as_f32((u32){})", x) : fmt::format("(i32)as_bits({})", x);
    default:
      return from == e ? x : fmt::format("({}){}", type_name(e), x);
  }
}

std::string CxxPrinter::arithmetic(const Inst& i) const {
  const Elem e = type(i.in[0]).elem;
  const std::string a = fmt::format("v{}[k]", i.in[0]), b = fmt::format("v{}[k]", i.in[1]);
  const char* type = type_name(e);
  const char* wide = e == Elem::i64 ? "u64" : "u32";
  const bool real = e == Elem::f32;
  auto wrapping = [&](const char* op) {
    return real ? fmt::format("{} {} {}", a, op, b) : fmt::format("({0})(({1}){2} {3} ({1}){4})", type, wide, a, op, b);
  };
  switch (i.op) {
    case Op::kAdd:
      return wrapping("+");
    case Op::kSub:
      return wrapping("-");
    case Op::kMul:
      return wrapping("*");
    case Op::kDiv:
      return fmt::format("{} / {}", a, b);
    case Op::kRem:
      return fmt::format("{} % {}", a, b);
    case Op::kMin:
      return joined(ReduceKind::kMin, e, a, b);
    case Op::kMax:
      return joined(ReduceKind::kMax, e, a, b);
    case Op::kAnd:
      return fmt::format("{} & {}", a, b);
    case Op::kOr:
      return fmt::format("{} | {}", a, b);
    case Op::kXor:
      return fmt::format("{} ^ {}", a, b);
    case Op::kShl:
      return wrapping("<<");
    case Op::kShr:
      return wrapping(">>");
    case Op::kEq:
      return fmt::format("{} == {}", a, b);
    case Op::kNe:
      return fmt::format("{} != {}", a, b);
    case Op::kLt:
      return fmt::format("{} < {}", a, b);
    case Op::kLe:
      return fmt::format("{} <= {}", a, b);
    case Op::kGt:
      return fmt::format("{} > {}", a, b);
    default:
      return fmt::format("{} >= {}", a, b);
  }
}

std::string CxxPrinter::multiply_add(const std::string& a, const std::string& b, const std::string& c) const {
  return fma_ ? fmt::format("__builtin_fmaf({}, {}, {})", a, b, c) : fmt::format("({} * {} + {})", a, b, c);
}

std::string CxxPrinter::dot4(const Inst& i) {
  std::string sum = fmt::format("(unsigned)v{}[k]", i.in[2]);
  for (int j = 0; j < 32; j += 8) sum += fmt::format(" + (unsigned)((unsigned char)(v{}[k] >> {}) * (signed char)(v{}[k] >> {}))", i.in[0], j, i.in[1], j);
  return "(int)(" + sum + ")";
}

std::string CxxPrinter::dot2(const Inst& i) const {
  const auto half = [&](size_t operand, const char* bits) { return fmt::format("as_f32((u32)v{}[k] {})", i.in[operand], bits); };
  const auto add = [&](const char* bits, const std::string& sum) { return multiply_add(half(0, bits), half(1, bits), sum); };
  return add("<< 16", add("& 0xffff0000u", fmt::format("v{}[k]", i.in[2])));
}

void CxxPrinter::reduce(int id, int depth) {
  const Inst& i = fn_.at(id);
  const Type& t = type(i.in[0]);
  declare(id, depth);
  if (i.imm == 0) {
    line(depth, "for (int c = 0; c < {}; ++c) {{", t.cols);
    line(depth + 1, "v{}[c] = v{}[c];", id, i.in[0]);
    line(depth + 1, "for (int r = 1; r < {}; ++r) v{}[c] = {};", t.rows, id,
         joined(i.reduce, t.elem, fmt::format("v{}[c]", id), fmt::format("v{}[r * {} + c]", i.in[0], t.cols)));
  } else {
    line(depth, "for (int r = 0; r < {}; ++r) {{", t.rows);
    line(depth + 1, "{} t[{}];", type_name(t.elem), t.cols);
    line(depth + 1, "for (int c = 0; c < {0}; ++c) t[c] = v{1}[r * {0} + c];", t.cols, i.in[0]);
    for (int half = t.cols / 2; half >= 1; half /= 2) {
      line(depth + 1, "for (int c = 0; c < {}; ++c) t[c] = {};", half,
           joined(i.reduce, t.elem, "t[c]", fmt::format("t[c + {}]", half)));
    }
    line(depth + 1, "v{}[r] = t[0];", id);
  }
  line(depth, "}}");
}

std::string CxxPrinter::widened(Mem m, const std::string& raw) {
  if (m == Mem::bf16) return fmt::format("from_bf16({})", raw);
  if (m == Mem::f16) return fmt::format("from_f16({})", raw);
  return raw;
}
std::string CxxPrinter::narrowed(Mem m, const std::string& value) {
  if (m == Mem::bf16) return fmt::format("to_bf16({})", value);
  if (m == Mem::f16) return fmt::format("to_f16({})", value);
  return fmt::format("({}){}", memory_name(m), value);
}

void CxxPrinter::access(int id, int depth) {
  const Inst& i = fn_.at(id);
  const Mem mem = type(i.in[0]).mem;
  const bool loads = i.op == Op::kLoad || i.op == Op::kGather;
  std::string index, condition;
  if (i.op == Op::kLoad || i.op == Op::kStore) {
    index = fmt::format("v{}[0] + r * v{}[0] + c * v{}[0]", i.in[1], i.in[2], i.in[3]);
    if (i.in[4] >= 0) condition = fmt::format("r < v{}[0]", i.in[4]);
    if (i.in[5] >= 0) condition += fmt::format("{}c < v{}[0]", condition.empty() ? "" : " && ", i.in[5]);
  } else {
    index = fmt::format("v{}[k]", i.in[1]);
    if (i.in[2] >= 0) condition = fmt::format("v{}[k]", i.in[2]);
  }
  const std::string element = fmt::format("v{}[{}]", i.in[0], index);
  if (loads) declare(id, depth);
  line(depth, "for (int r = 0, k = 0; r < {}; ++r) for (int c = 0; c < {}; ++c, ++k) {{", i.type.rows, i.type.cols);
  if (loads) {
    const std::string value = widened(mem, element);
    const std::string other = number(i.type.elem, integer_fill(i), i.fimm);
    line(depth + 1, "v{}[k] = {};", id, condition.empty() ? value : fmt::format("{} ? {} : {}", condition, value, other));
  } else {
    const std::string value = narrowed(mem, fmt::format("v{}[k]", i.in.back()));
    if (!condition.empty()) line(depth + 1, "if (!({})) continue;", condition);
    line(depth + 1, "{} = {};", element, value);
  }
  line(depth, "}}");
}

}  // namespace

std::string print_cxx(const Function& fn, bool fma) { return CxxPrinter(fn, fma).print(); }

}  // namespace bgl::lang
