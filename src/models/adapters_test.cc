#include "models/adapters.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "base/env.h"
#include "base/process_memory.h"
#include "models/folder.h"
#include "models/inference.h"
#include "models/testing/random_model.h"

namespace bgl::models {
namespace {

class AdaptersTest : public ::testing::Test {
 protected:
  void SetUp() override { dir_ = ::testing::TempDir() + "bgl_adapters_" + std::to_string(getpid()); }
  void TearDown() override { (void)!real_env().remove_all(dir_).ok(); }
  // A base in dir_/base; for each rank an adapter dir_/1, ... and dir_/merged1, ..., the model that it makes of the base.
  void make(const ModelConfig& config, std::initializer_list<int64_t> ranks) {
    ASSERT_TRUE(real_env().remove_all(dir_).ok());
    LoadedModel base;
    base.model = testing::random_model(config, 6);
    ASSERT_TRUE(save_model(dir_ + "/base", base).ok());
    dirs_.clear();
    for (const int64_t rank : ranks) {
      LoadedModel tuned;
      tuned.model = testing::random_model(config, 6);
      uint64_t draw = static_cast<uint64_t>(rank);
      for (auto& [name, linear] : tuned.model->adaptable()) {
        linear->add_low_rank(rank, 1.5 * static_cast<double>(rank));
        for (framework::Tensor part : {linear->low_rank().a, linear->low_rank().b}) {
          std::vector<float> values(static_cast<size_t>(part.numel()));
          for (float& v : values) v = static_cast<float>(static_cast<int64_t>((draw = draw * 6364136223846793005u + 1442695040888963407u) >> 40) % 97 - 48) / 400;
          part.set_value(Tensor::from_vector(values, part.shape()).value());
        }
      }
      dirs_.push_back(dir_ + "/" + std::to_string(dirs_.size() + 1));
      ASSERT_TRUE(save_adapter(dirs_.back(), *tuned.model, rank, 1.5 * static_cast<double>(rank)).ok());
      ASSERT_TRUE(save_model(dir_ + "/merged" + std::to_string(dirs_.size()), tuned).ok());
    }
  }
  std::unique_ptr<Model> load(const std::string& name, bool adapters = false) {
    auto loaded = load_for_inference(dir_ + "/" + name);
    EXPECT_TRUE(loaded.ok()) << loaded.status().message();
    if (adapters) {
      const Status added = load_adapters(*loaded->model, dir_ + "/base", dirs_);
      EXPECT_TRUE(added.ok()) << added.message();
    }
    return std::move(loaded->model);
  }
  std::string dir_;
  std::vector<std::string> dirs_;
};

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) most = std::max<double>(most, std::abs(a[i] - b[i]));
  return most;
}

// For every family: the base's bits are its own, an adapter's logits those of the merged model within rounding, and not the base's.
TEST_F(AdaptersTest, GiveWhatTheMergedModelsGive) {
  for (const auto& [name, config] : testing::small_configs()) {
    make(config, {2, 5});
    const auto ids = testing::some_tokens(70, config.vocab);
    const auto plain = load("base"), both = load("base", true);
    const auto base = testing::stepped_logits(*plain, ids);
    EXPECT_EQ(testing::stepped_logits(*both, ids), base) << name;
    for (int64_t i = 1; i <= 2; ++i) {
      const auto merged = testing::stepped_logits(*load("merged" + std::to_string(i)), ids), adapted = testing::stepped_logits(*both, ids, i);
      EXPECT_LT(largest_difference(adapted, merged), 2e-4) << name << ", adapter " << i;
      EXPECT_GT(largest_difference(adapted, base), 1e-2) << name << ", adapter " << i;
    }
  }
}

// One token each of the base and two adapters in one step, in any order and mixture: each has the bits that it has alone.
TEST_F(AdaptersTest, ARowsBitsDoNotDependOnItsNeighboursAdapters) {
  const ModelConfig config = testing::small_configs()[1].config;
  make(config, {3, 8});
  const auto model = load("base", true);
  const auto logits = [&](const std::vector<int64_t>& adapters) {
    ops::NoGrad no_grad;
    const auto n = static_cast<int64_t>(adapters.size());
    PagedCache cache = model->make_cache(n + 1);
    std::vector<int64_t> ids, zeros(adapters.size(), 0), slots, pages, ones(adapters.size(), 1), rows;
    for (int64_t i = 0; i < n; ++i) ids.push_back(7), slots.push_back((i + 1) * 64), pages.push_back(i + 1), rows.push_back(i);
    const PagedStep step{Tensor::from_vector(ids, {n}),      Tensor::from_vector(zeros, {n}), Tensor::from_vector(slots, {n}), Tensor::from_vector(pages, {n, 1}),
                         Tensor::from_vector(ones, {n}), Tensor::from_vector(rows, {n}),  adapter_rows(*model, adapters)};
    return model->step(step, cache).to_vector();
  };
  const auto vocab = static_cast<int64_t>(config.vocab);
  const std::vector<std::vector<float>> alone = {logits({0}), logits({1}), logits({2})};
  EXPECT_NE(alone[1], alone[2]);
  for (const std::vector<int64_t>& mixture : {std::vector<int64_t>{0, 1, 2}, {2, 1, 0}, {1, 1, 0, 2}, {0, 0, 2}, {1, 0}}) {
    const auto together = logits(mixture);
    for (size_t i = 0; i < mixture.size(); ++i) {
      const auto from = together.begin() + static_cast<int64_t>(i) * vocab;
      EXPECT_EQ(std::vector<float>(from, from + vocab), alone[static_cast<size_t>(mixture[i])]) << "row " << i;
    }
  }
}

// Ten adapters beside one base: what is held grows by their rows alone.
TEST_F(AdaptersTest, MemoryGrowsByTheAdapters) {
  ModelConfig config = testing::small_configs()[1].config;
  config.width = 256;
  config.heads = config.kv_heads = 8;
  config.head_width = 32;
  config.hidden = 1024;
  config.layers = 4;
  make(config, {4, 4, 4, 4, 4, 4, 4, 4, 4, 4});
  const auto model = load("base");
  const int64_t before = model->parameter_bytes(), anonymous = process_memory().anonymous_bytes;
  ASSERT_TRUE(load_adapters(*model, dir_ + "/base", dirs_).ok());
  const int64_t grown = model->parameter_bytes() - before, expected = adapters_bytes(dirs_).value();
  int64_t zeros = 0;  // row 0 of every table
  for (const auto& [name, linear] : model->adaptable()) zeros += 4 * (linear->in_features() + linear->out_features());
  EXPECT_EQ(grown, expected + zeros);
  EXPECT_LT(grown, before / 4) << "ten merged copies take ten times the base";
  std::printf("base %ld bytes, ten adapters %ld bytes, the process grew by %ld\n", before, grown, process_memory().anonymous_bytes - anonymous);
}

TEST_F(AdaptersTest, WhatDoesNotFitIsNamed) {
  make(testing::small_configs()[1].config, {2});
  const auto error = [&] {
    const auto loaded = load_for_inference(dir_ + "/base");
    return load_adapters(*loaded->model, dir_ + "/base", dirs_).message();
  };
  const std::string config = dirs_[0] + "/adapter_config.json", good = real_env().read_file(config).value();
  ASSERT_TRUE(real_env().remove(dirs_[0] + "/manifest.json").ok());
  EXPECT_EQ(error(), "");
  const auto with = [&](const char* key) {
    EXPECT_TRUE(real_env().write_file_atomic(config, "{" + std::string(key) + "," + good.substr(good.find('{') + 1)).ok());
    return error();
  };
  EXPECT_EQ(with("\"use_rslora\": true"), "");
  EXPECT_EQ(with("\"use_dora\": true"), config + ": use_dora is not supported");
  EXPECT_EQ(with("\"rank_pattern\": {\"q_proj\": 4}"), config + ": rank_pattern is not supported: all matrices have one rank and one alpha");
  ASSERT_TRUE(real_env().write_file_atomic(config, "{}").ok());
  EXPECT_EQ(error(), config + ": peft_type LORA and lora_alpha are expected");
  const auto other = testing::random_model(testing::small_configs()[1].config, 1);
  for (auto& [name, linear] : other->adaptable()) linear->add_low_rank(2, 4);
  for (auto& [name, linear] : other->adaptable()) {
    framework::Tensor a = linear->low_rank().a;
    a.set_value(Tensor::from_vector(std::vector<float>(static_cast<size_t>(a.numel()), NAN), a.shape()).value());
  }
  ASSERT_TRUE(save_adapter(dirs_[0], *other, 2, 4).ok());
  EXPECT_EQ(error(), dirs_[0] + "/adapter_model.safetensors: tensor base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight holds numbers that are not finite");
}

}  // namespace
}  // namespace bgl::models
