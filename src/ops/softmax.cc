// softmax, log_softmax and cross-entropy over rows. The cross-entropy node keeps one number a row for its gradient (the log of the
// sum), so the probabilities are never held in memory by the forward pass.
#include "ops/softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/functions.h"
#include "ops/kernels/row_kernels.h"
#include "ops/lowering.h"

namespace bgl::ops {
namespace {

using Metas = std::span<const TensorMeta>;
using Grads = std::vector<Value>;

std::vector<TensorMeta> infer_softmax(Metas in, const Attrs&) {
  BGL_REQUIRE(in[0].dtype == DType::kF32 && !in[0].shape.empty(), "[softmax] needs float32 with at least one dim, got {} {}",
              dtype_name(in[0].dtype), shape_text(in[0].shape));
  return {in[0]};
}
// The log of the sum of exponentials of row r, by way of its maximum.
double ref_lse(const RefTensor& x, int64_t r, int64_t c) {
  double m = -std::numeric_limits<double>::infinity(), s = 0;
  for (int64_t j = 0; j < c; ++j) m = std::max(m, x.at(r * c + j));
  for (int64_t j = 0; j < c; ++j) s += std::exp(x.at(r * c + j) - m);
  return m + std::log(s);
}
std::vector<RefTensor> ref_log_softmax(std::span<const RefTensor> in, const Attrs&) {
  RefTensor y = in[0];
  const int64_t c = in[0].shape.back();
  for (int64_t r = 0; c > 0 && r < numel(in[0].shape) / c; ++r) {
    const double lse = ref_lse(in[0], r, c);
    for (int64_t j = 0; j < c; ++j) y.at(r * c + j) -= lse;
  }
  return {y};
}
std::vector<RefTensor> ref_softmax(std::span<const RefTensor> in, const Attrs& attrs) {
  std::vector<RefTensor> y = ref_log_softmax(in, attrs);
  for (double& v : y[0].data) v = std::exp(v);
  return y;
}
Grads grad_softmax(const Node&, std::span<const Value> y, std::span<const Value> g) {
  return {mul(y[0], sub(g[0], sum(mul(g[0], y[0]), {-1}, true)))};
}
Grads grad_log_softmax(const Node&, std::span<const Value> y, std::span<const Value> g) {
  return {sub(g[0], mul(exp(y[0]), sum(g[0], {-1}, true)))};
}

// cross_entropy(logits[R, V], targets[R]); ints {ignore_index} -> loss[R], lse[R]
std::vector<TensorMeta> infer_cross_entropy(Metas in, const Attrs&) {
  BGL_REQUIRE(in[0].dtype == DType::kF32 && in[0].shape.size() == 2 && in[1].dtype == DType::kI64 && in[1].shape == Shape{in[0].shape[0]},
              "[cross_entropy] got logits {} {} and targets {} {}: needs float32 [R, V] and int64 [R]", dtype_name(in[0].dtype),
              shape_text(in[0].shape), dtype_name(in[1].dtype), shape_text(in[1].shape));
  const TensorMeta row{DType::kF32, {in[0].shape[0]}};
  return {row, row};
}
std::vector<RefTensor> ref_cross_entropy(std::span<const RefTensor> in, const Attrs& attrs) {
  const int64_t rows = in[0].shape[0], v = in[0].shape[1];
  RefTensor loss{{rows}, {}}, lse{{rows}, {}};
  for (int64_t r = 0; r < rows; ++r) {
    const auto t = static_cast<int64_t>(in[1].at(r));
    lse.data.push_back(ref_lse(in[0], r, v));
    loss.data.push_back(t == attrs.ints.at(0) ? 0 : lse.at(r) - in[0].at(r * v + t));
  }
  return {loss, lse};
}
Grads grad_cross_entropy(const Node& n, std::span<const Value> out, std::span<const Value> g);

// (exp(logits - lse) - onehot(target)) * g, 0 for ignored rows.
std::vector<TensorMeta> infer_cross_entropy_grad(Metas in, const Attrs&) { return {in[0]}; }
std::vector<RefTensor> ref_cross_entropy_grad(std::span<const RefTensor> in, const Attrs& attrs) {
  const int64_t rows = in[0].shape[0], v = in[0].shape[1];
  RefTensor out = in[0];
  for (int64_t r = 0; r < rows; ++r) {
    const auto t = static_cast<int64_t>(in[1].at(r));
    for (int64_t j = 0; j < v; ++j) {
      const double p = std::exp(in[0].at(r * v + j) - in[2].at(r)) - (j == t ? 1 : 0);
      out.at(r * v + j) = t == attrs.ints.at(0) ? 0 : p * in[3].at(r);
    }
  }
  return {out};
}

std::vector<Sample> samples_softmax() {
  std::vector<Sample> out;
  for (const Shape& s : {Shape{3, 5}, Shape{2, 2, 64}, Shape{1, 1}, Shape{4, 37}, Shape{0, 8}, Shape{2, 5003}}) {
    out.push_back({{{{DType::kF32, s}, -8, 8}}, {}});
  }
  return out;
}
std::vector<Sample> samples_cross_entropy() {
  std::vector<Sample> out;
  for (const auto& [r, v] : {std::pair<int64_t, int64_t>{3, 5}, {1, 1}, {7, 65}, {2, 3000}, {0, 4}}) {
    out.push_back({{{{DType::kF32, {r, v}}, -5, 5}, {{DType::kI64, {r}}, 0, static_cast<double>(v)}}, {{-100}, {}}});
  }
  out.push_back({{{{DType::kF32, {6, 3}}, -5, 5}, {{DType::kI64, {6}}, 0, 3}}, {{1}, {}}});
  return out;
}
std::vector<Sample> samples_cross_entropy_grad() {
  std::vector<Sample> out = samples_cross_entropy();
  for (Sample& s : out) {
    const Shape rows = s.inputs[1].meta.shape;
    s.inputs.push_back({{DType::kF32, rows}, 4, 9});
    s.inputs.push_back({{DType::kF32, rows}, -1, 1});
  }
  return out;
}

std::vector<OpDef> make_softmax_table() {
  OpDef soft;
  soft.name = "softmax";
  soft.signature = "softmax(x[..., C]) -> y[..., C]";
  soft.infer = infer_softmax;
  soft.reference = ref_softmax;
  soft.gradient = grad_softmax;
  soft.lower = [](Lowering& l, const Node&) { kernels::lower_softmax(l, false); };
  soft.cost = [](const Node& n) { return streaming_cost(n, 4); };
  soft.sharding = "...c->...c";
  soft.samples = samples_softmax;
  OpDef log_soft = soft;
  log_soft.name = "log_softmax";
  log_soft.signature = "log_softmax(x[..., C]) -> y[..., C]";
  log_soft.reference = ref_log_softmax;
  log_soft.gradient = grad_log_softmax;
  log_soft.lower = [](Lowering& l, const Node&) { kernels::lower_softmax(l, true); };
  OpDef ce;
  ce.name = "cross_entropy";
  ce.signature = "cross_entropy(logits[R, V], targets[R], ignore_index) -> loss[R], lse[R]";
  ce.infer = infer_cross_entropy;
  ce.reference = ref_cross_entropy;
  ce.gradient = grad_cross_entropy;
  ce.lower = [](Lowering& l, const Node& n) { kernels::lower_cross_entropy(l, n.attrs.ints[0]); };
  ce.cost = soft.cost;
  ce.sharding = "rv,r->r,r";
  ce.samples = samples_cross_entropy;
  OpDef ce_grad;
  ce_grad.name = "cross_entropy_grad";
  ce_grad.signature = "cross_entropy_grad(logits[R, V], targets[R], lse[R], g[R], ignore_index) -> [R, V]";
  ce_grad.infer = infer_cross_entropy_grad;
  ce_grad.reference = ref_cross_entropy_grad;
  ce_grad.lower = [](Lowering& l, const Node& n) { kernels::lower_cross_entropy_grad(l, n.attrs.ints[0]); };
  ce_grad.cost = soft.cost;
  ce_grad.sharding = "rv,r,r,r->rv";
  ce_grad.samples = samples_cross_entropy_grad;
  return {soft, log_soft, ce, ce_grad};
}
const std::vector<OpDef>& softmax_table() {
  static const std::vector<OpDef> table = make_softmax_table();
  return table;
}

Grads grad_cross_entropy(const Node& n, std::span<const Value> out, std::span<const Value> g) {
  return {Value{make_node(softmax_table()[3], {n.inputs[0], n.inputs[1], out[1], g[0]}, n.attrs), 0}, Value{}};
}

Value along_dim(const OpDef& op, const Value& a, int64_t dim) {
  const int64_t d = normalize_dim(dim, a.rank(), op.name.c_str());
  if (d == a.rank() - 1) return {make_node(op, {a}), 0};
  return transpose(Value{make_node(op, {transpose(a, d, -1)}), 0}, d, -1);
}

}  // namespace

std::span<const OpDef> softmax_ops() { return softmax_table(); }

Value softmax(const Value& a, int64_t dim) { return along_dim(softmax_table()[0], a, dim); }
Value log_softmax(const Value& a, int64_t dim) { return along_dim(softmax_table()[1], a, dim); }

Value cross_entropy_rows(const Value& logits, const Value& targets, int64_t ignore_index) {
  return {make_node(softmax_table()[2], {logits, targets}, {{ignore_index}, {}}), 0};
}

Value cross_entropy(const Value& logits, const Value& targets, int64_t ignore_index) {
  const int64_t rows = numel(targets.shape());
  BGL_REQUIRE(logits.rank() >= 1 && numel(logits.shape()) == rows * logits.size(-1), "[cross_entropy] got logits {} and targets {}",
              shape_text(logits.shape()), shape_text(targets.shape()));
  const Value flat = reshape(targets, {rows});
  const Value losses = cross_entropy_rows(reshape(logits, {rows, logits.size(-1)}), flat, ignore_index);
  const Value counts = cast(not_equal(flat, full({rows}, static_cast<double>(ignore_index), DType::kI64)), DType::kF32);
  return div(sum(losses), sum(counts));
}

}  // namespace bgl::ops
