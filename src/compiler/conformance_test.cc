// One driver for every operator: each sample of each OpDef, on all layouts of its inputs, through the compiler and its kernels
// against the double-precision reference; the same kernels through the checking interpreter (bounds, uninitialised reads,
// races) and some through the C++ printer, to the same bits; gradients and second derivatives against finite differences of the
// reference.
//
// BGL_CPU_ENGINE=c++ compiler_test --gtest_filter='*Conformance*' takes every kernel through the C++ printer; that takes
// minutes.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <map>
#include <set>

#include "compiler/compile.h"
#include "compiler/differentiate.h"
#include "compiler/testing/double_run.h"
#include "compiler/testing/run_apart.h"
#include "device/device.h"
#include "lang/engine.h"
#include "lang/text.h"
#include "ops/functions.h"
#include "ops/op_def.h"
#include "ops/random.h"

namespace bgl::compiler {
namespace {

using ops::Attrs;
using ops::DType;
using ops::OpDef;
using ops::RefTensor;
using ops::Sample;
using ops::Shape;
using ops::Value;

// Strides are never negative: no operator makes them.
enum class Lay { kContiguous, kTransposed, kStrided, kBroadcast, kOffset };
constexpr Lay kLays[] = {Lay::kContiguous, Lay::kTransposed, Lay::kStrided, Lay::kBroadcast, Lay::kOffset};

Value leaf_of(const RefTensor& t, DType dtype) {
  auto buffer = ops::Buffer::allocate(t.data.size() * static_cast<size_t>(ops::dtype_size(dtype)));
  for (size_t i = 0; i < t.data.size(); ++i) {
    switch (dtype) {
      case DType::kF32:
        buffer->as<float>()[i] = static_cast<float>(t.data[i]);
        break;
      case DType::kI64:
        buffer->as<int64_t>()[i] = static_cast<int64_t>(t.data[i]);
        break;
      case DType::kBF16:
        buffer->as<uint16_t>()[i] = static_cast<uint16_t>(std::bit_cast<uint32_t>(static_cast<float>(t.data[i])) >> 16);
        break;
      case DType::kI32:
        buffer->as<int32_t>()[i] = static_cast<int32_t>(t.data[i]);
        break;
      case DType::kI8:
        buffer->as<int8_t>()[i] = static_cast<int8_t>(t.data[i]);
        break;
      case DType::kBool:
        buffer->as<uint8_t>()[i] = t.data[i] != 0;
        break;
      default:
        ADD_FAILURE() << "no sample uses " << ops::dtype_name(dtype);
    }
  }
  return ops::make_leaf({dtype, t.shape}, buffer, dtype == DType::kF32);
}

// A number of the type, near `u`.
double drawn_as(DType dtype, double u) {
  const auto f = static_cast<float>(u);
  if (dtype == DType::kF32) return f;
  if (dtype == DType::kBF16) return std::bit_cast<float>(std::bit_cast<uint32_t>(f) & 0xffff0000u);
  return std::floor(u);
}

RefTensor draw(const Sample::Input& in, ops::Generator& g) {
  RefTensor t{in.meta.shape, {}};
  for (int64_t i = 0; i < ops::numel(t.shape); ++i) {
    const double u = in.low + (in.high - in.low) * g.uniform_double();
    t.data.push_back(drawn_as(in.meta.dtype, u));
  }
  return t;
}

// A value equal to `t` whose layout in memory is not the plain one.
Value laid_out(RefTensor& t, DType dtype, Lay lay) {
  const auto rank = static_cast<int64_t>(t.shape.size());
  if (lay == Lay::kTransposed && rank >= 2) {
    RefTensor turned = t;
    std::swap(turned.shape[0], turned.shape.back());
    const Value plain = leaf_of(t, dtype);
    // Lay the bytes out turned, look at them turned back.
    std::vector<int64_t> dims(static_cast<size_t>(rank));
    for (size_t i = 0; i < dims.size(); ++i) dims[i] = static_cast<int64_t>(i);
    std::swap(dims.front(), dims.back());
    const auto node = ops::permute(plain, dims);
    turned = ops::run_reference(*node.node, std::vector{t})[0];
    return ops::permute(leaf_of(turned, dtype), dims);
  }
  if (lay == Lay::kStrided && rank >= 1) {
    RefTensor wide{t.shape, {}};
    wide.shape.back() *= 2;
    const int64_t c = t.shape.back();
    for (size_t i = 0; i < t.data.size(); ++i) {
      wide.data.push_back(t.data[i]);
      wide.data.push_back(7);
    }
    if (c == 0) wide.data.clear();
    return ops::slice(leaf_of(wide, dtype), rank - 1, 0, std::max<int64_t>(2 * c, 0), 2);
  }
  if (lay == Lay::kOffset && rank >= 1) {
    RefTensor longer{t.shape,
                     std::vector<double>(static_cast<size_t>(ops::numel(t.shape) / std::max<int64_t>(1, t.shape[0])), 5)};
    longer.shape[0] += 1;
    if (t.shape[0] == 0) longer.data.assign(static_cast<size_t>(ops::numel(longer.shape)), 5);
    longer.data.insert(longer.data.end(), t.data.begin(), t.data.end());
    return ops::slice(leaf_of(longer, dtype), 0, 1, longer.shape[0]);
  }
  if (lay == Lay::kBroadcast && rank >= 1 && t.shape[0] > 1) {
    RefTensor one{t.shape, {}};
    one.shape[0] = 1;
    const auto per = static_cast<size_t>(ops::numel(one.shape));
    one.data.assign(t.data.begin(), t.data.begin() + static_cast<int64_t>(per));
    for (size_t i = per; i < t.data.size(); ++i) t.data[i] = t.data[i - per];
    return ops::expand(leaf_of(one, dtype), t.shape);
  }
  return leaf_of(t, dtype);
}

std::vector<double> numbers(const Value& v) {
  const Value c = v.node->op->op_class == ops::OpClass::kView ? ops::contiguous(v) : v;
  const Status s = evaluate({c});
  EXPECT_TRUE(s.ok()) << s.message();
  if (!s.ok()) return {};
  return elements(*c.node->buffers[static_cast<size_t>(c.index)], c.meta()).data;
}

void expect_close(const std::vector<double>& got, const std::vector<double>& want, double tolerance, const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(got[i], want[i], tolerance * std::max(1.0, std::fabs(want[i])))
        << what << " element " << i << " of " << got.size();
  }
}

class Conformance : public testing::TestWithParam<const OpDef*> {};

TEST_P(Conformance, TheDefinitionIsWhole) {
  const OpDef& op = *GetParam();
  EXPECT_FALSE(op.signature.empty());
  EXPECT_FALSE(op.sharding.empty());
  EXPECT_GT(op.tolerance, 0);
  ASSERT_NE(op.infer, nullptr);
  ASSERT_NE(op.samples, nullptr);
  EXPECT_TRUE(op.emit || op.view || op.lower);
  if (op.op_class == ops::OpClass::kView) return;
  EXPECT_TRUE(op.reference || op.scalar_reference);
  ASSERT_NE(op.cost, nullptr);
  ops::Generator g(3);
  for (const Sample& sample : op.samples()) {
    std::vector<Value> inputs;
    for (const Sample::Input& in : sample.inputs) inputs.push_back(leaf_of(draw(in, g), in.meta.dtype));
    const auto node = ops::make_node(op, inputs, sample.attrs);
    const ops::Cost c = op.cost(*node);
    EXPECT_GE(c.flops, 0);
    // Nothing written into pages moves nothing, however many pages there are.
    const bool moves = ops::numel(node->outs[0].shape) > 0 && op.name != "write_pages";
    EXPECT_TRUE(!moves || c.bytes > 0);
  }
}

// The op's own samples; for what goes element by element also the first of them at sizes 0, 1 and primes.
std::vector<Sample> all_samples(const OpDef& op) {
  std::vector<Sample> out = op.samples();
  if (op.op_class != ops::OpClass::kElementwise) return out;
  const Sample first = out.front();
  for (const Shape& shape : {Shape{0}, Shape{1}, Shape{17}, Shape{2, 0, 3}, Shape{1, 1}, Shape{13, 31}}) {
    Sample sized = first;
    for (Sample::Input& in : sized.inputs) in.meta.shape = shape;
    out.push_back(sized);
  }
  return out;
}

void expect_same_bits(const std::shared_ptr<ops::Node>& node, const KernelRunner& runner,
                      const std::vector<std::vector<double>>& want, const std::string& what) {
  std::vector<Value> outputs;
  for (size_t o = 0; o < want.size(); ++o) outputs.push_back({node, static_cast<int>(o)});
  const auto got = run_apart(outputs, true, runner);
  ASSERT_TRUE(got.ok()) << what << ": " << got.status().message();
  for (size_t o = 0; o < want.size(); ++o) {
    const std::vector<double> data = elements(*(*got)[o], node->outs[o]).data;
    for (size_t i = 0; i < data.size(); ++i) ASSERT_EQ(data[i], want[o][i]) << what << " output " << o << " element " << i;
  }
}

TEST_P(Conformance, KernelsAgreeWithTheReferenceAndTheInterpreter) {
  const OpDef& op = *GetParam();
  ASSERT_NE(op.samples, nullptr) << op.name << " has no samples";
  ops::Generator g(7);
  int index = 0;
  for (const Sample& sample : all_samples(op)) {
    for (const Lay lay : kLays) {
      std::vector<RefTensor> refs;
      std::vector<Value> inputs;
      for (const Sample::Input& in : sample.inputs) {
        refs.push_back(draw(in, g));
        inputs.push_back(laid_out(refs.back(), in.meta.dtype, lay));
      }
      // Two equal nodes: one is computed, the other stays pending for the interpreter.
      const auto node = ops::make_node(op, inputs, sample.attrs), apart = ops::make_node(op, inputs, sample.attrs);
      const auto want = ops::run_reference(*node, refs);
      const auto what = fmt::format("{} sample {} layout {}", op.name, index, static_cast<int>(lay));
      std::vector<std::vector<double>> got;
      for (size_t o = 0; o < want.size(); ++o) {
        got.push_back(numbers({node, static_cast<int>(o)}));
        expect_close(got.back(), want[o].data, op.tolerance, fmt::format("{} output {}", what, o));
      }
      expect_same_bits(apart, interpret_checked, got, what);
    }
    ++index;
  }
}

// d/dx of sum(w * f(x)) by central differences of the reference.
std::vector<double> finite_difference(const ops::Node& node, std::vector<RefTensor> refs, size_t input,
                                      const std::vector<RefTensor>& w) {
  auto loss = [&] {
    const auto out = ops::run_reference(node, refs);
    double s = 0;
    for (size_t o = 0; o < w.size(); ++o) {
      for (size_t i = 0; i < w[o].data.size(); ++i) s += w[o].data[i] * out[o].data[i];
    }
    return s;
  };
  std::vector<double> out;
  for (size_t i = 0; i < refs[input].data.size(); ++i) {
    const double x = refs[input].data[i], h = 1e-4;
    refs[input].data[i] = x + h;
    const double up = loss();
    refs[input].data[i] = x - h;
    const double down = loss();
    refs[input].data[i] = x;
    out.push_back((up - down) / (2 * h));
  }
  return out;
}

TEST_P(Conformance, GradientsAgreeWithFiniteDifferences) {
  const OpDef& op = *GetParam();
  if (!op.gradient || op.name == "cast") return;
  ops::Generator g(11);
  for (const Sample& sample : op.samples()) {
    int64_t elements = 0;
    std::vector<RefTensor> refs;
    std::vector<Value> inputs;
    for (const Sample::Input& in : sample.inputs) {
      refs.push_back(draw(in, g));
      inputs.push_back(leaf_of(refs.back(), in.meta.dtype));
      elements += ops::numel(in.meta.shape);
    }
    if (elements > 2500) continue;  // differences cost elements^2
    const auto node = ops::make_node(op, inputs, sample.attrs);
    if (!node->requires_grad) continue;
    // Only the first output takes part in a loss; the others (statistics, lse) serve the gradient itself.
    std::vector<RefTensor> w(1);
    w[0].shape = node->outs[0].shape;
    for (int64_t i = 0; i < ops::numel(w[0].shape); ++i) w[0].data.push_back(static_cast<float>(g.uniform_double() - 0.5));
    const Value seed = ops::make_leaf({DType::kF32, w[0].shape}, leaf_of(w[0], DType::kF32).node->buffers[0]);
    const std::vector<Value> grads = differentiate({node, 0}, inputs, seed);
    for (size_t k = 0; k < inputs.size(); ++k) {
      if (!grads[k]) continue;
      if (op.name == "rope" && k >= 2) continue;  // the tables are constants
      expect_close(numbers(grads[k]), finite_difference(*node, refs, k, w), 2e-3,
                   fmt::format("{} gradient of input {}", op.name, k));
    }
  }
}

// Operators whose gradient is a kernel without a gradient of its own. torch has second derivatives for most of these; here a
// second backward() says that it has not.
const std::set<std::string> kDifferentiableOnce = {"attention", "cross_entropy"};

TEST_P(Conformance, SecondDerivativesAgreeWithFiniteDifferences) {
  const OpDef& op = *GetParam();
  if (!op.gradient || op.name == "cast") return;
  ops::Generator g(13);
  for (const Sample& sample : op.samples()) {
    int64_t elements = 0;
    std::vector<Value> inputs;
    for (const Sample::Input& in : sample.inputs) {
      inputs.push_back(leaf_of(draw(in, g), in.meta.dtype));
      elements += ops::numel(in.meta.shape);
    }
    if (elements > 300) continue;
    const auto weights = [&](const Value& v) {
      RefTensor w{v.shape(), {}};
      for (int64_t i = 0; i < ops::numel(w.shape); ++i) w.data.push_back(static_cast<float>(g.uniform_double() - 0.5));
      return ops::make_leaf(v.meta(), leaf_of(w, DType::kF32).node->buffers[0]);
    };
    const auto node = ops::make_node(op, inputs, sample.attrs);
    if (!node->requires_grad) continue;
    // The loss whose gradient is taken is itself made of gradients.
    Value loss;
    for (const Value& grad : differentiate({node, 0}, inputs, weights({node, 0}))) {
      if (!grad) continue;
      const Value part = ops::sum(ops::mul(grad, weights(grad)));
      loss = loss ? ops::add(loss, part) : part;
    }
    if (!loss || !loss.node->requires_grad) continue;  // linear in its inputs
    if (kDifferentiableOnce.count(op.name)) {
      try {
        differentiate(loss, inputs);
        ADD_FAILURE() << op.name << " has a second derivative: take it off the list";
      } catch (const Error& e) {
        EXPECT_EQ(e.what(), "[backward] " + op.name + "_grad at backward has no gradient of its own");
      }
      continue;
    }
    const std::vector<Value> second = differentiate(loss, inputs);
    for (size_t k = 0; k < inputs.size(); ++k) {
      if (!second[k]) continue;
      const std::vector<double> got = double_run({second[k]})[0].data;
      RefTensor x = compiler::elements(*inputs[k].node->buffers[0], inputs[k].meta());
      for (size_t i = 0; i < x.data.size(); ++i) {
        const double at = x.data[i], h = 1e-4;
        x.data[i] = at + h;
        const double up = double_run({loss}, {{inputs[k].node.get(), x}})[0].data[0];
        x.data[i] = at - h;
        const double down = double_run({loss}, {{inputs[k].node.get(), x}})[0].data[0];
        x.data[i] = at;
        const double want = (up - down) / (2 * h);
        ASSERT_NEAR(got[i], want, 1e-3 * std::max(1.0, std::fabs(want))) << op.name << " input " << k << " element " << i;
      }
    }
  }
}

// The system's compiler takes half a second a kernel, so only a few of each kind go this way here.
TEST(ConformanceCxx, AFewKernelsThroughTheCxxPrinterGiveTheSameBits) {
  setenv("BGL_CPU_ENGINE", "c++", 1);
  auto device = device::Device::open("cpu", lang::language_services());
  unsetenv("BGL_CPU_ENGINE");
  ASSERT_TRUE(device.ok()) << device.status().message();
  if ((*device)->dialects()[0] != "c++") GTEST_SKIP() << "there is no C++ compiler";
  auto queue = (*device)->queue();
  std::map<std::string, device::Binary> compiled;
  const KernelRunner runner = [&](const lang::Function& fn, std::array<int64_t, 3> grid, std::span<const uint64_t> slots,
                                  std::span<const lang::Buffer>) -> Status {
    const std::string text = lang::to_text(fn);
    if (!compiled.count(text)) {
      BGL_ASSIGN(const std::string source, lang::print_for("c++", fn, (*device)->description()));
      BGL_ASSIGN(compiled[text], (*device)->compile("c++", fn.name, source));
    }
    return (*device)->launch(*queue, compiled[text], grid, slots);
  };
  ops::Generator g(17);
  for (const char* name : {"gelu", "sum", "matmul", "softmax", "attention", "slice_scatter", "packed_linear"}) {
    const OpDef& op = *ops::find_op(name);
    const Sample sample = op.samples().front();
    std::vector<Value> inputs;
    for (const Sample::Input& in : sample.inputs) inputs.push_back(leaf_of(draw(in, g), in.meta.dtype));
    const auto node = ops::make_node(op, inputs, sample.attrs), apart = ops::make_node(op, inputs, sample.attrs);
    std::vector<std::vector<double>> want;
    for (size_t o = 0; o < node->outs.size(); ++o) want.push_back(numbers({node, static_cast<int>(o)}));
    expect_same_bits(apart, runner, want, name);
  }
  EXPECT_GE(compiled.size(), 6u);
}

std::vector<const OpDef*> tested_ops() {
  std::vector<const OpDef*> out;
  for (const OpDef* op : ops::op_table()) {
    if (op->op_class != ops::OpClass::kLeaf && op->op_class != ops::OpClass::kScalar) out.push_back(op);
  }
  return out;
}
INSTANTIATE_TEST_SUITE_P(Ops, Conformance, testing::ValuesIn(tested_ops()), [](const auto& p) { return p.param->name; });

}  // namespace
}  // namespace bgl::compiler
