// layer_norm and rms_norm over the last dim. The forward node also returns what the gradient needs: mean and rstd, or rstd, a
// row. Two passes over the row: the mean first, then the squares of the differences, as torch's CPU kernel is accurate to.
#include "ops/norm.h"

#include <algorithm>

#include <cmath>

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
  TensorMeta row{DType::kF32, Shape(in[0].shape.begin(), in[0].shape.end() - 1)};
  std::vector<TensorMeta> out(1 + stats, row);
  out[0] = in[0];
  return out;
}
std::vector<TensorMeta> infer_layer_norm(Metas in, const Attrs&) { return infer_norm_rows(in, "layer_norm", 2); }
std::vector<TensorMeta> infer_rms_norm(Metas in, const Attrs&) { return infer_norm_rows(in, "rms_norm", 1); }

// x -> (x - mean) * rstd, mean, rstd.  numbers {eps}
std::vector<RefTensor> ref_layer_norm(std::span<const RefTensor> in, const Attrs& attrs) {
  const int64_t c = in[0].shape.back();
  Shape rows(in[0].shape.begin(), in[0].shape.end() - 1);
  RefTensor y{in[0].shape, in[0].data}, mean{rows, {}}, rstd{rows, {}};
  for (int64_t r = 0; r < numel(rows); ++r) {
    double m = 0, v = 0;
    for (int64_t j = 0; j < c; ++j) m += in[0].at(r * c + j);
    m /= static_cast<double>(c);
    for (int64_t j = 0; j < c; ++j) v += (in[0].at(r * c + j) - m) * (in[0].at(r * c + j) - m);
    const double s = 1 / std::sqrt(v / static_cast<double>(c) + attrs.numbers.at(0));
    for (int64_t j = 0; j < c; ++j) y.at(r * c + j) = (in[0].at(r * c + j) - m) * s;
    mean.data.push_back(m);
    rstd.data.push_back(s);
  }
  return {y, mean, rstd};
}
std::vector<RefTensor> ref_rms_norm(std::span<const RefTensor> in, const Attrs& attrs) {
  const int64_t c = in[0].shape.back();
  Shape rows(in[0].shape.begin(), in[0].shape.end() - 1);
  RefTensor y{in[0].shape, in[0].data}, rstd{rows, {}};
  for (int64_t r = 0; r < numel(rows); ++r) {
    double v = 0;
    for (int64_t j = 0; j < c; ++j) v += in[0].at(r * c + j) * in[0].at(r * c + j);
    const double s = 1 / std::sqrt(v / static_cast<double>(c) + attrs.numbers.at(0));
    for (int64_t j = 0; j < c; ++j) y.at(r * c + j) = in[0].at(r * c + j) * s;
    rstd.data.push_back(s);
  }
  return {y, rstd};
}

Value per_row(const Value& stat, const Value& like) {
  Shape s = stat.shape();
  s.push_back(1);
  return expand(reshape(stat, s), like.shape());
}
// dx = rstd * (g - mean(g) - y * mean(g * y)).  Ref: arXiv:1607.06450. Gradients into mean and rstd come from second derivatives alone.
// What the gradient of a statistic adds, for second derivatives: d rstd / dx = -rstd^2 y / C.
Value plus_rstd(const Value& dx, const Value& y, const Value& rstd, const Value& g) {
  if (!g) return dx;
  const double c = static_cast<double>(std::max<int64_t>(1, y.size(-1)));
  return sub(dx, mul(y, per_row(div(mul(g, mul(rstd, rstd)), c), y)));
}
Grads grad_layer_norm(const Node&, std::span<const Value> out, std::span<const Value> g) {
  const Value &y = out[0], &rstd = out[2];
  const Value centred = sub(g[0], mean(g[0], {-1}, true));
  Value dx = mul(sub(centred, mul(y, mean(mul(g[0], y), {-1}, true))), per_row(rstd, y));
  if (g[1]) dx = add(dx, per_row(div(g[1], static_cast<double>(std::max<int64_t>(1, y.size(-1)))), y));
  return {plus_rstd(dx, y, rstd, g[2])};
}
Grads grad_rms_norm(const Node&, std::span<const Value> out, std::span<const Value> g) {
  const Value &y = out[0], &rstd = out[1];
  const Value dx = mul(sub(g[0], mul(y, mean(mul(g[0], y), {-1}, true))), per_row(rstd, y));
  return {plus_rstd(dx, y, rstd, g[1])};
}

std::vector<Sample> samples_norm() {
  std::vector<Sample> out;
  for (const Shape& s : {Shape{3, 5}, Shape{2, 2, 64}, Shape{1, 1}, Shape{4, 37}, Shape{0, 8}, Shape{2, 5000}}) {
    out.push_back({{{{DType::kF32, s}}}, {{}, {1e-5}}});
  }
  return out;
}

const std::vector<OpDef>& norm_table() {
  static const std::vector<OpDef> table = [] {
    OpDef layer;
    layer.name = "layer_norm";
    layer.signature = "layer_norm(x[..., C], eps) -> y[..., C], mean[...], rstd[...]";
    layer.infer = infer_layer_norm;
    layer.reference = ref_layer_norm;
    layer.gradient = grad_layer_norm;
    layer.lower = [](Lowering& l, const Node& n) { kernels::lower_layer_norm(l, n.attrs.numbers[0]); };
    layer.cost = [](const Node& n) { return streaming_cost(n, 8); };
    layer.sharding = "...c->...c,...,...";
    layer.samples = samples_norm;
    OpDef rms = layer;
    rms.name = "rms_norm";
    rms.signature = "rms_norm(x[..., C], eps) -> y[..., C], rstd[...]";
    rms.infer = infer_rms_norm;
    rms.reference = ref_rms_norm;
    rms.gradient = grad_rms_norm;
    rms.lower = [](Lowering& l, const Node& n) { kernels::lower_rms_norm(l, n.attrs.numbers[0]); };
    rms.cost = [](const Node& n) { return streaming_cost(n, 4); };
    rms.sharding = "...c->...c,...";
    return std::vector<OpDef>{layer, rms};
  }();
  return table;
}

}  // namespace

std::span<const OpDef> norm_ops() { return norm_table(); }

Value layer_norm(const Value& x, const Value& weight, const Value& bias, double eps) {
  Value y{make_node(norm_table()[0], {x}, {{}, {eps}}), 0};
  if (weight) y = mul(y, weight);
  return bias ? add(y, bias) : y;
}

Value rms_norm(const Value& x, const Value& weight, double eps) {
  const Value y{make_node(norm_table()[1], {x}, {{}, {eps}}), 0};
  return weight ? mul(y, weight) : y;
}

}  // namespace bgl::ops
