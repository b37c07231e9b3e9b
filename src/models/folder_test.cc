#include "models/folder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/env.h"
#include "models/adapters.h"
#include "models/testing/random_model.h"
#include "text/files/sidecar.h"

namespace bgl::models {
namespace {

class FolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "bgl_models_" + std::to_string(getpid());
    ASSERT_TRUE(real_env().remove_all(dir_).ok());
  }
  void TearDown() override { (void)!real_env().remove_all(dir_).ok(); }
  std::string dir_;
};

LoadedModel drawn(const ModelConfig& config, const std::string& name = "") {
  LoadedModel m;
  m.model = testing::random_model(config, 5);
  m.lineage.name = name;
  return m;
}
ModelConfig config_of(Family family) { return testing::small_configs()[static_cast<size_t>(family)].config; }

TEST_F(FolderTest, ARoundTripKeepsEveryByte) {
  for (const auto& [name, config] : testing::small_configs()) {
    const auto hash = save_model(dir_ + "/a", drawn(config, "a"));
    ASSERT_TRUE(hash.ok()) << hash.status().message();
    auto loaded = load_model(dir_ + "/a");
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    EXPECT_EQ(loaded->lineage.name, "a");
    EXPECT_EQ(loaded->lineage.weights, *hash);
    EXPECT_EQ(*save_model(dir_ + "/b", *loaded), *hash);
    for (const char* file : {"config.json", "model.safetensors", "lineage.json"}) {
      EXPECT_EQ(real_env().read_file(dir_ + "/a/" + file).value(), real_env().read_file(dir_ + "/b/" + file).value()) << name << ", " << file;
    }
  }
}

// Files as another program writes them: other spaces, other order, keys of its own.
TEST_F(FolderTest, UntouchedFilesKeepTheirBytes) {
  ASSERT_TRUE(save_model(dir_ + "/a", drawn(config_of(Family::kQwen2))).ok());
  const std::string config = real_env().read_file(dir_ + "/a/config.json").value();
  ASSERT_TRUE(real_env().remove(dir_ + "/a/manifest.json").ok());  // which has the checksums of ours
  const std::pair<const char*, std::string> files[] = {
      {"config.json", "{ \"pretraining_tp\": 1," + config.substr(1) + "\n"},
      {"generation_config.json", "{\"eos_token_id\": [3, 4],   \"top_k\": 20, \"our_own\": null}"},
      {"tokenizer.json", R"({"version": "1.0",  "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})"},
      {"tokenizer_config.json", R"({"chat_template": "{% for m in messages %}",   "eos_token": null})"},
      {"chat_template.jinja", "{{ x }}"}};
  for (const auto& [name, text] : files) ASSERT_TRUE(real_env().write_file_atomic(dir_ + "/a/" + name, text).ok());
  const auto loaded = load_model(dir_ + "/a");
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(loaded->generation.end_tokens, (std::vector<int32_t>{3, 4}));
  EXPECT_EQ(loaded->generation.top_k, 20);
  ASSERT_TRUE(save_model(dir_ + "/b", *loaded, 3000).ok());
  for (const auto& [name, text] : files) EXPECT_EQ(real_env().read_file(dir_ + "/b/" + name).value(), text) << name;
}

TEST_F(FolderTest, EveryParameterOfALoadedModelCanBeTrained) {
  for (const auto& [name, config] : testing::small_configs()) {
    ASSERT_TRUE(save_model(dir_, drawn(config)).ok());
    const auto loaded = load_model(dir_);
    ASSERT_TRUE(loaded.ok());
    loaded->model->requires_grad_(true);
    for (const auto& p : loaded->model->named_parameters()) EXPECT_TRUE(p.tensor.requires_grad()) << name << ", " << p.name;
  }
}

TEST_F(FolderTest, WithoutTheFileConfigSaysTheEndTokens) {
  ASSERT_TRUE(save_model(dir_, drawn(config_of(Family::kLlama))).ok());
  ASSERT_TRUE(real_env().remove(dir_ + "/manifest.json").ok());
  std::string config = real_env().read_file(dir_ + "/config.json").value();
  config.insert(1, "\"eos_token_id\": [5, 6],");
  ASSERT_TRUE(real_env().write_file_atomic(dir_ + "/config.json", config).ok());
  EXPECT_EQ(load_model(dir_)->generation.end_tokens, (std::vector<int32_t>{5, 6}));
}

TEST_F(FolderTest, DamageIsNamed) {
  ASSERT_TRUE(save_model(dir_, drawn(config_of(Family::kGpt2))).ok());
  ASSERT_TRUE(real_env().remove(dir_ + "/manifest.json").ok());
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
  EXPECT_EQ(load_model(dir_).status().message(), config + ": there is no model family \"bert\": gpt2, llama and qwen2 are known");
  ASSERT_TRUE(real_env().write_file_atomic(config, "{}").ok());
  EXPECT_EQ(load_model(dir_).status().message(), config + ": the key \"model_type\" is missing");
  EXPECT_EQ(load_model(dir_ + "/nowhere").status().message(), dir_ + "/nowhere: no such model");
}

void flip(const std::string& path, int64_t bit) {
  auto file = real_env().open(path, OpenMode::kUpdate);
  ASSERT_TRUE(file.ok());
  std::string byte = (*file)->pread(bit / 8, 1).value();
  byte[0] = static_cast<char>(byte[0] ^ (1 << bit % 8));
  ASSERT_TRUE((*file)->write_at(bit / 8, byte).ok());
}

// Bits at the beginning, at the end and between of every file of a model and of an adapter, as load and as `bgl verify` see them.
TEST_F(FolderTest, AFlippedBitIsFoundAndNamed) {
  LoadedModel made = drawn(config_of(Family::kLlama), "a");
  made.tokenizer_json = R"({"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})";
  made.kept["chat_template.jinja"] = "{{ x }}";
  ASSERT_TRUE(save_model(dir_ + "/m", made, 20000).ok());
  for (auto& [name, linear] : made.model->adaptable()) linear->add_low_rank(2, 4);
  ASSERT_TRUE(save_adapter(dir_ + "/l", *made.model, 2, 4).ok());
  ASSERT_TRUE(load_model(dir_ + "/m").ok());
  const std::string adapters[] = {dir_ + "/l"};
  const auto load_both = [&] {
    auto loaded = load_model(dir_ + "/m");
    return loaded.ok() ? load_adapters(*loaded->model, dir_ + "/m", adapters) : loaded.status();
  };
  ASSERT_TRUE(load_both().ok()) << load_both().message();
  uint64_t random = 7;
  int files = 0;
  for (const char* name : {"/m", "/l"}) {
    const std::string dir = dir_ + name;
    const auto entries = real_env().list_dir(dir);
    for (const DirEntry& e : *entries) {
      const std::string path = join_path(dir, e.name);
      const int64_t bits = 8 * real_env().stat(path)->size;
      std::vector<int64_t> flips = {0, 1, 7, bits - 1, bits - 8};
      for (int i = 0; i < 60; ++i) flips.push_back(static_cast<int64_t>((random = random * 6364136223846793005u + 1442695040888963407u) >> 11) % bits);
      for (const int64_t bit : flips) {
        flip(path, bit);
        const Status loaded = load_both(), verified = text::verify_sidecar(real_env(), dir).status();
        ASSERT_EQ(loaded.code(), Code::kDataLoss) << path << " bit " << bit << ": " << loaded.message();
        ASSERT_EQ(loaded.message().rfind(path, 0), 0u) << loaded.message();
        ASSERT_EQ(verified.message(), loaded.message());
        flip(path, bit);
      }
      ++files;
    }
  }
  EXPECT_GE(files, 11);  // config, index, three or more of weights, tokenizer, template, lineage, manifest; the adapter's three
  EXPECT_TRUE(load_both().ok());
}

}  // namespace
}  // namespace bgl::models
