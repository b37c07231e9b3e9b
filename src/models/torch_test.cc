// Folders that we write, read by PyTorch (tests/torch_families.py), give the logits that we compute: file and model in one
// comparison. BGL_PEER_PYTHON names a Python that has torch, numpy and safetensors; skipped without.
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "base/env.h"
#include "models/folder.h"
#include "models/testing/random_model.h"
#include "models/testing/reference.h"

namespace bgl::models {
namespace {

std::vector<double> read_doubles(const std::string& path) {
  const std::string bytes = real_env().read_file(path).value();
  std::vector<double> out(bytes.size() / sizeof(double));
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

TEST(Torch, LogitsOfWrittenFoldersAgree) {
  const char* python = std::getenv("BGL_PEER_PYTHON");
  if (!python || !*python) GTEST_SKIP() << "BGL_PEER_PYTHON names no Python";
  const std::string dir = ::testing::TempDir() + "bgl_torch_" + std::to_string(getpid());
  const auto ids = testing::some_tokens(100, 50);
  std::vector<std::string> folders;
  for (const auto& [name, config] : testing::small_configs()) {
    if (config.family == Family::kGpt2) continue;
    LoadedModel m;
    m.model = testing::random_model(config, 5);
    for (const auto& p : m.model->named_parameters())
      m.style.dtypes[p.name] = p.name.find("proj") != std::string::npos ? "BF16" : "F16";
    folders.push_back(fmt::format("{}/{}", dir, folders.size()));
    ASSERT_TRUE(save_model(folders.back(), m, 20000).ok());
  }
  const std::string command =
      fmt::format("{} {} {} {}", python, BGL_TORCH_FAMILIES, fmt::join(ids, ","), fmt::join(folders, " "));
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  for (const std::string& folder : folders) {
    const auto loaded = load_model(folder);
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    ops::NoGrad no_grad;
    const auto got = loaded->model->forward(Tensor::from_vector(ids, {1, 100})).to_vector();
    EXPECT_LT(testing::difference(got, read_doubles(folder + "/logits")), testing::kTolerance)
        << loaded->model->config().to_json();
  }
  ASSERT_TRUE(real_env().remove_all(dir).ok());
}

}  // namespace
}  // namespace bgl::models
