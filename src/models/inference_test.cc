#include "models/inference.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>

#include "base/env.h"
#include "models/folder.h"
#include "models/testing/random_model.h"

namespace bgl::models {
namespace {

using ops::WeightType;

std::vector<float> whole_logits(Model& model, const std::vector<int64_t>& ids) {
  ops::NoGrad no_grad;
  return model.forward(Tensor::from_vector(ids, {1, static_cast<int64_t>(ids.size())})).to_vector();
}

TEST(Inference, StepsOfAnySizeHaveTheBitsOfTheWholeSequenceForEveryType) {
  for (const auto& [name, config] : testing::small_configs()) {
    const auto ids = testing::some_tokens(90, config.vocab);
    const auto wanted = whole_logits(*testing::random_model(config, 3), ids);
    for (const WeightType type : {WeightType::kF32, WeightType::kBF16, WeightType::kInt8, WeightType::kW8A8, WeightType::kW16A16}) {
      const auto model = testing::random_model(config, 3);
      const Status s = lay_out_for_inference(*model, type);
      ASSERT_TRUE(s.ok()) << s.message();
      const auto whole = whole_logits(*model, ids);
      // The weights have seven bits, which bf16 keeps.
      if (type == WeightType::kF32 || type == WeightType::kBF16) {
        EXPECT_EQ(whole, wanted) << name << ", " << ops::name_of(type);
      }
      EXPECT_EQ(testing::stepped_logits(*model, ids), whole) << name << ", " << ops::name_of(type);
    }
  }
}

TEST(Inference, RoundedTypesAreNearTheOriginal) {
  for (const auto& [name, config] : testing::small_configs()) {
    const auto ids = testing::some_tokens(64, config.vocab);
    const auto wanted = whole_logits(*testing::random_model(config, 4), ids);
    for (const WeightType type : {WeightType::kInt8, WeightType::kW8A8, WeightType::kW16A16}) {
      const auto model = testing::random_model(config, 4);
      ASSERT_TRUE(lay_out_for_inference(*model, type).ok());
      const auto got = whole_logits(*model, ids);
      double off = 0, size = 0;
      for (size_t i = 0; i < got.size(); ++i) off += std::pow(got[i] - wanted[i], 2), size += std::pow(wanted[i], 2);
      EXPECT_LT(std::sqrt(off / size), 0.05) << name << ", " << ops::name_of(type);
      EXPECT_GT(off, 0) << name << ", " << ops::name_of(type);
    }
  }
}

// A tied table is held once, as the output matrix.
TEST(Inference, MemoryIsWhatTheTypeSays) {
  const ModelConfig c = testing::small_configs()[0].config;  // GPT-2, tied
  int64_t matrices = 0, others = 0;
  for (const auto& p : testing::random_model(c, 1)->parameters()) {
    const bool matrix = p.dim() == 2 && p.size(0) != c.context;  // all but the table of positions
    (matrix ? matrices : others) += matrix ? (p.size(0) + 63) / 64 * 64 * p.size(1) : p.numel();
  }
  for (const auto& [type, bytes] : {std::pair{WeightType::kF32, 4}, {WeightType::kBF16, 2}}) {
    const auto model = testing::random_model(c, 1);
    ASSERT_TRUE(lay_out_for_inference(*model, type).ok());
    EXPECT_EQ(model->parameter_bytes(), matrices * bytes + others * 4);
    EXPECT_EQ(model->parameters().size(), testing::random_model(c, 1)->parameters().size() - 9u) << "matrices are still there";
  }
}

class InferenceFolder : public ::testing::Test {
 protected:
  void SetUp() override { dir_ = ::testing::TempDir() + "bgl_inference_" + std::to_string(getpid()); }
  void TearDown() override { (void)!real_env().remove_all(dir_).ok(); }
  // A folder whose tensors are all of `dtype`.
  void save(const ModelConfig& config, const std::string& dtype) {
    ASSERT_TRUE(real_env().remove_all(dir_).ok());
    LoadedModel m;
    m.model = testing::random_model(config, 6);
    for (const auto& p : m.model->named_parameters()) m.style.dtypes[p.name] = dtype;
    ASSERT_TRUE(save_model(dir_, m).ok());
  }
  std::string dir_;
};

TEST_F(InferenceFolder, StoredBf16StaysBf16AndHasTheBitsOfItsWidening) {
  for (const auto& [name, config] : testing::small_configs()) {
    save(config, "BF16");
    const auto ids = testing::some_tokens(70, config.vocab);
    auto widened = load_model(dir_);
    ASSERT_TRUE(widened.ok()) << widened.status().message();
    const auto kept = load_for_inference(dir_);
    ASSERT_TRUE(kept.ok()) << kept.status().message();
    EXPECT_TRUE(weights_text(*kept->model).ends_with("matrices in bf16")) << weights_text(*kept->model);
    EXPECT_EQ(whole_logits(*kept->model, ids), whole_logits(*widened->model, ids)) << name;
    EXPECT_EQ(testing::stepped_logits(*kept->model, ids), whole_logits(*widened->model, ids)) << name;
  }
}

TEST_F(InferenceFolder, OtherTypesAreFloat32UnlessAskedFor) {
  const ModelConfig config = testing::small_configs()[1].config;
  for (const char* dtype : {"F32", "F16"}) {
    save(config, dtype);
    for (const auto& [asked, text] : {std::pair<std::optional<WeightType>, const char*>{{}, "f32"}, {WeightType::kBF16, "bf16"}, {WeightType::kInt8, "int8"}, {WeightType::kW8A8, "w8a8"}, {WeightType::kW16A16, "w16a16"}}) {
      const auto loaded = load_for_inference(dir_, "", asked);
      ASSERT_TRUE(loaded.ok()) << loaded.status().message();
      EXPECT_TRUE(weights_text(*loaded->model).ends_with(std::string("matrices in ") + text)) << weights_text(*loaded->model);
    }
  }
}

TEST(Inference, ALayerLaidOutIsNotTuned) {
  framework::Linear layer(8, 8, false);
  layer.lay_out_for_inference();
  try {
    layer.add_low_rank(2, 4);
    ADD_FAILURE() << "it was tuned";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "[lora] this layer is laid out for inference: load the model for training");
  }
}

}  // namespace
}  // namespace bgl::models
