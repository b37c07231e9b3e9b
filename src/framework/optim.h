// torch.optim: SGD and AdamW, gradient clipping, learning rate schedules. step() cuts: it runs the graph that has grown.
#pragma once

#include <string>
#include <vector>

#include "framework/tensor.h"

namespace bgl::framework {

// The number all gradients are multiplied by so that their common norm is at most max_norm, and that norm: lazy, on the graph. As
// torch.nn.utils.clip_grad_norm_, whose multiplication is left to step().
struct Clip {
  Tensor norm;   // []
  Tensor scale;  // []: min(1, max_norm / (norm + 1e-6))
};
Clip clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm);

struct ParameterGroup {
  std::vector<Tensor> parameters;
  double weight_decay = 0;
};

// What a step computes beside the parameters, by name, for checkpoints: "exp_avg.3" is parameter 3 of all groups in order.
struct StateTensor {
  std::string name;
  Tensor tensor;
};

class Optimizer {
 public:
  explicit Optimizer(std::vector<ParameterGroup> groups);
  virtual ~Optimizer() = default;
  // Updates every parameter that has a gradient, multiplied by grad_scale when defined, and runs the graph.
  void step(double lr, const Tensor& grad_scale = {});
  void zero_grad();
  int64_t steps() const { return steps_; }
  void set_steps(int64_t steps) { steps_ = steps; }
  virtual std::vector<StateTensor> state() = 0;

 protected:
  // Writes parameter `index` of `group`; called without gradients being recorded.
  virtual void update(size_t index, const ParameterGroup& group, Tensor& parameter, const Value& grad, const Value& scale, double lr) = 0;
  size_t parameter_count() const;
  std::vector<ParameterGroup> groups_;
  int64_t steps_ = 0;
};

// p = p - lr * (momentum buffer of grad + weight_decay * p), as torch.optim.SGD without dampening and Nesterov.
class SGD : public Optimizer {
 public:
  SGD(std::vector<ParameterGroup> groups, double momentum = 0);
  std::vector<StateTensor> state() override;

 protected:
  void update(size_t index, const ParameterGroup& group, Tensor& parameter, const Value& grad, const Value& scale, double lr) override;

 private:
  double momentum_;
  std::vector<Tensor> buffers_;
};

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
};
// Ref: arXiv:1711.05101; the order of operations is torch.optim.AdamW's.
class AdamW : public Optimizer {
 public:
  AdamW(std::vector<ParameterGroup> groups, AdamWOptions options = {});
  std::vector<StateTensor> state() override;

 protected:
  void update(size_t index, const ParameterGroup& group, Tensor& parameter, const Value& grad, const Value& scale, double lr) override;

 private:
  AdamWOptions options_;
  std::vector<Tensor> exp_avg_, exp_avg_sq_;
};

// The learning rate of step it = 0, 1, ...
struct Schedule {
  enum class Kind : uint8_t { kConstant, kCosine, kLinear, kWSD } kind = Kind::kCosine;
  double lr = 1e-3;
  double min_lr = 0;
  int64_t warmup_steps = 0;  // lr * (it + 1) / (warmup_steps + 1)
  int64_t decay_steps = 0;   // cosine and linear: where min_lr is reached; WSD: the end of the decay
  int64_t stable_steps = 0;  // WSD (warm-up, stable, decay; arXiv:2404.06395): where the decay begins
  double at(int64_t it) const;
};
// "constant", "cosine", "linear", "wsd".
Result<Schedule::Kind> schedule_kind(const std::string& name);

}  // namespace bgl::framework
