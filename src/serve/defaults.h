// What a request gets that leaves it to the model: how tokens are drawn, and which end the text.
#pragma once

#include <vector>

#include "models/folder.h"
#include "serve/sampler.h"

namespace bgl::serve {

// generation_config.json's wishes over our own defaults.
SamplingOptions default_sampling(const models::LoadedModel& model);
// The model's end tokens, and the begin- and end-of-text marks of its tokenizer, each once.
std::vector<int32_t> end_tokens(const models::LoadedModel& model);

}  // namespace bgl::serve
