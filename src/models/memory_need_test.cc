#include "models/memory_need.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "base/env.h"
#include "base/process_memory.h"
#include "models/folder.h"
#include "models/inference.h"
#include "models/testing/random_model.h"

namespace bgl::models {
namespace {

using ops::WeightType;

class MemoryNeed : public ::testing::Test {
 protected:
  void SetUp() override { dir_ = ::testing::TempDir() + "bgl_need_" + std::to_string(getpid()); }
  void TearDown() override {
    unsetenv("BGL_MEMORY_BYTES");
    (void)!real_env().remove_all(dir_).ok();
  }
  void save(const ModelConfig& config, const std::string& dtype) {
    LoadedModel m;
    m.model = testing::random_model(config, 6);
    for (const auto& p : m.model->named_parameters()) m.style.dtypes[p.name] = dtype;
    ASSERT_TRUE(save_model(dir_, m).ok());
  }
  std::string dir_;
};

// What is foreseen is what is held in the end, for every family, stored type and asked type.
TEST_F(MemoryNeed, IsWhatTheModelHolds) {
  for (const auto& [name, config] : testing::small_configs()) {
    for (const char* dtype : {"F32", "BF16", "F16"}) {
      save(config, dtype);
      for (const std::optional<WeightType> asked : {std::optional<WeightType>(), {WeightType::kBF16}, {WeightType::kInt8}, {WeightType::kW8A8}, {WeightType::kW16A16}}) {
        const auto need = inference_need(dir_, asked);
        ASSERT_TRUE(need.ok()) << need.status().message();
        const auto loaded = load_for_inference(dir_, "", asked);
        ASSERT_TRUE(loaded.ok()) << loaded.status().message();
        EXPECT_EQ(need->weights_bytes, loaded->model->parameter_bytes()) << name << " " << dtype << " " << (asked ? ops::name_of(*asked) : "as stored");
        EXPECT_GE(need->loading_bytes, need->weights_bytes);
        EXPECT_TRUE(weights_text(*loaded->model).ends_with("matrices in " + need->matrices)) << need->matrices;
      }
    }
  }
}

TEST_F(MemoryNeed, WhatDoesNotFitIsRefusedWithItsArithmetic) {
  ModelConfig config = testing::small_configs()[1].config;
  config.vocab = 100000;
  save(config, "F32");
  const auto need = inference_need(dir_);
  const std::string limit = std::to_string(process_memory().anonymous_bytes + 1000);
  ASSERT_EQ(setenv("BGL_MEMORY_BYTES", limit.c_str(), 1), 0);
  const int64_t before = process_memory().anonymous_bytes;
  const Status refused = load_for_inference(dir_).status();
  EXPECT_LT(process_memory().anonymous_bytes - before, need->weights_bytes / 4) << "it was allocated";
  EXPECT_EQ(refused.code(), Code::kResourceExhausted);
  EXPECT_EQ(refused.message().rfind(dir_ + " does not fit in memory: ", 0), 0u) << refused.message();
  EXPECT_NE(refused.message().find(" MB of weights (matrices in f32)"), std::string::npos) << refused.message();
  EXPECT_NE(refused.message().find(" are available (BGL_MEMORY_BYTES): --weights int8 takes "), std::string::npos) << refused.message();
}

TEST_F(MemoryNeed, WhatIsHeldAlreadyCounts) {
  const MemoryItem items[] = {{"of this", 3000000}, {"of that", 500000}};
  ASSERT_EQ(setenv("BGL_MEMORY_BYTES", "1", 1), 0);
  EXPECT_EQ(check_fits("it", items, "take less").message(),
            "it does not fit in memory: 3.0 MB of this + 500.0 kB of that = 3.5 MB, and 0 B are available (BGL_MEMORY_BYTES): take less");
  EXPECT_EQ(check_fits("it", items, "take less", 3000000).message(),
            "it does not fit in memory: 3.0 MB of this + 500.0 kB of that = 3.5 MB, and 3.0 MB are available (BGL_MEMORY_BYTES): take less");
  EXPECT_TRUE(check_fits("it", items, "take less", 3500000).ok());
}

}  // namespace
}  // namespace bgl::models
