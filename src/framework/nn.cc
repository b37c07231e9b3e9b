#include "framework/nn.h"

#include <cmath>
#include <unordered_set>

#include "framework/functional.h"
#include "framework/random.h"

namespace bgl::framework {

std::vector<NamedTensor> Module::named_parameters(const std::string& prefix) const {
  std::vector<NamedTensor> out;
  for (const Parameter& p : parameters_) {
    if (p.tensor->defined()) out.push_back({prefix + p.name, *p.tensor});
  }
  for (const Child& c : children_) {
    const auto inner = c.module->named_parameters(prefix + c.name + ".");
    out.insert(out.end(), inner.begin(), inner.end());
  }
  return out;
}

std::vector<Tensor> Module::parameters() const {
  std::vector<Tensor> out;
  std::unordered_set<const void*> seen;
  for (NamedTensor& p : named_parameters()) {
    if (seen.insert(p.tensor.impl().get()).second) out.push_back(std::move(p.tensor));
  }
  return out;
}

int64_t Module::parameter_count() const {
  int64_t n = 0;
  for (const Tensor& p : parameters()) n += p.numel();
  return n;
}

void Module::for_each_module(const std::function<void(Module&)>& fn) {
  fn(*this);
  for (const Child& c : children_) c.module->for_each_module(fn);
}

void Module::train(bool on) {
  for_each_module([&](Module& m) { m.training_ = on; });
}

void Module::requires_grad_(bool on) {
  for (Tensor& p : parameters()) p.requires_grad_(on);
}

void Module::zero_grad() {
  for (Tensor& p : parameters()) p.set_grad({});
}

void Module::register_parameter(const std::string& name, Tensor& parameter) { parameters_.push_back({name, &parameter}); }
void Module::register_module(const std::string& name, Module& child) { children_.push_back({name, &child}); }

namespace {

Tensor parameter(Tensor t) {
  t.requires_grad_();
  return t;
}
// torch.nn.Linear draws weight and bias from U(-1/sqrt(in), 1/sqrt(in)).
Tensor drawn(const Shape& shape, int64_t in, Init init) {
  if (init == Init::kNone) return Tensor::zeros(shape);
  const double bound = in > 0 ? 1 / std::sqrt(static_cast<double>(in)) : 0;
  return parameter(uniform(shape, -bound, bound));
}

}  // namespace

Linear::Linear(int64_t in, int64_t out, bool with_bias, Init init) : weight(drawn({out, in}, in, init)) {
  if (with_bias) bias = drawn({out}, in, init);
  register_parameter("weight", weight);
  register_parameter("bias", bias);
}

Tensor Linear::forward(const Tensor& x) const {
  Tensor y = packed_ ? Tensor(ops::packed_linear(x.value(), packed_, value_or_none(bias))) : linear(x, weight, bias);
  if (low_rank_.a.defined() && !merged_) y = y + linear(linear(x, low_rank_.a), low_rank_.b) * low_rank_.scale;
  return y;
}

Tensor Linear::forward(const Tensor& x, const AdapterRows* rows) const {
  const Tensor y = forward(x);
  if (!rows || !adapters_.a.defined()) return y;
  const Tensor inner = linear(x, embedding(rows->ranks, adapters_.a)) * rows->scales;
  return y + matmul(inner, embedding(rows->ranks, adapters_.b));
}

void Linear::lay_out_for_inference(std::optional<ops::WeightType> type) {
  if (packed_) return;
  const bool half = weight.dtype() == DType::kBF16;
  packed_ = ops::pack_weight({weight.dtype(), weight.shape()}, weight.buffer()->data(),
                             type.value_or(half ? ops::WeightType::kBF16 : ops::WeightType::kF32));
  weight = Tensor();
}

void Linear::add_low_rank(int64_t rank, double alpha) {
  BGL_REQUIRE(!packed_, "[lora] this layer is laid out for inference: load the model for training");
  BGL_REQUIRE(rank > 0 && rank <= std::min(weight.size(0), weight.size(1)), "[lora] rank {} does not fit a weight of {}", rank,
              ops::shape_text(weight.shape()));
  BGL_REQUIRE(!low_rank_.a.defined(), "[lora] this layer has a low-rank part already");
  weight.requires_grad_(false);
  if (bias.defined()) bias.requires_grad_(false);
  low_rank_ = {drawn({rank, weight.size(1)}, weight.size(1), Init::kTorch), parameter(Tensor::zeros({weight.size(0), rank})),
               alpha / static_cast<double>(rank)};
  register_parameter("lora_A", low_rank_.a);
  register_parameter("lora_B", low_rank_.b);
}

void Linear::merge_low_rank() {
  if (merged_ || !low_rank_.a.defined()) return;
  BGL_REQUIRE(!packed_, "[lora] this layer is laid out for inference: load the model for training");
  ops::NoGrad no_grad;
  weight.add_(matmul(low_rank_.b, low_rank_.a), low_rank_.scale);
  merged_ = true;
}
void Linear::unmerge_low_rank() {
  if (!merged_) return;
  ops::NoGrad no_grad;
  weight.add_(matmul(low_rank_.b, low_rank_.a), -low_rank_.scale);
  merged_ = false;
}

Embedding::Embedding(int64_t rows, int64_t width, Init init)
    : weight(init == Init::kNone ? Tensor::zeros({rows, width}) : parameter(normal({rows, width}))) {
  register_parameter("weight", weight);
}
Tensor Embedding::forward(const Tensor& ids) const {
  if (packed_) return Tensor(ops::packed_embedding(packed_, ids.value()));
  const Tensor rows = embedding(ids, weight);
  return rows.dtype() == DType::kF32 ? rows : Tensor(ops::cast(rows.value(), DType::kF32));
}
void Embedding::share_packed(const ops::PackedWeight& packed) {
  packed_ = packed;
  weight = Tensor();
}

LayerNorm::LayerNorm(int64_t width, bool with_bias, double eps) : weight(parameter(Tensor::ones({width}))), eps_(eps) {
  if (with_bias) bias = parameter(Tensor::zeros({width}));
  register_parameter("weight", weight);
  register_parameter("bias", bias);
}
Tensor LayerNorm::forward(const Tensor& x) const { return layer_norm(x, weight, bias, eps_); }

RMSNorm::RMSNorm(int64_t width, double eps) : weight(parameter(Tensor::ones({width}))), eps_(eps) { register_parameter("weight", weight); }
Tensor RMSNorm::forward(const Tensor& x) const { return rms_norm(x, weight, eps_); }

}  // namespace bgl::framework
