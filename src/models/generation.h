// What a request gets that does not say how its text is to be drawn: Hugging Face's generation_config.json. Of its keys these
// are used, the others are kept in the file:
//
//   eos_token_id    a token, or a list of them: each ends a text
//   temperature, top_p, top_k
//   do_sample       false: always the most likely token
//
// A folder without the file says eos_token_id in config.json.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace bgl::models {

struct GenerationDefaults {
  std::vector<int32_t> end_tokens;
  std::optional<double> temperature, top_p;  // absent: the model has no wish
  std::optional<int64_t> top_k;

  // Errors name the key: a wrong type, a value out of range. A key that would change the text and that we do not apply is told
  // in the log.
  static Result<GenerationDefaults> parse(const std::string& json_text, const std::string& where);
};

}  // namespace bgl::models
