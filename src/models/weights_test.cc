// Weights in one file and in several, and what is told when they are damaged.
#include "models/weights.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "base/env.h"
#include "models/testing/random_model.h"
#include "text/files/safetensors.h"

namespace bgl::models {
namespace {

class WeightsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "bgl_weights_" + std::to_string(getpid());
    ASSERT_TRUE(real_env().remove_all(dir_).ok());
    ASSERT_TRUE(real_env().make_dirs(dir_).ok());
  }
  void TearDown() override { (void)!real_env().remove_all(dir_).ok(); }

  std::vector<std::string> files() const {
    std::vector<std::string> out;
    const auto entries = real_env().list_dir(dir_);
    for (const DirEntry& e : *entries) out.push_back(e.name);
    return out;
  }
  // A file of one tensor, zeros.
  void write_tensor(const std::string& file, const std::string& name, const std::string& dtype, std::vector<int64_t> shape) {
    const std::vector<std::byte> bytes(static_cast<size_t>(ops::numel(shape) * text::safetensors_dtype_bytes(dtype)));
    const text::TensorView view{name, dtype, std::move(shape), bytes};
    ASSERT_TRUE(text::write_safetensors(join_path(dir_, file), std::span(&view, 1)).ok());
  }
  std::string load_error() {
    const auto model = make_model(config_, Init::kNone);
    const auto style = load_weights(dir_, *model);
    return style.ok() ? "no error" : style.status().message();
  }
  const ModelConfig config_ = testing::small_configs()[2].config;
  std::string dir_;
};

TEST_F(WeightsTest, SeveralFilesHoldTheSameBytesAsOne) {
  for (const auto& [name, config] : testing::small_configs()) {
    const auto model = testing::random_model(config, 1);
    FileStyle style;
    size_t i = 0;
    for (const auto& p : model->named_parameters()) style.dtypes[p.name] = std::array{"BF16", "F16", "F32"}[i++ % 3];
    ASSERT_TRUE(save_weights(dir_, *model, style, 0).ok());
    EXPECT_EQ(files(), std::vector<std::string>{"model.safetensors"});
    const std::string one = real_env().read_file(dir_ + "/model.safetensors").value();
    for (const int64_t limit : {int64_t{5000}, int64_t{0}}) {
      const auto again = make_model(config, Init::kNone);
      const auto read = load_weights(dir_, *again);
      ASSERT_TRUE(read.ok()) << read.status().message();
      ASSERT_TRUE(save_weights(dir_, *again, *read, limit).ok());
      EXPECT_EQ(real_env().exists(dir_ + "/model.safetensors"), limit == 0);
      EXPECT_EQ(real_env().exists(dir_ + "/model.safetensors.index.json"), limit != 0);
    }
    EXPECT_EQ(real_env().read_file(dir_ + "/model.safetensors").value(), one) << name;
  }
}

TEST_F(WeightsTest, NoFilePassesTheLimitUnlessOfOneTensor) {
  const auto model = testing::random_model(config_, 2);
  ASSERT_TRUE(save_weights(dir_, *model, {}, 7000).ok());
  int64_t total = 0, counted = 0;
  for (const std::string& name : files()) {
    if (!name.ends_with(".safetensors")) continue;
    ++counted;
    const auto file = text::SafeTensors::open(dir_ + "/" + name);
    ASSERT_TRUE(file.ok());
    int64_t bytes = 0;
    for (const auto& t : file->tensors()) bytes += static_cast<int64_t>(t.bytes.size());
    EXPECT_TRUE(bytes <= 7000 || file->tensors().size() == 1) << name << " holds " << bytes;
    total += bytes;
  }
  EXPECT_GT(counted, 5);
  EXPECT_EQ(total, model->parameter_bytes());
  EXPECT_NE(real_env().read_file(dir_ + "/model.safetensors.index.json").value().find(fmt::format("\"total_size\": {}", total)),
            std::string::npos);
}

TEST_F(WeightsTest, DamageNamesFileAndTensor) {
  const auto model = testing::random_model(config_, 3);
  ASSERT_TRUE(save_weights(dir_, *model, {}, 1).ok());
  const size_t count = model->parameters().size();
  const auto file = [&](size_t i) { return fmt::format("model-{:05}-of-{:05}.safetensors", i, count); };
  const std::string second = real_env().read_file(dir_ + "/" + file(2)).value();
  const auto restore = [&](size_t i) { ASSERT_TRUE(real_env().write_file_atomic(dir_ + "/" + file(i), second).ok()); };
  const std::string bias = text::SafeTensors::open(dir_ + "/" + file(2))->tensors()[0].name;
  const std::vector<int64_t> shape = text::SafeTensors::open(dir_ + "/" + file(2))->tensors()[0].shape;

  ASSERT_TRUE(real_env().remove(dir_ + "/" + file(2)).ok());
  EXPECT_EQ(load_error(),
            dir_ + "/model.safetensors.index.json: tensor " + bias + " lies in " + file(2) + ", which is not in the folder");
  write_tensor(file(2), "other", "F32", {2});
  EXPECT_EQ(load_error(),
            dir_ + "/" + file(2) + ": there is no tensor " + bias + ", which model.safetensors.index.json says is here");
  write_tensor(file(2), bias, "F32", {3, 5});
  EXPECT_EQ(load_error(),
            dir_ + "/" + file(2) + ": tensor " + bias + " is [3, 5], config.json's sizes make it " + ops::shape_text(shape));
  write_tensor(file(2), bias, "I32", shape);
  EXPECT_EQ(load_error(), dir_ + "/" + file(2) + ": tensor " + bias + " is I32; F32, BF16 and F16 weights are read");
  restore(2);
  EXPECT_EQ(load_error(), "no error");
  restore(1);
  const std::string twice = load_error();
  EXPECT_TRUE(
      twice == dir_ + "/" + file(2) + ": tensor " + bias + " is in " + file(1) + " too; only one of the files can hold it" ||
      twice == dir_ + "/" + file(1) + ": tensor " + bias + " is in " + file(2) + " too; only one of the files can hold it")
      << twice;
  const std::string index = dir_ + "/model.safetensors.index.json";
  ASSERT_TRUE(real_env().write_file_atomic(index, R"({"weight_map": {"a": "../b"}})").ok());
  EXPECT_EQ(load_error(), index + ": tensor a names no file of this folder");
  ASSERT_TRUE(real_env().write_file_atomic(index, "{}").ok());
  EXPECT_EQ(load_error(), index + " has no \"weight_map\"");
}

}  // namespace
}  // namespace bgl::models
