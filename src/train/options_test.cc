#include "train/options.h"

#include <gtest/gtest.h>

namespace bgl::train {
namespace {

Result<TrainOptions> read(const std::string& model) {
  BGL_ASSIGN(Config config, Config::parse("[model]\n" + model + "\n[data]\nrandom = true\n", "new.toml"));
  return TrainOptions::read(std::move(config));
}

TEST(TrainOptions, ANewQwen2HasItsFamilysBiasesAndConstants) {
  const auto o = read("family = 'qwen2'\nheads = 4\nkv_heads = 2\nwidth = 64\nvocab = 300");
  ASSERT_TRUE(o.ok()) << o.status().message();
  const models::ModelConfig& m = o->model;
  EXPECT_EQ(m.family, models::Family::kQwen2);
  EXPECT_TRUE(m.attention_bias);
  EXPECT_FALSE(m.bias || m.mlp_bias);
  EXPECT_EQ(m.kv_heads, 2);
  EXPECT_EQ(m.activation, models::Activation::kSilu);
  EXPECT_EQ(m.rope_theta, 1e6);
  EXPECT_EQ(m.norm_eps, 1e-6);
  EXPECT_TRUE(m.check("[model]").ok());
}

TEST(TrainOptions, LlamaHasNoBiases) {
  const auto o = read("family = 'llama'");
  ASSERT_TRUE(o.ok()) << o.status().message();
  EXPECT_EQ(o->model.family, models::Family::kLlama);
  EXPECT_FALSE(o->model.attention_bias || o->model.bias);
  EXPECT_EQ(o->model.rope_theta, 1e4);
}

std::string refusal(const std::string& rest, const std::string& base = "") {
  const auto o = TrainOptions::read(*Config::parse("data.random = true\n" + rest, "new.toml"), base);
  return o.ok() ? "none" : std::string(o.status().message());
}

TEST(TrainOptions, BetasAreBelowOne) {
  EXPECT_EQ(refusal("optimizer.beta1 = 1"), "new.toml:2: key 'optimizer.beta1': 1 is outside [0, 1)");
  EXPECT_EQ(refusal("optimizer.beta2 = 1.0"), "new.toml:2: key 'optimizer.beta2': 1 is outside [0, 1)");
  EXPECT_EQ(refusal("optimizer.beta2 = -0.5"), "new.toml:2: key 'optimizer.beta2': -0.5 is outside [0, 1)");
  EXPECT_EQ(refusal("optimizer.beta2 = nan"), "new.toml:2: key 'optimizer.beta2': nan is outside [0, 1)");
  EXPECT_EQ(refusal("optimizer.beta1 = 0\noptimizer.beta2 = 0.9999"), "none");
}

TEST(TrainOptions, AKeyOfAnotherChoiceTellsWhichChoice) {
  EXPECT_EQ(refusal("optimizer.beta1 = 0.9\noptimizer.kind = 'sgd'"), "new.toml:2: key 'optimizer.beta1' is only for adamw");
  EXPECT_EQ(refusal("optimizer.momentum = 0.9"), "new.toml:2: key 'optimizer.momentum' is only for sgd");
  EXPECT_EQ(refusal("model.activation = 'gelu'\nmodel.family = 'llama'"), "new.toml:2: key 'model.activation' is only for gpt2");
  EXPECT_EQ(refusal("model.kv_heads = 2"), "new.toml:2: key 'model.kv_heads' is only for llama and qwen2");
  EXPECT_EQ(refusal("data.heldout = 0.1"), "new.toml:2: key 'data.heldout' is only for data.text");
  EXPECT_EQ(refusal("data.domain = 'x'"), "new.toml:2: key 'data.domain' is only for data.shards");
  EXPECT_EQ(refusal("schedule.stable_steps = 5"), "new.toml:2: key 'schedule.stable_steps' is only for wsd");
  EXPECT_EQ(refusal("lora.rank = 8"), "new.toml:2: key 'lora.rank' is only for bgl tune");
  EXPECT_EQ(refusal("lora.alpha = 8", "base"), "new.toml:2: key 'lora.alpha' is only for a lora.rank above 0");
  EXPECT_EQ(refusal("model.width = 8", "base"), "new.toml:2: key 'model.width' is only for bgl train: a tuned model is made as its base is");
}

// So that "raise train.steps" is advice that can be followed.
TEST(TrainOptions, DecayStaysThatOfTheRunsBeginning) {
  const auto read = [](const std::string& rest, const Config* begun) {
    return *TrainOptions::read(*Config::parse("data.random = true\n" + rest, "new.toml"), "", begun);
  };
  for (const char* kind : {"cosine", "linear", "wsd"}) {
    const std::string schedule = std::string("schedule.kind = '") + kind + "'\n";
    const TrainOptions first = read(schedule + "train.steps = 20", nullptr);
    const Config begun = *Config::parse(first.resolved, "config.toml");
    const TrainOptions more = read(schedule + "train.steps = 40", &begun);
    EXPECT_EQ(more.schedule.decay_steps, 20);
    EXPECT_EQ(more.schedule.stable_steps, first.schedule.stable_steps);
    EXPECT_TRUE(more.kept_decay);
    EXPECT_FALSE(read(schedule + "train.steps = 20", &begun).kept_decay);
    const TrainOptions named = read(schedule + "train.steps = 40\nschedule.decay_steps = 30", &begun);
    EXPECT_EQ(named.schedule.decay_steps, 30);
    EXPECT_FALSE(named.kept_decay);
  }
}

TEST(TrainOptions, AnUnknownFamilyIsRefused) {
  EXPECT_EQ(read("family = 'mamba'").status().message(), "new.toml:2: key 'model.family': is 'mamba': choose gpt2, llama or qwen2");
}

}  // namespace
}  // namespace bgl::train
