// Operators that work element by element. Operands already have one shape: the functions expand them. Gradients are written in
// operators of this same table, so second derivatives come for free; the compiler fuses what they add.
#include <algorithm>
#include <cmath>

#include "lang/builder.h"
#include "lang/math.h"
#include "ops/elementwise.h"
#include "ops/functions.h"

namespace bgl::ops {
namespace {

using lang::Builder;
using lang::Val;
using Ins = std::span<const Val>;
using Metas = std::span<const TensorMeta>;
using Grads = std::vector<Value>;

std::vector<TensorMeta> infer_same(Metas in, const Attrs&) {
  for (const TensorMeta& m : in) {
    BGL_REQUIRE(m == in[0], "element by element: got {} {} and {} {}: types and shapes must agree", dtype_name(in[0].dtype),
                shape_text(in[0].shape), dtype_name(m.dtype), shape_text(m.shape));
  }
  return {in[0]};
}
std::vector<TensorMeta> infer_float(Metas in, const Attrs& attrs) {
  BGL_REQUIRE(is_float(in[0].dtype), "needs a floating point tensor, got {}: cast it first", dtype_name(in[0].dtype));
  return infer_same(in, attrs);
}
std::vector<TensorMeta> infer_compare(Metas in, const Attrs& attrs) {
  infer_same(in, attrs);
  return {{DType::kBool, in[0].shape}};
}
std::vector<TensorMeta> infer_where(Metas in, const Attrs&) {
  BGL_REQUIRE(in[0].dtype == DType::kBool, "[where] the condition is {}, not bool", dtype_name(in[0].dtype));
  BGL_REQUIRE(in[1] == in[2] && in[0].shape == in[1].shape, "[where] got {} {} and {} {}", dtype_name(in[1].dtype),
              shape_text(in[1].shape), dtype_name(in[2].dtype), shape_text(in[2].shape));
  return {in[1]};
}
std::vector<TensorMeta> infer_cast(Metas in, const Attrs& attrs) {
  return {{static_cast<DType>(attrs.ints.at(0)), in[0].shape}};
}

std::vector<Sample> samples_unary(double low, double high) {
  std::vector<Sample> out;
  for (const Shape& s : {Shape{}, Shape{0}, Shape{1}, Shape{17}, Shape{3, 5}, Shape{2, 3, 37}}) {
    out.push_back({{{{DType::kF32, s}, low, high}}, {}});
  }
  return out;
}
std::vector<Sample> samples_any() { return samples_unary(-3, 3); }
std::vector<Sample> samples_positive() { return samples_unary(0.1, 4); }
std::vector<Sample> samples_binary_in(double low, double high) {
  std::vector<Sample> out = samples_unary(low, high);
  for (Sample& s : out) s.inputs.push_back(s.inputs[0]);
  return out;
}
std::vector<Sample> samples_binary() { return samples_binary_in(-3, 3); }
std::vector<Sample> samples_div() { return samples_binary_in(0.5, 3); }
std::vector<Sample> samples_where() {
  std::vector<Sample> out = samples_binary();
  for (Sample& s : out) s.inputs.insert(s.inputs.begin(), {{DType::kBool, s.inputs[0].meta.shape}, 0, 2});
  return out;
}
std::vector<Sample> samples_cast() {
  std::vector<Sample> out;
  for (const auto& [from, to] : {std::pair{DType::kF32, DType::kI64}, std::pair{DType::kI64, DType::kF32},
                                 std::pair{DType::kBool, DType::kF32}, std::pair{DType::kF32, DType::kBF16}}) {
    out.push_back({{{{from, {3, 7}}, from == DType::kBool ? 0.0 : -3.0, from == DType::kBool ? 2.0 : 3.0}},
                   {{static_cast<int64_t>(to)}, {}}});
  }
  return out;
}

Cost cost_elementwise(const Node& node) { return streaming_cost(node, 1); }

OpDef unary(const char* name, Val (*emit)(Builder&, Ins, const Node&), double (*ref)(std::span<const double>),
            Grads (*gradient)(const Node&, std::span<const Value>, std::span<const Value>), std::vector<Sample> (*samples)()) {
  OpDef op;
  op.name = name;
  op.signature = std::string(name) + "(x) -> y";
  op.op_class = OpClass::kElementwise;
  op.infer = infer_float;
  op.emit = emit;
  op.gradient = gradient;
  op.samples = samples;
  op.sharding = "...->...";
  op.cost = cost_elementwise;
  op.reference = nullptr;
  op.scalar_reference = ref;
  return op;
}
OpDef binary(const char* name, Val (*emit)(Builder&, Ins, const Node&), double (*ref)(std::span<const double>),
             Grads (*gradient)(const Node&, std::span<const Value>, std::span<const Value>), std::vector<Sample> (*samples)()) {
  OpDef op = unary(name, emit, ref, gradient, samples);
  op.signature = std::string(name) + "(a, b) -> c";
  op.infer = infer_same;
  op.sharding = "...,...->...";
  return op;
}
OpDef compare(const char* name, Val (*emit)(Builder&, Ins, const Node&), double (*ref)(std::span<const double>)) {
  OpDef op = binary(name, emit, ref, nullptr, samples_binary);
  op.signature = std::string(name) + "(a, b) -> bool";
  op.infer = infer_compare;
  return op;
}

constexpr double kInvSqrt2 = 0.70710678118654752440;
constexpr double kInvSqrt2Pi = 0.39894228040143267794;
constexpr double kGeluTanh = 0.79788456080286535588;  // sqrt(2/pi)
constexpr double kGeluCubic = 0.044715;

// numbers {p}
std::vector<TensorMeta> infer_dropout(Metas in, const Attrs& attrs) {
  BGL_REQUIRE(attrs.numbers.at(0) >= 0 && attrs.numbers[0] < 1, "p = {} is outside [0, 1)", attrs.numbers[0]);
  return infer_float(in, attrs);
}
std::vector<RefTensor> ref_dropout(std::span<const RefTensor> in, const Attrs& attrs) {
  RefTensor y = in[0];
  for (int64_t i = 0; i < numel(y.shape); ++i) y.at(i) *= in[1].at(i) / (1 - attrs.numbers[0]);
  return {y};
}
std::vector<Sample> samples_dropout() {
  std::vector<Sample> out = samples_binary();
  for (Sample& s : out) s.attrs.numbers = {0.25};
  return out;
}

Val emit_gelu(Builder& b, Ins in, const Node&) {
  // torch: x * 0.5 * (1 + erf(x / sqrt 2)).
  return in[0] * 0.5 * (lang::erf(b, in[0] * kInvSqrt2) + 1.0);
}
Val emit_gelu_tanh(Builder& b, Ins in, const Node&) {
  const Val x = in[0];
  return x * 0.5 * (lang::tanh(b, (x + x * x * x * kGeluCubic) * kGeluTanh) + 1.0);
}
// bfloat16 keeps the upper half, rounded to nearest even; a NaN stays one.
Val round_bf16(Builder& b, Val x) {
  const Val bits = b.bitcast(x, lang::Elem::i32);
  const Val odd = b.logical_and(b.shr(bits, b.splat_like(16, bits)), b.splat_like(1, bits));
  const Val rounded = b.logical_and(bits + odd + double(0x7fff), b.splat_like(double(int32_t(0xffff0000)), bits));
  return b.select(b.cmp_eq(x, x), b.bitcast(rounded, lang::Elem::f32), x);
}
Val emit_cast(Builder& b, Ins in, const Node& node) {
  const auto to = static_cast<DType>(node.attrs.ints[0]);
  const bool from_float = is_float(node.inputs[0].dtype());
  if (to == DType::kBool) return b.cast(b.cmp_ne(in[0], b.cast(b.const_i64(0), in[0].elem())), lang::Elem::i64);
  if (is_float(to)) {
    const Val x = from_float ? in[0] : b.cast(in[0], lang::Elem::f32);
    return to == DType::kBF16 ? round_bf16(b, x) : x;
  }
  return from_float ? b.cast(in[0], lang::Elem::i64) : in[0];
}
double ref_cast(std::span<const double> x) { return x[0]; }

// A table: a row an operator, in one place so that they can be compared.
std::vector<OpDef> make_table() {
  std::vector<OpDef> t;
#define EMIT [](Builder & b, Ins in, const Node& node) -> Val
#define REF [](std::span<const double> x) -> double
#define GRAD [](const Node& n, std::span<const Value> y, std::span<const Value> g) -> Grads
#define UNUSED (void)b, (void)in, (void)node
#define UNUSED_GRAD (void)n, (void)y, (void)g
  t.push_back(unary("neg", EMIT { UNUSED; return b.neg(in[0]); }, REF { return -x[0]; },
                    GRAD { UNUSED_GRAD; return {neg(g[0])}; }, samples_any));
  t.push_back(unary("abs", EMIT { UNUSED; return b.abs(in[0]); }, REF { return std::fabs(x[0]); },
                    GRAD { UNUSED_GRAD; return {where(less(n.inputs[0], zeros_like(n.inputs[0])), neg(g[0]), g[0])}; }, samples_any));
  t.push_back(unary("exp", EMIT { UNUSED; return lang::exp(b, in[0]); }, REF { return std::exp(x[0]); },
                    GRAD { UNUSED_GRAD; return {mul(g[0], y[0])}; }, samples_any));
  t.push_back(unary("log", EMIT { UNUSED; return lang::log(b, in[0]); }, REF { return std::log(x[0]); },
                    GRAD { UNUSED_GRAD; return {div(g[0], n.inputs[0])}; }, samples_positive));
  t.push_back(unary("sqrt", EMIT { UNUSED; return b.sqrt(in[0]); }, REF { return std::sqrt(x[0]); },
                    GRAD { UNUSED_GRAD; return {div(mul(g[0], 0.5), y[0])}; }, samples_positive));
  t.push_back(unary("rsqrt", EMIT { UNUSED; return b.splat_like(1.0, in[0]) / b.sqrt(in[0]); }, REF { return 1 / std::sqrt(x[0]); },
                    GRAD { UNUSED_GRAD; return {mul(mul(g[0], -0.5), mul(y[0], mul(y[0], y[0])))}; }, samples_positive));
  t.push_back(unary("tanh", EMIT { UNUSED; return lang::tanh(b, in[0]); }, REF { return std::tanh(x[0]); },
                    GRAD { UNUSED_GRAD; return {sub(g[0], mul(g[0], mul(y[0], y[0])))}; }, samples_any));
  t.push_back(unary("erf", EMIT { UNUSED; return lang::erf(b, in[0]); }, REF { return std::erf(x[0]); },
                    GRAD { UNUSED_GRAD; const Value& x = n.inputs[0]; return {mul(g[0], mul(exp(neg(mul(x, x))), 1.1283791670955126))}; },
                    samples_any));
  t.push_back(unary("sin", EMIT { UNUSED; return lang::sin(b, in[0]); }, REF { return std::sin(x[0]); },
                    GRAD { UNUSED_GRAD; return {mul(g[0], cos(n.inputs[0]))}; }, samples_any));
  t.push_back(unary("cos", EMIT { UNUSED; return lang::cos(b, in[0]); }, REF { return std::cos(x[0]); },
                    GRAD { UNUSED_GRAD; return {neg(mul(g[0], sin(n.inputs[0])))}; }, samples_any));
  t.push_back(unary("sigmoid", EMIT { UNUSED; return lang::sigmoid(b, in[0]); }, REF { return 1 / (1 + std::exp(-x[0])); },
                    GRAD { UNUSED_GRAD; return {mul(g[0], sub(y[0], mul(y[0], y[0])))}; }, samples_any));
  t.push_back(unary("relu", EMIT { UNUSED; return b.max(in[0], b.splat_like(0.0, in[0])); }, REF { return x[0] > 0 ? x[0] : 0; },
                    GRAD { UNUSED_GRAD; const Value& x = n.inputs[0]; return {where(greater(x, zeros_like(x)), g[0], zeros_like(x))}; },
                    samples_any));
  t.push_back(unary("silu", EMIT { UNUSED; return in[0] * lang::sigmoid(b, in[0]); }, REF { return x[0] / (1 + std::exp(-x[0])); },
                    GRAD {
                      UNUSED_GRAD;
                      const Value& x = n.inputs[0];
                      const Value s = sigmoid(x);
                      return {mul(g[0], mul(s, add(mul(x, sub(full(x.shape(), 1), s)), 1.0)))};
                    }, samples_any));
  t.push_back(unary("gelu", emit_gelu, REF { return x[0] * 0.5 * (1 + std::erf(x[0] * kInvSqrt2)); },
                    GRAD {
                      UNUSED_GRAD;
                      const Value& x = n.inputs[0];
                      const Value cdf = mul(add(erf(mul(x, kInvSqrt2)), 1.0), 0.5);
                      const Value pdf = mul(exp(mul(mul(x, x), -0.5)), kInvSqrt2Pi);
                      return {mul(g[0], add(cdf, mul(x, pdf)))};
                    }, samples_any));
  t.push_back(unary("gelu_tanh", emit_gelu_tanh,
                    REF { return x[0] * 0.5 * (1 + std::tanh(kGeluTanh * (x[0] + kGeluCubic * x[0] * x[0] * x[0]))); },
                    GRAD {
                      UNUSED_GRAD;
                      const Value& x = n.inputs[0];
                      const Value x2 = mul(x, x);
                      const Value t = tanh(mul(add(x, mul(mul(x2, x), kGeluCubic)), kGeluTanh));
                      const Value left = mul(add(t, 1.0), 0.5);
                      const Value inner = mul(add(mul(x2, 3 * kGeluCubic), 1.0), kGeluTanh);
                      const Value right = mul(mul(mul(x, 0.5), sub(full(x.shape(), 1), mul(t, t))), inner);
                      return {mul(g[0], add(left, right))};
                    }, samples_any));
  t.push_back(binary("add", EMIT { UNUSED; return in[0] + in[1]; }, REF { return x[0] + x[1]; },
                     GRAD { UNUSED_GRAD; return {g[0], g[0]}; }, samples_binary));
  t.push_back(binary("sub", EMIT { UNUSED; return in[0] - in[1]; }, REF { return x[0] - x[1]; },
                     GRAD { UNUSED_GRAD; return {g[0], neg(g[0])}; }, samples_binary));
  t.push_back(binary("mul", EMIT { UNUSED; return in[0] * in[1]; }, REF { return x[0] * x[1]; },
                     GRAD { UNUSED_GRAD; return {mul(g[0], n.inputs[1]), mul(g[0], n.inputs[0])}; }, samples_binary));
  t.push_back(binary("div", EMIT { UNUSED; return in[0] / in[1]; }, REF { return x[0] / x[1]; },
                     GRAD { UNUSED_GRAD; const Value q = div(g[0], n.inputs[1]); return {q, neg(mul(q, y[0]))}; }, samples_div));
  t.push_back(binary("minimum", EMIT { UNUSED; return b.min(in[0], in[1]); }, REF { return std::min(x[0], x[1]); },
                     GRAD {
                       UNUSED_GRAD;
                       const Value z = zeros_like(g[0]);
                       const Value c = less_equal(n.inputs[0], n.inputs[1]);
                       return {where(c, g[0], z), where(c, z, g[0])};
                     }, samples_binary));
  t.push_back(binary("maximum", EMIT { UNUSED; return b.max(in[0], in[1]); }, REF { return std::max(x[0], x[1]); },
                     GRAD {
                       UNUSED_GRAD;
                       const Value z = zeros_like(g[0]);
                       const Value c = greater_equal(n.inputs[0], n.inputs[1]);
                       return {where(c, g[0], z), where(c, z, g[0])};
                     }, samples_binary));
  t.push_back(compare("equal", EMIT { UNUSED; return b.cast(b.cmp_eq(in[0], in[1]), lang::Elem::i64); }, REF { return x[0] == x[1]; }));
  t.push_back(compare("not_equal", EMIT { UNUSED; return b.cast(b.cmp_ne(in[0], in[1]), lang::Elem::i64); }, REF { return x[0] != x[1]; }));
  t.push_back(compare("less", EMIT { UNUSED; return b.cast(b.cmp_lt(in[0], in[1]), lang::Elem::i64); }, REF { return x[0] < x[1]; }));
  t.push_back(compare("less_equal", EMIT { UNUSED; return b.cast(b.cmp_le(in[0], in[1]), lang::Elem::i64); }, REF { return x[0] <= x[1]; }));
  t.push_back(compare("greater", EMIT { UNUSED; return b.cast(b.cmp_gt(in[0], in[1]), lang::Elem::i64); }, REF { return x[0] > x[1]; }));
  t.push_back(compare("greater_equal", EMIT { UNUSED; return b.cast(b.cmp_ge(in[0], in[1]), lang::Elem::i64); }, REF { return x[0] >= x[1]; }));
  OpDef w = binary("where", EMIT { UNUSED; return b.select(b.cmp_ne(in[0], b.splat_like(0, in[0])), in[1], in[2]); },
                   REF { return x[0] != 0 ? x[1] : x[2]; },
                   GRAD {
                     UNUSED_GRAD;
                     const Value z = zeros_like(g[0]);
                     return {Value{}, where(n.inputs[0], g[0], z), where(n.inputs[0], z, g[0])};
                   }, samples_where);
  w.signature = "where(condition, a, b) -> c";
  w.infer = infer_where;
  w.sharding = "...,...,...->...";
  t.push_back(std::move(w));
  OpDef d = binary("dropout", [](Builder&, Ins in, const Node& node) -> Val { return in[0] * (in[1] * (1 / (1 - node.attrs.numbers[0]))); }, nullptr,
                   GRAD { UNUSED_GRAD; return {dropout(g[0], n.inputs[1], n.attrs.numbers[0]), Value{}}; }, samples_dropout);
  d.signature = "dropout(x, keep, p) -> y; keep is drawn on the host from torch's stream";
  d.infer = infer_dropout;
  d.reference = ref_dropout;
  t.push_back(std::move(d));
  OpDef c = unary("cast", emit_cast, ref_cast, GRAD { UNUSED_GRAD; return {cast(g[0], n.inputs[0].dtype())}; }, samples_cast);
  c.signature = "cast(x, dtype) -> y";
  c.infer = infer_cast;
  c.tolerance = 4e-3;  // bfloat16 keeps 8 bits
  t.push_back(std::move(c));
#undef EMIT
#undef REF
#undef GRAD
#undef UNUSED
#undef UNUSED_GRAD
  return t;
}

const std::vector<OpDef>& elementwise_table() {
  static const std::vector<OpDef> table = make_table();
  return table;
}

Value apply(const char* name, std::vector<Value> inputs, Attrs attrs = {}) {
  const OpDef* op = nullptr;
  for (const OpDef& candidate : elementwise_table()) {
    if (candidate.name == name) op = &candidate;
  }
  BGL_CHECK(op, "no elementwise operator {}", name);
  try {
    if (inputs.size() > 1) {
      Shape shape = inputs[0].shape();
      for (const Value& v : inputs) shape = broadcast_shapes(shape, v.shape(), name);
      for (Value& v : inputs) v = expand(v, shape);
    }
    return {make_node(*op, std::move(inputs), std::move(attrs)), 0};
  } catch (const Error& e) {
    if (e.status().message().starts_with("[")) throw;
    throw Error(Status(e.status().code(), "[" + std::string(name) + "] " + e.status().message()));
  }
}

}  // namespace

std::span<const OpDef> elementwise_ops() { return elementwise_table(); }

#define BGL_BINARY(name) \
  Value name(const Value& a, const Value& b) { return apply(#name, {a, b}); }
#define BGL_BINARY_NUMBER(name) \
  Value name(const Value& a, double b) { return apply(#name, {a, scalar(b, a.dtype())}); }
#define BGL_UNARY(name) \
  Value name(const Value& a) { return apply(#name, {a}); }
BGL_BINARY(add)
BGL_BINARY(sub)
BGL_BINARY(mul)
BGL_BINARY(div)
BGL_BINARY(minimum)
BGL_BINARY(maximum)
BGL_BINARY(equal)
BGL_BINARY(not_equal)
BGL_BINARY(less)
BGL_BINARY(less_equal)
BGL_BINARY(greater)
BGL_BINARY(greater_equal)
BGL_BINARY_NUMBER(add)
BGL_BINARY_NUMBER(sub)
BGL_BINARY_NUMBER(mul)
BGL_BINARY_NUMBER(div)
BGL_UNARY(neg)
BGL_UNARY(abs)
BGL_UNARY(exp)
BGL_UNARY(log)
BGL_UNARY(sqrt)
BGL_UNARY(rsqrt)
BGL_UNARY(tanh)
BGL_UNARY(erf)
BGL_UNARY(sin)
BGL_UNARY(cos)
BGL_UNARY(sigmoid)
BGL_UNARY(relu)
BGL_UNARY(silu)
BGL_UNARY(gelu)
BGL_UNARY(gelu_tanh)
#undef BGL_BINARY
#undef BGL_BINARY_NUMBER
#undef BGL_UNARY

Value where(const Value& condition, const Value& a, const Value& b) { return apply("where", {condition, a, b}); }

Value dropout(const Value& x, const Value& keep, double p) { return apply("dropout", {x, keep}, {{}, {p}}); }

Value cast(const Value& a, DType dtype) {
  if (a.dtype() == dtype) return a;
  return apply("cast", {a}, {{static_cast<int64_t>(dtype)}, {}});
}

}  // namespace bgl::ops
