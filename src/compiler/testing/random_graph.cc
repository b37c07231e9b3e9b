#include "compiler/testing/random_graph.h"

#include <random>

#include "compiler/differentiate.h"
#include "ops/functions.h"
#include "ops/random.h"

namespace bgl::compiler {
namespace {

using ops::DType;
using ops::Value;
using Operands = std::vector<Value>;
using Numbers = std::vector<int64_t>;

struct Kind {
  const char* name;
  int operands;
  int numbers;
  Value (*apply)(const Operands& in, const Numbers& n);
  bool continuous = true;
};

int64_t dim_of(const Value& v, int64_t n) {
  BGL_REQUIRE(v.rank() > 0, "rank 0 has no dims");
  return n % v.rank();
}
Value real(const Value& v) { return v.dtype() == DType::kF32 ? v : ops::cast(v, DType::kF32); }
// A shape of the same elements: the first two dims become one, or one dim is put in.
ops::Shape other_shape(const Value& v, int64_t n) {
  ops::Shape s = v.shape();
  if (n % 2 == 0 && s.size() >= 2) {
    s[1] *= s[0];
    s.erase(s.begin());
  } else {
    s.insert(s.begin() + n % static_cast<int64_t>(s.size() + 1), 1);
  }
  return s;
}
// `v` cut or repeated to `size` along `dim`, so that products and writes find partners that fit.
Value resized(const Value& v, int64_t dim, int64_t size) {
  const int64_t have = v.size(dim);
  if (have >= size) return ops::slice(v, dim, 0, size);
  BGL_REQUIRE(have > 0, "nothing to repeat");
  Operands parts;
  for (int64_t left = size; left > 0; left -= have) parts.push_back(ops::slice(v, dim, 0, std::min(have, left)));
  return ops::cat(parts, dim);
}
Value product(const Operands& in, const Numbers&) {
  BGL_REQUIRE(in[0].rank() >= 1 && in[1].rank() >= 1, "a product of numbers");
  const Value b = in[1].rank() == 1 ? resized(in[1], 0, in[0].size(-1)) : resized(in[1], in[1].rank() - 2, in[0].size(-1));
  return ops::matmul(real(in[0]), real(b));
}
// base[start : start + n] along dim = part, as an in-place write does.
Value write(const Operands& in, const Numbers& n) {
  const int64_t dim = dim_of(in[0], n[0]), size = in[0].size(dim), start = size > 0 ? n[1] % size : 0, step = 1 + n[2] % 2;
  const Value target = ops::slice(in[0], dim, start, size, step);
  return ops::slice_scatter(in[0], ops::expand(ops::cast(in[1], in[0].dtype()), target.shape()), dim, start, step);
}

#define UNARY(f)                                                                     \
  {                                                                                  \
#f, 1, 0, [](const Operands& in, const Numbers&) { return ops::f(real(in[0])); } \
  }
#define BINARY(f)                                                                     \
  {                                                                                   \
#f, 2, 0, [](const Operands& in, const Numbers&) { return ops::f(in[0], in[1]); } \
  }
#define REDUCE(f)                                                                                                            \
  {                                                                                                                          \
#f, 1, 2, [](const Operands& in, const Numbers& n) { return ops::f(real(in[0]), {dim_of(in[0], n[0])}, n[1] % 2 != 0); } \
  }

constexpr Kind kKinds[] = {
    UNARY(neg),
    UNARY(abs),
    UNARY(tanh),
    UNARY(erf),
    UNARY(sin),
    UNARY(cos),
    UNARY(sigmoid),
    UNARY(relu),
    UNARY(silu),
    UNARY(gelu),
    UNARY(gelu_tanh),
    UNARY(contiguous),
    BINARY(add),
    BINARY(sub),
    BINARY(mul),
    BINARY(minimum),
    BINARY(maximum),
    REDUCE(sum),
    REDUCE(mean),
    REDUCE(amax),
    {"exp", 1, 0, [](const Operands& in, const Numbers&) { return ops::exp(ops::tanh(real(in[0]))); }},
    {"div", 2, 0,
     [](const Operands& in, const Numbers&) { return ops::div(real(in[0]), ops::add(ops::abs(real(in[1])), 0.5)); }},
    {"scale", 1, 1,
     [](const Operands& in, const Numbers& n) { return ops::mul(real(in[0]), static_cast<double>(n[0]) / 8 - 1); }},
    {"less", 2, 0, [](const Operands& in, const Numbers&) { return ops::less(in[0], in[1]); }, false},
    {"equal", 2, 0, [](const Operands& in, const Numbers&) { return ops::equal(in[0], in[1]); }, false},
    {"where", 3, 0, [](const Operands& in, const Numbers&) { return ops::where(in[0], in[1], in[2]); }},
    {"transpose", 1, 2,
     [](const Operands& in, const Numbers& n) { return ops::transpose(in[0], dim_of(in[0], n[0]), dim_of(in[0], n[1])); }},
    {"reshape", 1, 1, [](const Operands& in, const Numbers& n) { return ops::reshape(in[0], other_shape(in[0], n[0])); }},
    {"expand", 2, 0, [](const Operands& in, const Numbers&) { return ops::expand(in[0], in[1].shape()); }},
    {"slice", 1, 3,
     [](const Operands& in, const Numbers& n) {
       return ops::slice(in[0], dim_of(in[0], n[0]), n[1] % 3, 1 + n[1] % 3 + n[2] % 7, 1 + n[2] % 3);
     }},
    {"cat", 2, 1,
     [](const Operands& in, const Numbers& n) {
       return ops::cat(std::array{real(in[0]), real(in[1])}, dim_of(in[0], n[0]));
     }},
    {"write", 2, 3, write},
    {"matmul", 2, 0, product},
    {"softmax", 1, 1, [](const Operands& in, const Numbers& n) { return ops::softmax(real(in[0]), dim_of(in[0], n[0])); }},
    {"log_softmax", 1, 1,
     [](const Operands& in, const Numbers& n) { return ops::log_softmax(real(in[0]), dim_of(in[0], n[0])); }},
    {"rms_norm", 1, 0, [](const Operands& in, const Numbers&) { return ops::rms_norm(real(in[0]), {}, 0.1); }},
    {"layer_norm", 1, 0, [](const Operands& in, const Numbers&) { return ops::layer_norm(real(in[0]), {}, {}, 0.1); }},
};
#undef UNARY
#undef BINARY
#undef REDUCE

Value leaf(const ops::TensorMeta& meta, ops::Generator& g) {
  auto buffer = ops::Buffer::allocate(static_cast<size_t>(meta.bytes()));
  for (int64_t i = 0; i < ops::numel(meta.shape); ++i) {
    const double u = 4 * g.uniform_double() - 2;
    if (meta.dtype == DType::kF32) buffer->as<float>()[i] = static_cast<float>(u);
    if (meta.dtype == DType::kI64) buffer->as<int64_t>()[i] = static_cast<int64_t>(3 * u);
    if (meta.dtype == DType::kBool) buffer->as<uint8_t>()[i] = u > 0;
  }
  return ops::make_leaf(meta, buffer, meta.dtype == DType::kF32);
}

Value applied(const GraphStep& step, const std::vector<Value>& values) {
  Operands in;
  for (const int o : step.operands) in.push_back(values[static_cast<size_t>(o)]);
  try {
    const Value out = kKinds[step.kind].apply(in, step.numbers);
    if (ops::numel(out.shape()) <= 4000) return out;
  } catch (const Error&) {
  }
  return in[0];
}

}  // namespace

std::vector<Value> build(const RandomGraph& graph, const std::function<void(const Value&)>& made) {
  ops::Generator g(graph.seed);
  std::vector<Value> values;
  for (const ops::TensorMeta& m : graph.leaves) values.push_back(leaf(m, g));
  const std::vector<Value> leaves = values;
  for (const GraphStep& step : graph.steps) {
    values.push_back(applied(step, values));
    if (made) made(values.back());
  }
  const size_t results = std::min<size_t>(3, graph.steps.size());
  std::vector<Value> out(values.end() - static_cast<int64_t>(results), values.end());
  if (!graph.gradients) return out;
  Value total;
  for (size_t i = 0; i < results; ++i) {
    if (out[i].dtype() != DType::kF32) continue;
    const Value part = ops::sum(ops::mul(out[i], static_cast<double>(i + 1)));
    total = total ? ops::add(total, part) : part;
  }
  if (!total || !total.node->requires_grad) return out;
  for (const Value& v : differentiate(total, leaves)) {
    if (!v) continue;
    out.push_back(v);
    if (made) made(v);
  }
  return out;
}

RandomGraph random_graph(uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
  constexpr int64_t kSizes[] = {1, 3, 5, 7, 13};
  RandomGraph g;
  g.seed = seed;
  g.gradients = below(2) != 0;
  const int64_t leaves = 2 + below(3), steps = 3 + below(14);
  const int64_t common = kSizes[below(5)];
  for (int64_t i = 0; i < leaves; ++i) {
    ops::Shape shape;
    for (int64_t d = below(4); d > 0; --d) shape.push_back(below(40) == 0 ? 0 : below(2) ? common : kSizes[below(5)]);
    constexpr DType kTypes[] = {DType::kI64, DType::kBool, DType::kF32};
    g.leaves.push_back({kTypes[i == 0 ? 2 : std::min<int64_t>(2, below(8))], shape});
  }
  // An operator is drawn again where it refuses, so that most steps do something.
  ops::Generator numbers(seed);
  std::vector<Value> values;
  for (const ops::TensorMeta& m : g.leaves) values.push_back(leaf(m, numbers));
  while (static_cast<int64_t>(g.steps.size()) < steps) {
    GraphStep step;
    for (int tries = 0; tries < 8; ++tries) {
      step = {static_cast<int>(below(std::size(kKinds))), {}, {}};
      for (int o = 0; o < kKinds[step.kind].operands; ++o)
        step.operands.push_back(static_cast<int>(below(static_cast<int64_t>(values.size()))));
      for (int n = 0; n < kKinds[step.kind].numbers; ++n) step.numbers.push_back(below(16));
      if (applied(step, values) != values[static_cast<size_t>(step.operands[0])]) break;
    }
    values.push_back(applied(step, values));
    g.steps.push_back(std::move(step));
  }
  return g;
}

RandomGraph shrink(RandomGraph graph, const std::function<bool(const RandomGraph&)>& fails) {
  const auto without = [](const RandomGraph& g, size_t gone) {
    RandomGraph less = g;
    const int index = static_cast<int>(g.leaves.size() + gone), instead = g.steps[gone].operands[0];
    less.steps.erase(less.steps.begin() + static_cast<int64_t>(gone));
    for (GraphStep& s : less.steps) {
      for (int& o : s.operands) o = o == index ? instead : o > index ? o - 1 : o;
    }
    return less;
  };
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (size_t i = graph.steps.size(); i-- > 0 && graph.steps.size() > 1;) {
      const RandomGraph less = without(graph, i);
      if (!fails(less)) continue;
      graph = less;
      smaller = true;
    }
  }
  return graph;
}

std::string to_text(const RandomGraph& graph) {
  std::string out = fmt::format("seed {}{}\n", graph.seed, graph.gradients ? ", with gradients" : "");
  size_t index = 0;
  for (const ops::TensorMeta& m : graph.leaves)
    out += fmt::format("  %{} = leaf {} {}\n", index++, ops::dtype_name(m.dtype), ops::shape_text(m.shape));
  for (const GraphStep& s : graph.steps) {
    out += fmt::format("  %{} = {}(", index++, kKinds[s.kind].name);
    for (const int o : s.operands) out += fmt::format(" %{}", o);
    for (const int64_t n : s.numbers) out += fmt::format(" {}", n);
    out += " )\n";
  }
  return out;
}

bool continuous(const RandomGraph& graph) {
  for (const GraphStep& s : graph.steps) {
    if (!kKinds[s.kind].continuous) return false;
  }
  return true;
}

}  // namespace bgl::compiler
