#include "serve/defaults.h"

#include <algorithm>

namespace bgl::serve {

SamplingOptions default_sampling(const models::LoadedModel& model) {
  const SamplingOptions ours;
  const models::GenerationDefaults& g = model.generation;
  return {g.temperature.value_or(ours.temperature), g.top_p.value_or(ours.top_p), g.top_k.value_or(ours.top_k)};
}

std::vector<int32_t> end_tokens(const models::LoadedModel& model) {
  std::vector<int32_t> out = model.generation.end_tokens;
  if (model.tokenizer) {
    for (const auto& mark : {model.tokenizer->bos(), model.tokenizer->eos()}) {
      if (mark) out.push_back(*mark);
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace bgl::serve
