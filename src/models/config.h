// The sizes of a model, read from and written to Hugging Face's config.json. Keys we do not know are kept as they were.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace bgl::models {

enum class Family : uint8_t { kGpt2, kLlama };
enum class Activation : uint8_t { kGelu, kGeluTanh, kSilu };

struct ModelConfig {
  Family family = Family::kGpt2;
  int64_t vocab = 0;
  int64_t context = 1024;  // most tokens of one sequence
  int64_t layers = 12;
  int64_t heads = 12;
  int64_t kv_heads = 12;
  int64_t width = 768;
  int64_t head_width = 64;
  int64_t hidden = 3072;  // of the MLP
  double norm_eps = 1e-5;
  double rope_theta = 10000;
  bool bias = true;            // GPT-2: in every Linear and LayerNorm
  bool attention_bias = false;  // Llama: in the q, k and v projections
  bool tied = true;            // the output matrix is the embedding
  Activation activation = Activation::kGelu;
  double dropout = 0;
  std::string unknown_json = "{}";  // the file this came from, for the keys we do not know

  // Errors name the key: a missing one, a wrong type, sizes that do not fit each other, a family we do not have.
  static Result<ModelConfig> parse(const std::string& json_text, const std::string& where);
  std::string to_json() const;
  Status check(const std::string& where) const;
};

const char* family_name(Family f);  // "gpt2", "llama": config.json's model_type

}  // namespace bgl::models
