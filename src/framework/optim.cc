#include "framework/optim.h"

#include <cmath>

namespace bgl::framework {

Clip clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm) {
  ops::NoGrad no_grad;
  ops::Label label("gradient norm");
  Value total;
  for (const Tensor& p : parameters) {
    if (!p.grad().defined()) continue;
    const Value g = p.grad().value();
    const Value squares = ops::sum(ops::mul(g, g));
    total = total ? ops::add(total, squares) : squares;
  }
  BGL_REQUIRE(total, "[clip_grad_norm] no parameter has a gradient: call backward() first");
  const Value norm = ops::sqrt(total);
  const Value one = ops::scalar(1);
  return {Tensor(norm), Tensor(ops::minimum(one, ops::div(ops::scalar(max_norm), ops::add(norm, 1e-6))))};
}

Optimizer::Optimizer(std::vector<ParameterGroup> groups) : groups_(std::move(groups)) {}

size_t Optimizer::parameter_count() const {
  size_t n = 0;
  for (const ParameterGroup& g : groups_) n += g.parameters.size();
  return n;
}

void Optimizer::step(double lr, const Tensor& grad_scale) {
  ops::NoGrad no_grad;
  ++steps_;
  const Value scale = grad_scale.defined() ? grad_scale.value() : ops::scalar(1);
  size_t index = 0;
  for (ParameterGroup& group : groups_) {
    for (Tensor& p : group.parameters) {
      if (p.grad().defined()) update(index, group, p, p.grad().value(), scale, lr);
      ++index;
    }
  }
  eval_all_pending();
  // One node gives a parameter and its state. As leaves of their own they hold only their own bytes, and the next update overwrites them.
  for (const StateTensor& s : state()) {
    Tensor t = s.tensor;
    t.set_value(ops::make_leaf({t.dtype(), t.shape()}, t.buffer()));
  }
}

void Optimizer::zero_grad() {
  for (ParameterGroup& group : groups_) {
    for (Tensor& p : group.parameters) p.set_grad({});
  }
}

SGD::SGD(std::vector<ParameterGroup> groups, double momentum) : Optimizer(std::move(groups)), momentum_(momentum) {
  buffers_.resize(parameter_count());
}

std::vector<StateTensor> SGD::state() {
  std::vector<StateTensor> out;
  size_t index = 0;
  for (const ParameterGroup& group : groups_) {
    for (const Tensor& p : group.parameters) {
      if (momentum_ != 0) {
        if (!buffers_[index].defined()) buffers_[index] = Tensor::zeros(p.shape());
        out.push_back({fmt::format("momentum.{}", index), buffers_[index]});
      }
      ++index;
    }
  }
  return out;
}

void SGD::update(size_t index, const ParameterGroup& group, Tensor& parameter, const Value& grad, const Value& scale, double lr) {
  Value g = ops::mul(grad, scale);
  if (group.weight_decay != 0) g = ops::add(g, ops::mul(parameter.value(), group.weight_decay));
  if (momentum_ != 0) {
    Tensor& buffer = buffers_[index];
    if (!buffer.defined()) buffer = Tensor::zeros(parameter.shape());
    g = ops::add(ops::mul(buffer.value(), momentum_), g);
    buffer.set_value(g);
  }
  parameter.set_value(ops::sub(parameter.value(), ops::mul(g, lr)));
}

AdamW::AdamW(std::vector<ParameterGroup> groups, AdamWOptions options) : Optimizer(std::move(groups)), options_(options) {
  for (const ParameterGroup& group : groups_) {
    for (const Tensor& p : group.parameters) {
      exp_avg_.push_back(Tensor::zeros(p.shape()));
      exp_avg_sq_.push_back(Tensor::zeros(p.shape()));
    }
  }
}

std::vector<StateTensor> AdamW::state() {
  std::vector<StateTensor> out;
  for (size_t i = 0; i < exp_avg_.size(); ++i) {
    out.push_back({fmt::format("exp_avg.{}", i), exp_avg_[i]});
    out.push_back({fmt::format("exp_avg_sq.{}", i), exp_avg_sq_[i]});
  }
  return out;
}

void AdamW::update(size_t index, const ParameterGroup& group, Tensor& parameter, const Value& grad, const Value& scale, double lr) {
  const auto t = static_cast<double>(steps_);
  const ops::AdamWResult r =
      ops::adamw(parameter.value(), grad, exp_avg_[index].value(), exp_avg_sq_[index].value(), ops::scalar(lr),
                 ops::scalar(1 - lr * group.weight_decay), ops::scalar(1 - std::pow(options_.beta1, t)),
                 ops::scalar(std::sqrt(1 - std::pow(options_.beta2, t))), scale, options_.beta1, options_.beta2, options_.eps);
  parameter.set_value(r.param);
  exp_avg_[index].set_value(r.exp_avg);
  exp_avg_sq_[index].set_value(r.exp_avg_sq);
}

double Schedule::at(int64_t it) const {
  const auto x = static_cast<double>(it);
  if (it < warmup_steps) return lr * (x + 1) / static_cast<double>(warmup_steps + 1);
  auto left = [&](int64_t from) {  // 1 at `from`, 0 at decay_steps
    if (it >= decay_steps) return 0.0;
    return 1 - (x - static_cast<double>(from)) / static_cast<double>(decay_steps - from);
  };
  switch (kind) {
    case Kind::kConstant: return lr;
    case Kind::kCosine: return min_lr + 0.5 * (1 - std::cos(M_PI * left(warmup_steps))) * (lr - min_lr);
    case Kind::kLinear: return min_lr + left(warmup_steps) * (lr - min_lr);
    case Kind::kWSD: return it < stable_steps ? lr : min_lr + left(stable_steps) * (lr - min_lr);
  }
  return lr;
}

Result<Schedule::Kind> schedule_kind(const std::string& name) {
  if (name == "constant") return Schedule::Kind::kConstant;
  if (name == "cosine") return Schedule::Kind::kCosine;
  if (name == "linear") return Schedule::Kind::kLinear;
  if (name == "wsd") return Schedule::Kind::kWSD;
  return invalid_argument("there is no schedule '{}': choose constant, cosine, linear or wsd", name);
}

}  // namespace bgl::framework
