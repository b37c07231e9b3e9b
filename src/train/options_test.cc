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

TEST(TrainOptions, AnUnknownFamilyIsRefused) {
  EXPECT_EQ(read("family = 'mamba'").status().message(), "new.toml:2: key 'model.family': is 'mamba': choose gpt2, llama or qwen2");
}

}  // namespace
}  // namespace bgl::train
