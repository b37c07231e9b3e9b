// The sizes of a model, read from and written to Hugging Face's config.json. Keys we do not know are kept as they were.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace bgl::models {

enum class Family : uint8_t { kGpt2, kLlama, kQwen2 };
enum class Activation : uint8_t { kGelu, kGeluTanh, kSilu };

// How the angles of rotary positions are stretched, so that a model trained on short texts reads longer ones; rope.h has the formulas.
struct RopeScaling {
  enum class Kind : uint8_t { kNone, kLinear, kLlama3 };
  Kind kind = Kind::kNone;
  double factor = 1;             // how many times longer
  double low_freq_factor = 1;    // llama3: waves longer than original_context / this are stretched by factor
  double high_freq_factor = 4;   // llama3: waves shorter than original_context / this are left alone
  int64_t original_context = 0;  // llama3: the context before
  Status check(const std::string& where) const;
  bool operator==(const RopeScaling&) const = default;
};

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
  RopeScaling rope_scaling;
  bool bias = true;             // GPT-2: in every Linear and LayerNorm
  bool attention_bias = false;  // Llama: in the q, k, v and o projections; Qwen2: always, in q, k and v
  bool mlp_bias = false;        // Llama: in the gate, up and down projections
  bool tied = true;             // the output matrix is the embedding
  Activation activation = Activation::kGelu;
  double dropout = 0;
  std::string unknown_json = "{}";  // the file this came from, for the keys we do not know

  // Errors name the key: a missing one, a wrong type, sizes that do not fit each other, a family we do not have.
  static Result<ModelConfig> parse(const std::string& json_text, const std::string& where);
  // The text this was parsed from, byte for byte, when every size is still what that says; else that file with our keys set anew.
  std::string to_json() const;
  Status check(const std::string& where) const;
  bool operator==(const ModelConfig&) const = default;
};

const char* family_name(Family f);  // "gpt2", "llama", "qwen2": config.json's model_type

// The text of a model folder's config.json; kNotFound says that it is no such folder.
Result<std::string> read_config_file(const std::string& dir);

}  // namespace bgl::models
