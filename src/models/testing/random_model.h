// Models of random weights for tests: all sizes and parts of the families, small, and the shapes of published models.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/model.h"

namespace bgl::models::testing {

struct NamedConfig {
  std::string name;
  ModelConfig config;
};

// One of every kind: plain, with biases, tied, heads of another width, each scaling of rotary positions.
std::vector<NamedConfig> small_configs();
// The sizes of Qwen2.5-0.5B and Llama-3.2-1B at full width, with this many layers.
ModelConfig qwen2_5_0_5b(int64_t layers);
ModelConfig llama_3_2_1b(int64_t layers);

// Every parameter drawn, biases and norms too, so that none can be left out unseen. The values are those that float32, bfloat16
// and float16 all hold exactly. Weights are of the size that keeps a row's length.
std::unique_ptr<Model> random_model(const ModelConfig& config, uint64_t seed);

// Token i of a text that visits the vocabulary in no simple order.
std::vector<int64_t> some_tokens(int64_t count, int64_t vocab);

// Logits [T, V] over the paged cache: the tokens go through in pieces of changing length, their pages in no order.
// `adapter`: of the model's, whose the tokens are; 0: the base's.
std::vector<float> stepped_logits(Model& model, const std::vector<int64_t>& ids, int64_t adapter = 0);

}  // namespace bgl::models::testing
