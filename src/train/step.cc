#include "train/step.h"

#include <cmath>

#include "compiler/compile.h"
#include "framework/functional.h"
#include "framework/random.h"

namespace bgl::train {
namespace {

using framework::Batch;
using framework::Tensor;

// Matrices decay, vectors (biases, norms) do not, as nanoGPT groups them.
std::vector<framework::ParameterGroup> groups_of(const std::vector<Tensor>& parameters, const TrainOptions& o) {
  framework::ParameterGroup decay{{}, o.weight_decay}, plain{{}, o.decay_matrices_only ? 0 : o.weight_decay};
  for (const Tensor& p : parameters) (p.dim() >= 2 ? decay : plain).parameters.push_back(p);
  return {decay, plain};
}

// The sum of losses over all counted tokens, divided by their number.
Tensor mean_loss(models::Model& model, const std::vector<Batch>& batches) {
  int64_t counted = 0;
  for (const Batch& b : batches) counted += b.counted;
  Tensor total;
  for (const Batch& b : batches) {
    const Tensor logits = model.forward(b.x);
    const Tensor sum = framework::cross_entropy_sum(logits, b.y, Batch::kIgnore);
    total = total.defined() ? total + sum : sum;
  }
  return total / static_cast<double>(std::max<int64_t>(counted, 1));
}

int64_t bytes_of(const Tensor& t) { return t.numel() * ops::dtype_size(t.dtype()); }

}  // namespace

Trainer::Trainer(models::Model& model, const TrainOptions& options) : model_(model), options_(options) {
  for (const Tensor& p : model.parameters()) {
    if (p.requires_grad()) trained_.push_back(p);
  }
  const auto groups = groups_of(trained_, options);
  if (options.optimizer == "sgd") {
    optimizer_ = std::make_unique<framework::SGD>(groups, options.momentum);
  } else {
    optimizer_ = std::make_unique<framework::AdamW>(groups, options.adamw);
  }
}

Trainer::Pending Trainer::forward_and_backward(const std::vector<Batch>& micro_batches) {
  model_.train();
  Pending p{mean_loss(model_, micro_batches), {}, {}};
  p.loss.backward();
  p.clip = framework::clip_grad_norm(trained_, options_.clip > 0 ? options_.clip : 1e30);
  p.wanted = {p.loss, p.clip.norm, p.clip.scale};
  for (const Tensor& t : trained_) {
    if (t.grad().defined()) p.wanted.push_back(t.grad());
  }
  return p;
}

Result<StepMemory> Trainer::prepare(const std::vector<Batch>& micro_batches) {
  try {
    const std::string random_state = ops::default_generator().state();
    StepMemory m;
    {
      const Pending pending = forward_and_backward(micro_batches);
      std::vector<ops::Value> values;
      for (const Tensor& t : pending.wanted) values.push_back(t.value());
      BGL_ASSIGN(const compiler::MemoryReport plan, compiler::prepare(values));
      m.arena = plan.arena_bytes, m.arena_lower_bound = plan.lower_bound_bytes;
    }
    for (const Tensor& p : trained_) m.gradients += p.grad().defined() ? bytes_of(p) : 0;
    for (const Tensor& p : model_.parameters()) m.parameters += p.requires_grad() || p.buffer()->writable() ? bytes_of(p) : 0;
    for (const framework::StateTensor& s : optimizer_->state()) m.optimizer += bytes_of(s.tensor);
    optimizer_->zero_grad();
    BGL_TRY(ops::default_generator().set_state(random_state));
    return m;
  } catch (const Error& e) {
    return e.status();
  }
}

Result<StepResult> Trainer::step(const std::vector<Batch>& micro_batches, double lr) {
  try {
    Pending pending = forward_and_backward(micro_batches);
    framework::eval(pending.wanted);
    StepResult r{pending.loss.item(), pending.clip.norm.item(), 0};
    const Tensor scale = pending.clip.scale;
    pending = {};  // the loss holds the step and so its parameters, which the update overwrites in place only when nobody else holds them
    for (const Batch& b : micro_batches) r.tokens += b.x.numel();
    if (!std::isfinite(r.loss) || !std::isfinite(r.grad_norm)) {
      optimizer_->zero_grad();
      return data_loss("{} is {}: {}", std::isfinite(r.loss) ? "the gradient's norm" : "the loss", std::isfinite(r.loss) ? r.grad_norm : r.loss,
                       first_bad_node(micro_batches));
    }
    optimizer_->step(lr, options_.clip > 0 ? scale : Tensor());
    optimizer_->zero_grad();
    return r;
  } catch (const Error& e) {
    return e.status();
  }
}

std::string Trainer::first_bad_node(const std::vector<Batch>& micro_batches) {
  const Tensor loss = mean_loss(model_, micro_batches);
  loss.backward();
  std::vector<ops::Value> values = {loss.value()};
  for (const Tensor& p : trained_) {
    if (p.grad().defined()) values.push_back(p.grad().value());
  }
  values.push_back(framework::clip_grad_norm(trained_, 1).norm.value());
  const std::string found = compiler::first_non_finite(values);
  optimizer_->zero_grad();
  return found.empty() ? "no single operator made it when run one by one" : found;
}

Result<EvalResult> evaluate_batch(models::Model& model, const Batch& batch) {
  if (batch.x.size(0) == 0 || batch.counted == 0) return EvalResult{};
  try {
    ops::NoGrad no_grad;
    model.eval();
    const Tensor loss = mean_loss(model, {batch});
    return EvalResult{loss.item(), batch.counted};
  } catch (const Error& e) {
    return e.status();
  }
}

}  // namespace bgl::train
