// layer_norm and rms_norm over the last dim, times a weight and plus a bias where they are given. The forward node also returns what
// the gradient needs: mean and rstd, or rstd, a row; the normalised row is made again from them, not kept. Two passes over the row:
// the mean first, then the squares of the differences, as torch's CPU kernel is accurate to.
#include "ops/norm.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "ops/functions.h"
#include "ops/kernels/row_kernels.h"
#include "ops/lowering.h"

namespace bgl::ops {
namespace {

using Metas = std::span<const TensorMeta>;
using Grads = std::vector<Value>;

std::vector<TensorMeta> infer_norm_rows(Metas in, const char* name, size_t stats) {
  BGL_REQUIRE(in[0].dtype == DType::kF32 && !in[0].shape.empty(), "[{}] needs float32 with at least one dim, got {} {}", name,
              dtype_name(in[0].dtype), shape_text(in[0].shape));
  for (size_t i = 1; i < in.size(); ++i) {
    BGL_REQUIRE(in[i].dtype == DType::kF32 && in[i].shape == Shape{in[0].shape.back()}, "[{}] got {} {} {} for rows of {}: needs float32 [{}]", name,
                i == 1 ? "weight" : "bias", dtype_name(in[i].dtype), shape_text(in[i].shape), in[0].shape.back(), in[0].shape.back());
  }
  TensorMeta row{DType::kF32, Shape(in[0].shape.begin(), in[0].shape.end() - 1)};
  std::vector<TensorMeta> out(1 + stats, row);
  out[0] = in[0];
  return out;
}
std::vector<TensorMeta> infer_layer_norm(Metas in, const Attrs&) { return infer_norm_rows(in, "layer_norm", 2); }
std::vector<TensorMeta> infer_rms_norm(Metas in, const Attrs&) { return infer_norm_rows(in, "rms_norm", 1); }

// x, weight?, bias? -> y, mean, rstd (rms_norm: y, rstd).  numbers {eps}
std::vector<RefTensor> ref_norm(std::span<const RefTensor> in, const Attrs& attrs, bool centred) {
  const int64_t c = in[0].shape.back();
  Shape rows(in[0].shape.begin(), in[0].shape.end() - 1);
  RefTensor y{in[0].shape, in[0].data}, mean{rows, {}}, rstd{rows, {}};
  for (int64_t r = 0; r < numel(rows); ++r) {
    double m = 0, v = 0;
    for (int64_t j = 0; centred && j < c; ++j) m += in[0].at(r * c + j);
    m /= static_cast<double>(c);
    for (int64_t j = 0; j < c; ++j) v += (in[0].at(r * c + j) - m) * (in[0].at(r * c + j) - m);
    const double s = 1 / std::sqrt(v / static_cast<double>(c) + attrs.numbers.at(0));
    for (int64_t j = 0; j < c; ++j) {
      y.at(r * c + j) = (in[0].at(r * c + j) - m) * s * (in.size() > 1 ? in[1].at(j) : 1) + (in.size() > 2 ? in[2].at(j) : 0);
    }
    mean.data.push_back(m);
    rstd.data.push_back(s);
  }
  if (!centred) return {y, rstd};
  return {y, mean, rstd};
}
std::vector<RefTensor> ref_layer_norm(std::span<const RefTensor> in, const Attrs& attrs) { return ref_norm(in, attrs, true); }
std::vector<RefTensor> ref_rms_norm(std::span<const RefTensor> in, const Attrs& attrs) { return ref_norm(in, attrs, false); }

Value per_row(const Value& stat, const Value& like) {
  Shape s = stat.shape();
  s.push_back(1);
  return expand(reshape(stat, s), like.shape());
}
// What the gradient of a statistic adds, for second derivatives: d rstd / dx = -rstd^2 y / C.
Value plus_rstd(const Value& dx, const Value& y, const Value& rstd, const Value& g) {
  if (!g) return dx;
  const double c = static_cast<double>(std::max<int64_t>(1, y.size(-1)));
  return sub(dx, mul(y, per_row(div(mul(g, mul(rstd, rstd)), c), y)));
}
// Of x, weight and bias. With y normalised and h = g * weight, dx = rstd * (h - mean(h) - y * mean(h * y)), the mean of h for centred
// rows alone; `plus` adds to dx. Ref: arXiv:1607.06450.
Grads grad_norm(const Node& n, const Value& y, const Value& rstd, const Value& g, bool centred, const std::function<Value(const Value& dx)>& plus) {
  const Value h = n.inputs.size() > 1 ? mul(g, n.inputs[1]) : g;
  const Value centred_h = centred ? sub(h, mean(h, {-1}, true)) : h;
  Grads out = {plus(mul(sub(centred_h, mul(y, mean(mul(h, y), {-1}, true))), per_row(rstd, y)))};
  if (n.inputs.size() > 1) out.push_back(sum_to(mul(g, y), n.inputs[1].shape()));
  if (n.inputs.size() > 2) out.push_back(sum_to(g, n.inputs[2].shape()));
  return out;
}
// Gradients into mean and rstd come from second derivatives alone.
Grads grad_layer_norm(const Node& n, std::span<const Value> out, std::span<const Value> g) {
  const Value &x = n.inputs[0], &mean = out[1], &rstd = out[2];
  const Value y = n.inputs.size() > 1 ? mul(sub(x, per_row(mean, x)), per_row(rstd, x)) : out[0];
  return grad_norm(n, y, rstd, g[0], true, [&](Value dx) {
    if (g[1]) dx = add(dx, per_row(div(g[1], static_cast<double>(std::max<int64_t>(1, x.size(-1)))), x));
    return plus_rstd(dx, y, rstd, g[2]);
  });
}
Grads grad_rms_norm(const Node& n, std::span<const Value> out, std::span<const Value> g) {
  const Value &x = n.inputs[0], &rstd = out[1];
  const Value y = n.inputs.size() > 1 ? mul(x, per_row(rstd, x)) : out[0];
  return grad_norm(n, y, rstd, g[0], false, [&](const Value& dx) { return plus_rstd(dx, y, rstd, g[1]); });
}

// Without weights, with a weight, and, up to `most` operands, with a bias.
std::vector<Sample> samples_norm(size_t most) {
  std::vector<Sample> out;
  for (const Shape& s : {Shape{3, 5}, Shape{2, 2, 64}, Shape{1, 1}, Shape{4, 37}, Shape{0, 8}, Shape{2, 5000}}) {
    out.push_back({{{{DType::kF32, s}}}, {{}, {1e-5}}});
    if (s.size() == 3) continue;
    for (size_t operands = 2; operands <= most; ++operands) {
      out.push_back(out.back());
      out.back().inputs.push_back({{DType::kF32, {s.back()}}});
    }
  }
  return out;
}
std::vector<Sample> samples_layer_norm() { return samples_norm(3); }
std::vector<Sample> samples_rms_norm() { return samples_norm(2); }

const std::vector<OpDef>& norm_table() {
  static const std::vector<OpDef> table = [] {
    OpDef layer;
    layer.name = "layer_norm";
    layer.signature = "layer_norm(x[..., C], weight[C]?, bias[C]?, eps) -> y[..., C], mean[...], rstd[...]";
    layer.infer = infer_layer_norm;
    layer.reference = ref_layer_norm;
    layer.gradient = grad_layer_norm;
    layer.lower = [](Lowering& l, const Node& n) { kernels::lower_norm(l, true, n.inputs.size() > 1, n.inputs.size() > 2, n.attrs.numbers[0]); };
    layer.cost = [](const Node& n) { return streaming_cost(n, 8); };
    layer.sharding = "...c,c,c->...c,...,...";
    layer.samples = samples_layer_norm;
    OpDef rms = layer;
    rms.name = "rms_norm";
    rms.signature = "rms_norm(x[..., C], weight[C]?, eps) -> y[..., C], rstd[...]";
    rms.infer = infer_rms_norm;
    rms.reference = ref_rms_norm;
    rms.gradient = grad_rms_norm;
    rms.lower = [](Lowering& l, const Node& n) { kernels::lower_norm(l, false, n.inputs.size() > 1, false, n.attrs.numbers[0]); };
    rms.cost = [](const Node& n) { return streaming_cost(n, 4); };
    rms.sharding = "...c,c->...c,...";
    rms.samples = samples_rms_norm;
    return std::vector<OpDef>{layer, rms};
  }();
  return table;
}

}  // namespace

std::span<const OpDef> norm_ops() { return norm_table(); }

Value layer_norm(const Value& x, const Value& weight, const Value& bias, double eps) {
  if (bias && !weight) return add(layer_norm(x, {}, {}, eps), bias);
  std::vector<Value> in = {x};
  for (const Value& v : {weight, bias}) {
    if (v) in.push_back(v);
  }
  return {make_node(norm_table()[0], std::move(in), {{}, {eps}}), 0};
}

Value rms_norm(const Value& x, const Value& weight, double eps) {
  std::vector<Value> in = {x};
  if (weight) in.push_back(weight);
  return {make_node(norm_table()[1], std::move(in), {{}, {eps}}), 0};
}

}  // namespace bgl::ops
