// What a model will take in memory for inference, told from its config.json and the headers of its files, before anything is allocated;
// and a refusal, with the arithmetic, of what does not fit.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/model.h"

namespace bgl::models {

struct InferenceNeed {
  std::string path;
  ModelConfig config;
  int64_t weights_bytes = 0;  // laid out (inference.h): what Model::parameter_bytes() will be
  int64_t loading_bytes = 0;  // the most at once while they are laid out
  std::string matrices;       // "bf16"
  int64_t int8_bytes = 0;     // the weights with --weights int8
};

// Of a folder or a .bin file as load_for_inference() takes it. Errors as there, but those of the tensors' bytes.
Result<InferenceNeed> inference_need(const std::string& path, std::optional<ops::WeightType> weights = {});

// A part of what is needed, as the refusal shows it.
struct MemoryItem {
  std::string what;  // "KV cache for one request of 2048 tokens"
  int64_t bytes = 0;
};
// kResourceExhausted when the items together are more than what is available (base/process_memory.h) and what of them is held already: "WHO
// does not fit in memory: 14.2 GB of weights + ... = 15.5 GB, and 12.0 GB are available (MemAvailable): ADVICE".
Status check_fits(const std::string& who, std::span<const MemoryItem> items, const std::string& advice, int64_t held_bytes = 0);
// Of the weights of some models together, the loading of the last counted at its most, and of `more`.
Status check_fits(std::span<const InferenceNeed> models, std::vector<MemoryItem> more = {}, const std::string& more_advice = "");

}  // namespace bgl::models
