#include "models/generation.h"

#include <nlohmann/json.hpp>

#include "base/log.h"

namespace bgl::models {
namespace {

using nlohmann::json;

Status bad(const std::string& where, const char* key, const json& value, const std::string& expected) {
  return invalid_argument("{}: \"{}\" is {}, not {}", where, key, value.dump(), expected);
}

// An id outside the vocabulary is no error: it can never be drawn, and small models are published with their family's default.
Status read_end_tokens(const json& value, const std::string& where, std::vector<int32_t>& out) {
  const json list = value.is_array() ? value : json::array({value});
  for (const json& id : list) {
    if (!id.is_number_integer() || id < 0 || id > INT32_MAX)
      return bad(where, "eos_token_id", value, "a token's number or a list of them");
    out.push_back(id.get<int32_t>());
  }
  return Status();
}

Status read_number(const json& j, const char* key, double most, const std::string& where, std::optional<double>& out) {
  const auto it = j.find(key);
  if (it == j.end() || it->is_null()) return Status();
  if (!it->is_number() || *it < 0 || *it > most) return bad(where, key, *it, fmt::format("a number from 0 to {:g}", most));
  out = it->get<double>();
  return Status();
}

// Keys of Hugging Face's file that change the text, with the values that change nothing.
void warn_of_unused(const json& j, const std::string& where) {
  for (const auto& [key, harmless] :
       {std::pair{"repetition_penalty", 1.0}, {"min_p", 0.0}, {"typical_p", 1.0}, {"num_beams", 1.0}}) {
    const auto it = j.find(key);
    if (it == j.end() || it->is_null() || *it == harmless) continue;
    log_warn("{}: \"{}\" is {}, which is not applied", where, key, it->dump());
  }
}

}  // namespace

Result<GenerationDefaults> GenerationDefaults::parse(const std::string& json_text, const std::string& where) {
  const json j = json::parse(json_text, nullptr, false);
  if (!j.is_object()) return data_loss("{} is not a JSON object", where);
  GenerationDefaults out;
  if (const auto it = j.find("eos_token_id"); it != j.end() && !it->is_null())
    BGL_TRY(read_end_tokens(*it, where, out.end_tokens));
  BGL_TRY(read_number(j, "temperature", 2, where, out.temperature));
  BGL_TRY(read_number(j, "top_p", 1, where, out.top_p));
  if (const auto it = j.find("top_k"); it != j.end() && !it->is_null()) {
    if (!it->is_number_integer() || *it < 0 || *it > 1 << 30) return bad(where, "top_k", *it, "a whole number from 0");
    out.top_k = it->get<int64_t>();
  }
  if (const auto it = j.find("do_sample"); it != j.end() && *it == json(false)) out.temperature = 0;
  warn_of_unused(j, where);
  return out;
}

}  // namespace bgl::models
