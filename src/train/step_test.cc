#include "train/step.h"

#include <gtest/gtest.h>

#include "compiler/compile.h"
#include "framework/random.h"
#include "lang/kernel.h"

namespace bgl::train {
namespace {

using framework::Batch;
using framework::Tensor;

models::ModelConfig published(models::Family family) {
  models::ModelConfig c;  // GPT-2 124M
  c.vocab = 50257;
  if (family == models::Family::kGpt2) return c;
  c.family = family;  // Llama's shape at 110M
  c.vocab = 32000;
  c.hidden = 2048;
  c.bias = false;
  c.activation = models::Activation::kSilu;
  return c;
}

Batch some_batch(int64_t rows, int64_t length, int64_t vocab) {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < rows * length; ++i) ids.push_back(i * 37 % vocab);
  const Tensor tokens = Tensor::from_vector(ids, {rows, length});
  return {tokens, tokens, rows * length};
}

// What a step would take; nothing is run.
StepMemory memory_of_step(const models::ModelConfig& config, int64_t rows, int64_t length) {
  const auto model = models::make_model(config, models::Init::kNone);
  model->requires_grad_(true);
  const TrainOptions options;
  Trainer trainer(*model, options);
  const auto m = trainer.prepare({some_batch(rows, length, config.vocab)});
  EXPECT_TRUE(m.ok()) << m.status().message();
  return m.ok() ? *m : StepMemory();
}

void expect_tight_plan(models::Family family) {
  for (const int64_t length : {64, 96}) {
    const StepMemory m = memory_of_step(published(family), 4, length);
    EXPECT_GT(m.arena_lower_bound, int64_t{50} << 20);
    EXPECT_LE(static_cast<double>(m.arena), 1.01 * static_cast<double>(m.arena_lower_bound)) << "T=" << length;
    EXPECT_EQ(m.gradients, m.parameters);
    EXPECT_EQ(m.optimizer, 2 * m.parameters);
  }
}

TEST(StepMemory, ThePlanOfGpt2IsWithinOnePercentOfTheBound) { expect_tight_plan(models::Family::kGpt2); }
TEST(StepMemory, ThePlanOfLlamaIsWithinOnePercentOfTheBound) { expect_tight_plan(models::Family::kLlama); }

models::ModelConfig small() {
  models::ModelConfig c;
  c.vocab = 31, c.layers = 2, c.heads = 2, c.width = 16, c.head_width = 8, c.hidden = 24, c.context = 200;
  return c;
}

TEST(Trainer, UpdatesParametersAndStateInPlace) {
  const auto model = models::make_model(small(), models::Init::kTorch);
  model->requires_grad_(true);
  const TrainOptions options;
  Trainer trainer(*model, options);
  const auto places = [&] {
    std::vector<const void*> out;
    for (const Tensor& p : model->parameters()) out.push_back(p.buffer()->data());
    for (const framework::StateTensor& s : trainer.optimizer().state()) out.push_back(s.tensor.buffer()->data());
    return out;
  };
  const auto step = [&] { ASSERT_TRUE(trainer.step({some_batch(2, 8, 31)}, 1e-3).ok()); };
  step();
  const auto first = places();
  step();
  EXPECT_EQ(places(), first);
  step();
  EXPECT_EQ(places(), first);
}

TEST(Trainer, ManyLengthsCompileAHandfulOfKernels) {
  const auto model = models::make_model(small(), models::Init::kTorch);
  model->requires_grad_(true);
  const TrainOptions options;
  Trainer trainer(*model, options);
  const auto kernels = [] { return lang::kernel_counters().compiled + lang::kernel_counters().from_disk; };
  int64_t first = 0;
  for (int64_t i = 0; i < 60; ++i) {
    ASSERT_TRUE(trainer.step({some_batch(2, 1 + (63 + i * 7) % 180, 31)}, 1e-3).ok());
    if (i == 0) first = kernels();
  }
  EXPECT_LE(kernels() - first, 12);
}

TEST(Trainer, PreparingChangesNothingAndIsWhatRuns) {
  models::ModelConfig config = small();
  config.dropout = 0.2;  // drawn at every step
  TrainOptions options;
  options.optimizer = "sgd", options.momentum = 0.9;
  const auto losses = [&](bool prepare) {
    framework::manual_seed(4);
    const auto model = models::make_model(config, models::Init::kTorch);
    Trainer trainer(*model, options);
    const std::vector<Batch> batches = {some_batch(3, 8, config.vocab)};
    if (prepare) {
      EXPECT_TRUE(trainer.prepare(batches).ok());
    }
    std::vector<double> out;
    for (int i = 0; i < 3; ++i) {
      const int64_t compiled = compiler::counters().graphs_compiled;
      const auto r = trainer.step(batches, 0.1);
      EXPECT_TRUE(r.ok()) << r.status().message();
      out.push_back(r.ok() ? r->loss : 0);
      const int64_t more = compiler::counters().graphs_compiled - compiled;
      if (prepare && i == 0) {
        EXPECT_LE(more, 1) << "more than the update was compiled";
      }
    }
    return out;
  };
  const std::vector<double> prepared = losses(true);  // first: later the executables are there anyway
  EXPECT_EQ(prepared, losses(false));
  EXPECT_NE(prepared[0], prepared[2]);
}

}  // namespace
}  // namespace bgl::train
