// One step of training: forward, loss, backward, clip, update. Two graphs run: the first gives loss and gradients, which are looked at
// before the second lets them touch the parameters, so a NaN stops a run with its weights intact.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "framework/data.h"
#include "framework/optim.h"
#include "models/model.h"
#include "train/options.h"

namespace bgl::train {

struct StepResult {
  double loss = 0;       // mean over the counted tokens of all micro-batches
  double grad_norm = 0;  // before clipping
  int64_t tokens = 0;    // positions gone through
};

// Where the bytes of a run lie while it steps, apart from what the process held without the model.
struct StepMemory {
  int64_t parameters = 0;  // those in mapped files, which tuning with low ranks leaves there, are not counted
  int64_t gradients = 0;
  int64_t optimizer = 0;          // its state
  int64_t arena = 0;              // the plan's peak: all values inside the step
  int64_t arena_lower_bound = 0;  // most bytes of such values alive at once
  int64_t total() const { return parameters + gradients + optimizer + arena; }
};

class Trainer {
 public:
  Trainer(models::Model& model, const TrainOptions& options);
  // Gradients are normalised by the counted tokens of all micro-batches together. Errors: a run error; kDataLoss for a loss or
  // gradient that is not a number, naming the first operator that made one.
  Result<StepResult> step(const std::vector<framework::Batch>& micro_batches, double lr);
  // Plans and compiles the step of these micro-batches, without running it: what it will take. Random numbers stay undrawn.
  Result<StepMemory> prepare(const std::vector<framework::Batch>& micro_batches);
  framework::Optimizer& optimizer() { return *optimizer_; }

 private:
  // The pending values of a step before the update.
  struct Pending {
    framework::Tensor loss;
    framework::Clip clip;
    std::vector<framework::Tensor> wanted;  // these and the gradients
  };
  Pending forward_and_backward(const std::vector<framework::Batch>& micro_batches);
  std::string first_bad_node(const std::vector<framework::Batch>& micro_batches);
  models::Model& model_;
  const TrainOptions& options_;
  std::vector<framework::Tensor> trained_;
  std::unique_ptr<framework::Optimizer> optimizer_;
};

struct EvalResult {
  double loss = 0;  // mean over the counted tokens
  int64_t counted = 0;
};
// The model's mean loss on a batch, without gradients.
Result<EvalResult> evaluate_batch(models::Model& model, const framework::Batch& batch);

}  // namespace bgl::train
