// The optimizer's step as one operator, so that parameters and moments go through memory once and are updated in place.
#include "ops/optim.h"

#include <cmath>

#include "ops/functions.h"
#include "ops/kernels/index_kernels.h"
#include "ops/lowering.h"

namespace bgl::ops {
namespace {

// adamw(p, g, m, v, lr, decay, bias1, bias2_sqrt, scale); numbers {beta1, beta2, eps} -> p, m, v
std::vector<TensorMeta> infer_adamw(std::span<const TensorMeta> in, const Attrs&) {
  for (size_t i = 0; i < 4; ++i) {
    BGL_REQUIRE(in[i] == in[0] && in[i].dtype == DType::kF32, "[adamw] parameter {} {} and operand {} {} differ or are not float32",
                dtype_name(in[0].dtype), shape_text(in[0].shape), dtype_name(in[i].dtype), shape_text(in[i].shape));
  }
  for (size_t i = 4; i < 9; ++i) BGL_REQUIRE(numel(in[i].shape) == 1, "[adamw] operand {} has shape {}, not one number", i, shape_text(in[i].shape));
  return {in[0], in[0], in[0]};
}
std::vector<RefTensor> ref_adamw(std::span<const RefTensor> in, const Attrs& attrs) {
  const double lr = in[4].at(0), decay = in[5].at(0), bias1 = in[6].at(0), bias2_sqrt = in[7].at(0), scale = in[8].at(0);
  const double beta1 = attrs.numbers.at(0), beta2 = attrs.numbers.at(1), eps = attrs.numbers.at(2);
  std::vector<RefTensor> out = {in[0], in[2], in[3]};
  for (int64_t i = 0; i < numel(in[0].shape); ++i) {
    const double g = in[1].at(i) * scale;
    out[1].at(i) = in[2].at(i) + (g - in[2].at(i)) * (1 - beta1);
    out[2].at(i) = in[3].at(i) * beta2 + g * g * (1 - beta2);
    out[0].at(i) = in[0].at(i) * decay - lr / bias1 * out[1].at(i) / (std::sqrt(out[2].at(i)) / bias2_sqrt + eps);
  }
  return out;
}
std::vector<Sample> samples_adamw() {
  std::vector<Sample> out;
  for (const Shape& s : {Shape{1}, Shape{17}, Shape{3, 40}, Shape{0}}) {
    Sample one;
    for (int i = 0; i < 3; ++i) one.inputs.push_back({{DType::kF32, s}, -1, 1});
    one.inputs.push_back({{DType::kF32, s}, 0.1, 1});
    for (const double x : {0.01, 0.99, 0.3, 0.2, 0.7}) one.inputs.push_back({{DType::kF32, {}}, x, x + 1e-3});
    one.attrs.numbers = {0.9, 0.95, 1e-8};
    out.push_back(one);
  }
  return out;
}
const std::vector<OpDef>& optim_table() {
  static const std::vector<OpDef> table = [] {
    OpDef op;
    op.name = "adamw";
    op.signature = "adamw(param, grad, exp_avg, exp_avg_sq, lr, decay, bias1, bias2_sqrt, scale) -> param, exp_avg, exp_avg_sq";
    op.infer = infer_adamw;
    op.reference = ref_adamw;
    op.lower = [](Lowering& l, const Node& n) { kernels::lower_adamw(l, n.attrs.numbers[0], n.attrs.numbers[1], n.attrs.numbers[2]); };
    op.in_place = {{0, 0}, {1, 2}, {2, 3}};
    op.cost = [](const Node& n) { return streaming_cost(n, 14); };
    op.sharding = "...,...,...,...->...,...,...";
    op.samples = samples_adamw;
    return std::vector<OpDef>{op};
  }();
  return table;
}

}  // namespace

std::span<const OpDef> optim_ops() { return optim_table(); }

AdamWResult adamw(const Value& param, const Value& grad, const Value& exp_avg, const Value& exp_avg_sq, const Value& lr,
                  const Value& decay, const Value& bias1, const Value& bias2_sqrt, const Value& scale, double beta1, double beta2,
                  double eps) {
  const auto node =
      make_node(optim_table()[0], {param, grad, exp_avg, exp_avg_sq, lr, decay, bias1, bias2_sqrt, scale}, {{}, {beta1, beta2, eps}});
  return {Value{node, 0}, Value{node, 1}, Value{node, 2}};
}

}  // namespace bgl::ops
