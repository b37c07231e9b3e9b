// One OpDef is the single source of truth about an operator. From the table come the C++ functions, autograd, the graph compiler,
// the conformance and gradient tests and the operator page of the docs. docs/add_an_operator.md walks through one.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ops/node.h"

namespace bgl::lang {
class Builder;
struct Val;
}  // namespace bgl::lang

namespace bgl::ops {

class Lowering;  // ops/lowering.h

enum class OpClass : uint8_t {
  kLeaf,         // has bytes: parameters, data, results of earlier runs
  kScalar,       // one number, a run-time argument
  kElementwise,  // out[i] = f(in0[i], in1[i], ...): `emit`
  kView,         // the same bytes, another layout: `view`
  kKernel,       // everything else: `lower`
};

// A tensor of the reference: every element as a double, whatever its dtype.
struct RefTensor {
  Shape shape;
  std::vector<double> data;
  double& at(int64_t i) { return data[static_cast<size_t>(i)]; }
  double at(int64_t i) const { return data[static_cast<size_t>(i)]; }
};

// One case for the tests: inputs by meta with the range their values are drawn from, and attributes.
struct Sample {
  struct Input {
    TensorMeta meta;
    double low = -2, high = 2;  // integers are drawn from [low, high)
  };
  std::vector<Input> inputs;
  Attrs attrs;
};

struct Cost {
  double flops = 0;
  double bytes = 0;  // read and written at least once
};

struct OpDef {
  std::string name;
  std::string signature;  // for the docs: "matmul(a[.., M, K], b[.., K, N]) -> [.., M, N]"
  OpClass op_class = OpClass::kKernel;

  // Shapes and types of the outputs; throws Error, named after the op, for operands that do not fit.
  std::vector<TensorMeta> (*infer)(std::span<const TensorMeta> in, const Attrs& attrs) = nullptr;
  // The meaning, in double precision and without tricks: the oracle of every kernel.
  std::vector<RefTensor> (*reference)(std::span<const RefTensor> in, const Attrs& attrs) = nullptr;
  // The same for kElementwise: one element of the output from one of each input.
  double (*scalar_reference)(std::span<const double> in) = nullptr;
  // Gradients of the inputs, written in ops; `grads` has one Value an output, empty where none flows in. An empty Value in the
  // answer: no gradient for that input. Null: not differentiable.
  std::vector<Value> (*gradient)(const Node& node, std::span<const Value> outs, std::span<const Value> grads) = nullptr;

  // kElementwise: the tile code of one tile of elements. Float operands arrive as f32, integers and kBool as i64.
  lang::Val (*emit)(lang::Builder& b, std::span<const lang::Val> in, const Node& node) = nullptr;
  // kView: the layout of the output in the input's buffer; false when no strides can say it (a copy is made first).
  bool (*view)(const Layout& in, const Node& node, Layout& out) = nullptr;
  // kKernel: launches tile kernels, or host code where torch's random stream rules.
  void (*lower)(Lowering& lowering, const Node& node) = nullptr;

  // Pairs (output, input): the output may take the input's memory when nobody else needs the input's old bytes.
  std::vector<std::pair<int, int>> in_place;

  // Null for leaves, numbers and views, which cost nothing.
  Cost (*cost)(const Node& node) = nullptr;
  // How placements pass through: dims of inputs and outputs by letter; "b,k->b" reduces k; "..." any leading dims.
  std::string sharding;
  std::vector<Sample> (*samples)() = nullptr;
  double tolerance = 1e-5;  // relative to max(1, |reference|), for float32
};

// Every operand read and every result written once, and `per_element` flops for each element of the first operand: the cost of what
// is not a product.
Cost streaming_cost(const Node& node, double per_element);

// All operators, in the order of the docs.
std::span<const OpDef* const> op_table();
// Null when there is none of that name.
const OpDef* find_op(const std::string& name);
const OpDef& leaf_op();

// The reference of any node: its op's own, element by element, or through its view.
std::vector<RefTensor> run_reference(const Node& node, std::span<const RefTensor> in);

}  // namespace bgl::ops
