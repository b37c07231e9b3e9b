// Sums, maxima and the first maximum along dims. The order of a sum is fixed by the logical shape (ARCHITECTURE.md, numbers and
// order): over trailing dims it is a row reduction, over leading dims a column reduction; the layout in memory does not matter.
#include "ops/reduce.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/functions.h"
#include "ops/kernels/reduce_kernels.h"
#include "ops/lowering.h"

namespace bgl::ops {
namespace {

using Metas = std::span<const TensorMeta>;
using Grads = std::vector<Value>;

// ints: the reduced dims, ascending. The outputs drop them; keepdim is a reshape after it.
std::vector<TensorMeta> infer_reduce(Metas in, const Attrs& attrs) {
  TensorMeta out{in[0].dtype, {}};
  for (size_t d = 0; d < in[0].shape.size(); ++d) {
    const bool reduced = std::count(attrs.ints.begin(), attrs.ints.end(), static_cast<int64_t>(d)) > 0;
    if (!reduced) out.shape.push_back(in[0].shape[d]);
  }
  return {out};
}
std::vector<TensorMeta> infer_sum(Metas in, const Attrs& attrs) {
  BGL_REQUIRE(in[0].dtype == DType::kF32, "[sum] needs float32, got {}: cast it first", dtype_name(in[0].dtype));
  return infer_reduce(in, attrs);
}
std::vector<TensorMeta> infer_amax(Metas in, const Attrs& attrs) {
  BGL_REQUIRE(in[0].dtype == DType::kF32, "[amax] needs float32, got {}: cast it first", dtype_name(in[0].dtype));
  for (const int64_t d : attrs.ints) {
    BGL_REQUIRE(in[0].shape[static_cast<size_t>(d)] > 0, "[amax] the maximum over dim {} of size 0 is undefined", d);
  }
  return infer_reduce(in, attrs);
}
std::vector<TensorMeta> infer_argmax(Metas in, const Attrs& attrs) {
  std::vector<TensorMeta> out = infer_amax(in, attrs);
  out[0].dtype = DType::kI64;
  return out;
}

// Calls fn(output index, input index, position along the reduced dims) for every element.
template <typename F>
void for_reduced(const Shape& shape, const Attrs& attrs, F fn) {
  const auto rank = shape.size();
  std::vector<int64_t> out_stride(rank, 0), red_stride(rank, 0);
  int64_t out_step = 1, red_step = 1;
  for (size_t d = rank; d-- > 0;) {
    const bool reduced = std::count(attrs.ints.begin(), attrs.ints.end(), static_cast<int64_t>(d)) > 0;
    (reduced ? red_stride : out_stride)[d] = reduced ? red_step : out_step;
    (reduced ? red_step : out_step) *= shape[d];
  }
  for (int64_t i = 0; i < numel(shape); ++i) {
    int64_t rest = i, o = 0, r = 0;
    for (size_t d = rank; d-- > 0;) {
      o += rest % shape[d] * out_stride[d];
      r += rest % shape[d] * red_stride[d];
      rest /= shape[d];
    }
    fn(o, i, r);
  }
}
std::vector<RefTensor> ref_sum(std::span<const RefTensor> in, const Attrs& attrs) {
  RefTensor out{infer_reduce(std::vector<TensorMeta>{{DType::kF32, in[0].shape}}, attrs)[0].shape, {}};
  out.data.assign(static_cast<size_t>(numel(out.shape)), 0);
  for_reduced(in[0].shape, attrs, [&](int64_t o, int64_t i, int64_t) { out.at(o) += in[0].at(i); });
  return {out};
}
std::vector<RefTensor> ref_amax(std::span<const RefTensor> in, const Attrs& attrs) {
  RefTensor out{infer_reduce(std::vector<TensorMeta>{{DType::kF32, in[0].shape}}, attrs)[0].shape, {}};
  out.data.assign(static_cast<size_t>(numel(out.shape)), -std::numeric_limits<double>::infinity());
  for_reduced(in[0].shape, attrs, [&](int64_t o, int64_t i, int64_t) { out.at(o) = std::max(out.at(o), in[0].at(i)); });
  return {out};
}
std::vector<RefTensor> ref_argmax(std::span<const RefTensor> in, const Attrs& attrs) {
  RefTensor best = ref_amax(in, attrs)[0];
  RefTensor out{best.shape, std::vector<double>(best.data.size(), -1)};
  for_reduced(in[0].shape, attrs, [&](int64_t o, int64_t i, int64_t r) {
    if (out.at(o) < 0 && in[0].at(i) == best.at(o)) out.at(o) = static_cast<double>(r);
  });
  return {out};
}

// A gradient of the reduced shape seen at the full shape again.
Value unreduce(const Node& n, const Value& g) {
  Shape kept = n.inputs[0].shape();
  for (const int64_t d : n.attrs.ints) kept[static_cast<size_t>(d)] = 1;
  return expand(reshape(g, kept), n.inputs[0].shape());
}
Grads grad_sum(const Node& n, std::span<const Value>, std::span<const Value> g) { return {unreduce(n, g[0])}; }
Grads grad_amax(const Node& n, std::span<const Value> y, std::span<const Value> g) {
  // Equal maxima share the gradient evenly, as torch.amax does.
  const Value hit = cast(equal(n.inputs[0], unreduce(n, y[0])), n.inputs[0].dtype());
  return {mul(hit, unreduce(n, div(g[0], sum(hit, n.attrs.ints))))};
}

void lower_sum(Lowering& l, const Node& node) { kernels::lower_reduce(l, node.attrs.ints, kernels::Reduce::kSum); }
void lower_amax(Lowering& l, const Node& node) { kernels::lower_reduce(l, node.attrs.ints, kernels::Reduce::kMax); }
void lower_argmax(Lowering& l, const Node& node) { kernels::lower_argmax(l, node.attrs.ints); }

Cost cost_reduce(const Node& node) { return streaming_cost(node, 1); }

std::vector<Sample> samples_reduce() {
  auto f32 = [](Shape s) { return Sample::Input{{DType::kF32, std::move(s)}}; };
  return {{{f32({7})}, {{0}, {}}},          {{f32({3, 5})}, {{1}, {}}},       {{f32({3, 5})}, {{0}, {}}},
          {{f32({2, 3, 4})}, {{1}, {}}},    {{f32({2, 3, 4})}, {{0, 2}, {}}}, {{f32({130, 3})}, {{0}, {}}},
          {{f32({2, 37})}, {{0, 1}, {}}},   {{f32({1, 1})}, {{1}, {}}},       {{f32({2, 5003})}, {{1}, {}}},
          {{f32({200, 33})}, {{0}, {}}},    {{f32({0, 3})}, {{1}, {}}}};
}
std::vector<Sample> samples_sum() {
  std::vector<Sample> out = samples_reduce();
  out.push_back({{{{DType::kF32, {3, 0}}}}, {{1}, {}}});
  out.push_back({{{{DType::kF32, {0, 3}}}}, {{0}, {}}});
  return out;
}
std::vector<Sample> samples_argmax() {
  std::vector<Sample> out;
  for (Sample& s : samples_reduce()) {
    if (s.attrs.ints.size() == 1) out.push_back(std::move(s));
  }
  return out;
}

std::vector<OpDef> make_reduce_table() {
  OpDef sum_op;
  sum_op.name = "sum";
  sum_op.signature = "sum(x, dims) -> y";
  sum_op.infer = infer_sum;
  sum_op.reference = ref_sum;
  sum_op.gradient = grad_sum;
  sum_op.lower = lower_sum;
  sum_op.cost = cost_reduce;
  sum_op.sharding = "reduce";
  sum_op.samples = samples_sum;
  OpDef max_op = sum_op;
  max_op.name = "amax";
  max_op.signature = "amax(x, dims) -> y";
  max_op.infer = infer_amax;
  max_op.reference = ref_amax;
  max_op.gradient = grad_amax;
  max_op.lower = lower_amax;
  max_op.samples = samples_reduce;
  OpDef arg_op = max_op;
  arg_op.name = "argmax";
  arg_op.signature = "argmax(x, dim) -> int64";
  arg_op.infer = infer_argmax;
  arg_op.reference = ref_argmax;
  arg_op.gradient = nullptr;
  arg_op.lower = lower_argmax;
  arg_op.samples = samples_argmax;
  return {sum_op, max_op, arg_op};
}
const std::vector<OpDef>& reduce_table() {
  static const std::vector<OpDef> table = make_reduce_table();
  return table;
}

Value reduce(const OpDef& op, const Value& a, std::vector<int64_t> dims, bool keepdim) {
  if (dims.empty()) {
    for (int64_t d = 0; d < a.rank(); ++d) dims.push_back(d);
  }
  for (int64_t& d : dims) d = normalize_dim(d, a.rank(), op.name.c_str());
  std::sort(dims.begin(), dims.end());
  BGL_REQUIRE(std::adjacent_find(dims.begin(), dims.end()) == dims.end(), "[{}] a dim is named twice", op.name);
  if (a.rank() == 0) dims.clear();
  Value out{make_node(op, {a}, {dims, {}}), 0};
  if (!keepdim) return out;
  Shape kept = a.shape();
  for (const int64_t d : dims) kept[static_cast<size_t>(d)] = 1;
  return reshape(out, kept);
}

}  // namespace

std::span<const OpDef> reduce_ops() { return reduce_table(); }

Value sum(const Value& a, std::vector<int64_t> dims, bool keepdim) { return reduce(reduce_table()[0], a, std::move(dims), keepdim); }
Value amax(const Value& a, std::vector<int64_t> dims, bool keepdim) { return reduce(reduce_table()[1], a, std::move(dims), keepdim); }
Value argmax(const Value& a, int64_t dim) { return reduce(reduce_table()[2], a, {dim}, false); }

Value mean(const Value& a, std::vector<int64_t> dims, bool keepdim) {
  const Value total = sum(a, std::move(dims), keepdim);
  return div(total, static_cast<double>(numel(a.shape())) / static_cast<double>(std::max<int64_t>(numel(total.shape()), 1)));
}

Value sum_to(const Value& a, const Shape& shape) {
  if (a.shape() == shape) return a;
  const size_t lead = a.shape().size() - shape.size();
  std::vector<int64_t> dims;
  for (size_t d = 0; d < a.shape().size(); ++d) {
    if (d < lead || (shape[d - lead] == 1 && a.shape()[d] != 1)) dims.push_back(static_cast<int64_t>(d));
  }
  return reshape(dims.empty() ? a : sum(a, dims), shape);
}

}  // namespace bgl::ops
