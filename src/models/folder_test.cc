#include "models/folder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/env.h"
#include "framework/random.h"

namespace bgl::models {
namespace {

class FolderTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "bgl_models_" + std::to_string(getpid());
    ASSERT_TRUE(real_env().remove_all(dir_).ok());
    framework::manual_seed(5);
  }
  void TearDown() override { (void)!real_env().remove_all(dir_).ok(); }
  std::string dir_;
};

ModelConfig small(Family family) {
  ModelConfig c;
  c.family = family;
  c.vocab = 50;
  c.context = 160;
  c.layers = 2;
  c.heads = 4;
  c.kv_heads = family == Family::kLlama ? 2 : 4;
  c.width = 32;
  c.head_width = 8;
  c.hidden = 48;
  c.tied = family == Family::kGpt2;
  c.activation = family == Family::kLlama ? Activation::kSilu : Activation::kGeluTanh;
  return c;
}

std::unique_ptr<Model> drawn(Family family) {
  auto m = make_model(small(family), Init::kTorch);
  m->draw_weights();
  return m;
}

TEST_F(FolderTest, ARoundTripKeepsEveryByte) {
  for (const Family family : {Family::kGpt2, Family::kLlama}) {
    const auto model = drawn(family);
    const auto hash = save_model(dir_ + "/a", *model, {}, "", {.name = "a"});
    ASSERT_TRUE(hash.ok()) << hash.status().message();
    auto loaded = load_model(dir_ + "/a");
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    EXPECT_EQ(loaded->lineage.name, "a");
    EXPECT_EQ(loaded->lineage.weights, *hash);
    const auto again = save_model(dir_ + "/b", *loaded->model, loaded->style, "", {.name = "a"});
    EXPECT_EQ(*again, *hash);
    EXPECT_EQ(real_env().read_file(dir_ + "/a/config.json").value(), real_env().read_file(dir_ + "/b/config.json").value());
  }
}

TEST_F(FolderTest, UnknownConfigKeysAreKept) {
  const auto model = drawn(Family::kLlama);
  ASSERT_TRUE(save_model(dir_, *model, {}, "", {}).ok());
  std::string config = real_env().read_file(dir_ + "/config.json").value();
  config.insert(config.find('{') + 1, "\"pretraining_tp\": 1,");
  ASSERT_TRUE(real_env().write_file_atomic(dir_ + "/config.json", config).ok());
  const auto loaded = load_model(dir_);
  ASSERT_TRUE(loaded.ok());
  EXPECT_NE(loaded->model->config().to_json().find("\"pretraining_tp\": 1"), std::string::npos);
}

TEST_F(FolderTest, DamageIsNamed) {
  const auto model = drawn(Family::kGpt2);
  ASSERT_TRUE(save_model(dir_, *model, {}, "", {}).ok());
  const std::string weights = dir_ + "/model.safetensors", config = dir_ + "/config.json";
  const std::string bytes = real_env().read_file(weights).value(), text = real_env().read_file(config).value();
  ASSERT_TRUE(real_env().write_file_atomic(weights, bytes.substr(0, bytes.size() - 10)).ok());
  EXPECT_NE(load_model(dir_).status().message().find("but the file holds only"), std::string::npos) << load_model(dir_).status().message();
  ASSERT_TRUE(real_env().write_file_atomic(weights, bytes).ok());
  std::string other = text;
  other.replace(other.find("\"n_layer\": 2"), 12, "\"n_layer\": 3");
  ASSERT_TRUE(real_env().write_file_atomic(config, other).ok());
  EXPECT_EQ(load_model(dir_).status().message(), dir_ + ": there is no tensor h.2.ln_1.weight, which config.json's sizes ask for");
  other = text;
  other.replace(other.find("\"n_embd\": 32"), 12, "\"n_embd\": 36");
  ASSERT_TRUE(real_env().write_file_atomic(config, other).ok());
  EXPECT_EQ(load_model(dir_).status().message(), weights + ": tensor wte.weight is [50, 32], config.json's sizes make it [50, 36]");
  other = text;
  other.replace(other.find("\"gpt2\""), 6, "\"bert\"");
  ASSERT_TRUE(real_env().write_file_atomic(config, other).ok());
  EXPECT_EQ(load_model(dir_).status().message(), config + ": there is no model family \"bert\": gpt2 and llama are known");
  ASSERT_TRUE(real_env().write_file_atomic(config, "{}").ok());
  EXPECT_EQ(load_model(dir_).status().message(), config + ": the key \"model_type\" is missing");
  EXPECT_EQ(load_model(dir_ + "/nowhere").status().message(), dir_ + "/nowhere: no such model");
}

// A token's logits have the same bits from whole sequences and over the paged cache, in pieces of any size.
TEST_F(FolderTest, StepsGiveTheBitsOfForward) {
  for (const Family family : {Family::kGpt2, Family::kLlama}) {
    const auto model = drawn(family);
    ops::NoGrad no_grad;
    model->eval();
    const int64_t n = 150;
    std::vector<int64_t> ids;
    for (int64_t i = 0; i < n; ++i) ids.push_back(i * 7 % 50);
    const auto whole = model->forward(Tensor::from_vector(ids, {1, n})).to_vector();
    PagedCache cache = model->make_cache(5);
    std::vector<float> stepped;
    const std::vector<int64_t> table = {3, 1, 4};  // pages in no order
    for (int64_t from = 0, piece = 1; from < n; from += piece, piece = piece * 2 % 37 + 1) {
      const int64_t to = std::min(n, from + piece);
      std::vector<int64_t> id, position, slot, pages, length, row;
      for (int64_t i = from; i < to; ++i) {
        id.push_back(ids[static_cast<size_t>(i)]);
        position.push_back(i);
        slot.push_back(table[static_cast<size_t>(i / 64)] * 64 + i % 64);
        pages.insert(pages.end(), table.begin(), table.end());
        length.push_back(i + 1);
        row.push_back(i - from);
      }
      const int64_t m = to - from;
      const PagedStep step{Tensor::from_vector(id, {m}),       Tensor::from_vector(position, {m}), Tensor::from_vector(slot, {m}),
                           Tensor::from_vector(pages, {m, 3}), Tensor::from_vector(length, {m}),   Tensor::from_vector(row, {m})};
      const auto logits = model->step(step, cache).to_vector();
      stepped.insert(stepped.end(), logits.begin(), logits.end());
      piece = to - from;
    }
    ASSERT_EQ(stepped, whole) << family_name(family);
  }
}

}  // namespace
}  // namespace bgl::models
