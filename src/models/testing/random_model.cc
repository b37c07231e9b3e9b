#include "models/testing/random_model.h"

#include <algorithm>
#include <cmath>

#include "models/adapters.h"

namespace bgl::models::testing {
namespace {

// Ref: splitmix64, Steele et al., OOPSLA 2014.
uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

ModelConfig small(Family family) {
  ModelConfig c;
  c.family = family;
  c.vocab = 50;
  c.context = 160;
  c.layers = 2;
  c.heads = 4;
  c.kv_heads = family == Family::kGpt2 ? 4 : 2;
  c.width = 32;
  c.head_width = 8;
  c.hidden = 48;
  c.tied = family != Family::kLlama;
  c.attention_bias = family == Family::kQwen2;
  c.activation = family == Family::kGpt2 ? Activation::kGeluTanh : Activation::kSilu;
  return c;
}

}  // namespace

std::vector<NamedConfig> small_configs() {
  std::vector<NamedConfig> out;
  for (const Family f : {Family::kGpt2, Family::kLlama, Family::kQwen2}) out.push_back({family_name(f), small(f)});
  ModelConfig c = small(Family::kLlama);
  c.attention_bias = c.mlp_bias = true;
  c.head_width = 12;
  out.push_back({"llama with biases and wider heads", c});
  c = small(Family::kLlama);
  c.rope_scaling = {.kind = RopeScaling::Kind::kLinear, .factor = 4};
  out.push_back({"llama, linear", c});
  c.tied = true;
  c.kv_heads = 1;
  c.rope_theta = 500;
  c.rope_scaling = {
      .kind = RopeScaling::Kind::kLlama3, .factor = 8, .low_freq_factor = 1, .high_freq_factor = 4, .original_context = 40};
  out.push_back({"llama, llama3", c});
  c = small(Family::kQwen2);
  c.tied = false;
  c.kv_heads = 4;
  c.rope_theta = 1e6;
  out.push_back({"qwen2, untied", c});
  return out;
}

ModelConfig qwen2_5_0_5b(int64_t layers) {
  ModelConfig c = small(Family::kQwen2);
  c.vocab = 151936;
  c.context = 32768;
  c.layers = layers;
  c.heads = 14;
  c.kv_heads = 2;
  c.width = 896;
  c.head_width = 64;
  c.hidden = 4864;
  c.norm_eps = 1e-6;
  c.rope_theta = 1e6;
  return c;
}

ModelConfig llama_3_2_1b(int64_t layers) {
  ModelConfig c = small(Family::kLlama);
  c.vocab = 128256;
  c.context = 131072;
  c.layers = layers;
  c.heads = 32;
  c.kv_heads = 8;
  c.width = 2048;
  c.head_width = 64;
  c.hidden = 8192;
  c.tied = true;
  c.rope_theta = 500000;
  c.rope_scaling = {
      .kind = RopeScaling::Kind::kLlama3, .factor = 32, .low_freq_factor = 1, .high_freq_factor = 4, .original_context = 8192};
  return c;
}

std::unique_ptr<Model> random_model(const ModelConfig& config, uint64_t seed) {
  auto model = make_model(config, Init::kNone);
  for (auto& p : model->named_parameters()) {
    if (p.name == "lm_head.weight" && config.tied) continue;
    const ops::Shape shape = p.tensor.shape();
    const bool norm = shape.size() == 1 && p.name.ends_with(".weight");
    // k * scale, |k| < 128, has 7 bits. A uniform k has a deviation of 73.
    const double fit = shape.size() == 1 ? 1.0 / 256 : 1 / (73 * std::sqrt(static_cast<double>(shape[1])));
    const auto scale = static_cast<float>(std::exp2(std::round(std::log2(fit))));
    auto buffer = ops::Buffer::allocate(static_cast<size_t>(p.tensor.numel()) * sizeof(float));
    seed = mix(seed);
    for (int64_t i = 0; i < p.tensor.numel(); ++i) {
      const auto k = static_cast<float>(static_cast<int64_t>(mix(seed + static_cast<uint64_t>(i)) % 255) - 127);
      buffer->as<float>()[i] = norm ? 1 + k / 128 : k * scale;
    }
    p.tensor.set_value(ops::make_leaf({ops::DType::kF32, shape}, std::move(buffer), p.tensor.requires_grad()));
  }
  return model;
}

std::vector<int64_t> some_tokens(int64_t count, int64_t vocab) {
  std::vector<int64_t> out;
  for (int64_t i = 0; i < count; ++i)
    out.push_back(static_cast<int64_t>(mix(static_cast<uint64_t>(i)) % static_cast<uint64_t>(vocab)));
  return out;
}

std::vector<float> stepped_logits(Model& model, const std::vector<int64_t>& ids, int64_t adapter) {
  ops::NoGrad no_grad;
  const auto n = static_cast<int64_t>(ids.size()), pages_each = (n + 63) / 64;
  std::vector<int64_t> table;  // the last page first, page 0 left alone
  for (int64_t i = pages_each; i > 0; --i) table.push_back(i);
  PagedCache cache = model.make_cache(pages_each + 1);
  std::vector<float> out;
  int64_t to = 0;
  for (int64_t from = 0, piece = 1; from < n; from = to, piece = piece * 2 % 37 + 1) {
    to = std::min(n, from + piece);
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
    const PagedStep step{Tensor::from_vector(id, {m}),     Tensor::from_vector(position, {m}),
                         Tensor::from_vector(slot, {m}),   Tensor::from_vector(pages, {m, pages_each}),
                         Tensor::from_vector(length, {m}), Tensor::from_vector(row, {m}),
                         adapter_rows(model, std::vector<int64_t>(static_cast<size_t>(m), adapter))};
    const auto logits = model.step(step, cache).to_vector();
    out.insert(out.end(), logits.begin(), logits.end());
  }
  return out;
}

}  // namespace bgl::models::testing
