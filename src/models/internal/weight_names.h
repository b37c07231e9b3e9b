// How the files of a family name and turn the parameters.
#pragma once

#include <string>

#include "models/weights.h"

namespace bgl::models {

constexpr const char* kOneFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

// Hugging Face stores GPT-2's Linear weights the other way round ([in, out], its Conv1D).
inline bool stored_transposed(const ModelConfig& c, const std::string& name) {
  if (c.family != Family::kGpt2 || !name.ends_with(".weight")) return false;
  return name.find(".c_attn.") != std::string::npos || name.find(".c_proj.") != std::string::npos ||
         name.find(".c_fc.") != std::string::npos;
}

inline std::string file_name(const ModelConfig& c, const FileStyle& style, const std::string& name) {
  return c.family == Family::kGpt2 && name != "lm_head.weight" ? style.prefix + name : name;
}

}  // namespace bgl::models
