// Where values come from: leaves, run-time numbers, arange; and contiguous, the copy that lays a view out in a row.
#include "ops/creation.h"

#include "ops/functions.h"
#include "ops/kernels/index_kernels.h"
#include "ops/lowering.h"

namespace bgl::ops {
namespace {

using Metas = std::span<const TensorMeta>;

std::vector<TensorMeta> infer_none(Metas, const Attrs&) { return {}; }
// ints: dtype
std::vector<TensorMeta> infer_scalar(Metas, const Attrs& attrs) { return {{static_cast<DType>(attrs.ints.at(0)), {}}}; }
// ints: n, dtype
std::vector<TensorMeta> infer_arange(Metas, const Attrs& attrs) {
  BGL_REQUIRE(attrs.ints.at(0) >= 0, "[arange] n is {}", attrs.ints[0]);
  return {{static_cast<DType>(attrs.ints.at(1)), {attrs.ints[0]}}};
}
std::vector<RefTensor> ref_arange(std::span<const RefTensor>, const Attrs& attrs) {
  RefTensor out{{attrs.ints[0]}, {}};
  for (int64_t i = 0; i < attrs.ints[0]; ++i) out.data.push_back(static_cast<double>(i));
  return {out};
}
std::vector<TensorMeta> infer_contiguous(Metas in, const Attrs&) { return {in[0]}; }
std::vector<RefTensor> ref_contiguous(std::span<const RefTensor> in, const Attrs&) { return {in[0]}; }
std::vector<Value> grad_contiguous(const Node&, std::span<const Value>, std::span<const Value> g) { return {g[0]}; }
std::vector<Sample> samples_arange() {
  const auto f32 = static_cast<int64_t>(DType::kF32), i64 = static_cast<int64_t>(DType::kI64);
  return {{{}, {{0, i64}, {}}}, {{}, {{1, i64}, {}}}, {{}, {{37, f32}, {}}}};
}
std::vector<Sample> samples_contiguous() { return {{{{{DType::kF32, {3, 5}}}}, {}}, {{{{DType::kI64, {2, 0}}}}, {}}, {{{{DType::kF32, {}}}}, {}}}; }

const std::vector<OpDef>& creation_table() {
  static const std::vector<OpDef> table = [] {
    OpDef leaf;
    leaf.name = "leaf";
    leaf.signature = "leaf() -> x";
    leaf.op_class = OpClass::kLeaf;
    leaf.infer = infer_none;
    OpDef number;
    number.name = "scalar";
    number.signature = "scalar(value, dtype) -> x[]";
    number.op_class = OpClass::kScalar;
    number.infer = infer_scalar;
    OpDef range;
    range.name = "arange";
    range.signature = "arange(n, dtype) -> x[n]";
    range.infer = infer_arange;
    range.reference = ref_arange;
    range.lower = [](Lowering& l, const Node&) { kernels::lower_arange(l); };
    range.cost = [](const Node& n) { return streaming_cost(n, 0); };
    range.sharding = "->n";
    range.samples = samples_arange;
    OpDef copy;
    copy.name = "contiguous";
    copy.signature = "contiguous(x) -> y";
    copy.infer = infer_contiguous;
    copy.reference = ref_contiguous;
    copy.gradient = grad_contiguous;
    copy.lower = [](Lowering& l, const Node&) { lower_copy(l, l.in(0), l.out()); };
    copy.cost = range.cost;
    copy.sharding = "...->...";
    copy.samples = samples_contiguous;
    return std::vector<OpDef>{leaf, number, range, copy};
  }();
  return table;
}

}  // namespace

std::span<const OpDef> creation_ops() { return creation_table(); }
const OpDef& leaf_op() { return creation_table()[0]; }

Value scalar(double value, DType dtype) {
  const auto node = make_node(creation_table()[1], {}, {{static_cast<int64_t>(dtype)}, {}});
  node->scalar = value;
  return {node, 0};
}
Value full(const Shape& shape, double value, DType dtype) { return expand(scalar(value, dtype), shape); }
Value zeros_like(const Value& x) { return full(x.shape(), 0, x.dtype()); }
Value arange(int64_t n, DType dtype) { return {make_node(creation_table()[2], {}, {{n, static_cast<int64_t>(dtype)}, {}}), 0}; }
Value contiguous(const Value& a) { return {make_node(creation_table()[3], {a}), 0}; }

}  // namespace bgl::ops
