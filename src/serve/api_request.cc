#include "serve/api_request.h"

#include <nlohmann/json.hpp>

#include "serve/json_grammar.h"
#include "serve/text_stream.h"

namespace bgl::serve {
namespace {

using nlohmann::json;
using Failure = std::optional<ApiError>;

const json* find(const json& body, const char* name) {
  const auto it = body.find(name);
  return it == body.end() || it->is_null() ? nullptr : &*it;
}
template <typename T>
bool read(const json& body, const char* name, T& out) {
  const json* v = find(body, name);
  if (v) out = v->get<T>();
  return v != nullptr;
}

constexpr const char* kTooLong = "context_length_exceeded";

Failure read_logit_bias(const json& body, SamplingOptions& out) {
  const json* v = find(body, "logit_bias");
  if (!v) return {};
  for (const auto& [key, bias] : v->items()) {
    if (key.empty() || key.size() > 9 || key.find_first_not_of("0123456789") != std::string::npos) {
      return ApiError{fmt::format("'logit_bias' has the key '{}': keys must be token ids", key), "logit_bias"};
    }
    out.logit_bias.emplace_back(std::stoi(key), bias.get<double>());
  }
  return {};
}

Failure read_response_format(const std::string& body, const json& j, ApiRequest& out) {
  const json* v = find(j, "response_format");
  if (!v || v->at("type") == "text") return {};
  if (v->at("type") == "json_object") {
    out.grammar = json_object_grammar();
    return {};
  }
  if (!find(*v, "json_schema")) return ApiError{"'response_format.json_schema' is required", "response_format.json_schema"};
  // Once more, with the schema's properties in the order they were written in.
  const auto ordered = nlohmann::ordered_json::parse(body);
  auto grammar = json_schema_grammar(ordered.at("response_format").at("json_schema").at("schema"));
  if (!grammar.ok()) return ApiError{fmt::format("'response_format.json_schema.schema': {}", grammar.status().message()), "response_format"};
  out.grammar = std::move(grammar).value();
  out.grammar_key = ordered.at("response_format").at("json_schema").at("schema").dump();
  return {};
}

Failure read_common(const std::string& body, const json& j, ApiRequest& out) {
  read(j, "model", out.model);
  SamplingOptions& s = out.sampling;
  read(j, "temperature", s.temperature);
  read(j, "top_p", s.top_p);
  if (read(j, "top_k", s.top_k)) s.top_k = std::max<int64_t>(s.top_k, 0);
  read(j, "min_p", s.min_p);
  read(j, "presence_penalty", s.presence_penalty);
  read(j, "frequency_penalty", s.frequency_penalty);
  read(j, "repetition_penalty", s.repetition_penalty);
  read(j, "n", out.n);
  if (int64_t seed = 0; read(j, "seed", seed)) {
    out.seed = static_cast<uint64_t>(seed);
    out.seed_given = true;
  }
  read(j, "stream", out.stream);
  read(j, "ignore_eos", out.ignore_eos);
  if (const json* v = find(j, "stream_options")) {
    if (!out.stream) return ApiError{"'stream_options' is possible with 'stream' only", "stream_options"};
    read(*v, "include_usage", out.include_usage);
  }
  if (const json* v = find(j, "stop")) {
    for (const json& text : v->is_string() ? json::array({*v}) : *v) out.stop.push_back(text.get<std::string>());
  }
  if (auto e = read_logit_bias(j, s)) return e;
  return read_response_format(body, j, out);
}

Failure read_prompts(const json& j, const text::Tokenizer& tokenizer, ApiRequest& out, size_t most_bytes) {
  const json* v = find(j, "prompt");
  const json list = !v ? json::array({""}) : v->is_string() || v->front().is_number() ? json::array({*v}) : *v;
  for (const json& p : list) {
    if (p.is_string()) {
      if (const Status s = check_prompt_bytes(p.get_ref<const std::string&>().size(), most_bytes); !s.ok()) return ApiError{s.message(), "prompt", kTooLong};
      auto tokens = prompt_tokens(tokenizer, p.get<std::string>());
      if (!tokens.ok()) return ApiError{tokens.status().message(), "prompt"};
      out.prompts.push_back(std::move(tokens).value());
    } else {
      out.prompts.push_back(p.get<std::vector<int32_t>>());
    }
    out.at_start.push_back(p.is_string() && p.get<std::string>().empty());
  }
  return {};
}

}  // namespace

Failure read_completion(const std::string& text, const json& j, const text::Tokenizer& tokenizer, ApiRequest& out, size_t most_bytes) {
  if (auto e = read_common(text, j, out)) return e;
  out.max_tokens_given = read(j, "max_tokens", out.max_tokens);
  read(j, "logprobs", out.logprobs);
  return read_prompts(j, tokenizer, out, most_bytes);
}

Failure read_chat(const std::string& text, const json& j, const ChatPrompt& chat, ApiRequest& out, size_t most_bytes) {
  if (auto e = read_common(text, j, out)) return e;
  out.max_tokens_given = read(j, "max_completion_tokens", out.max_tokens) || read(j, "max_tokens", out.max_tokens);
  bool logprobs = false;
  read(j, "logprobs", logprobs);
  if (logprobs) out.logprobs = 0;
  if (int64_t top = 0; read(j, "top_logprobs", top)) {
    if (!logprobs && top > 0) return ApiError{"'top_logprobs' is possible with 'logprobs' only", "top_logprobs"};
    if (logprobs) out.logprobs = top;
  }
  auto turn = chat.tokens(j, most_bytes);
  if (!turn.ok()) return ApiError{turn.status().message(), "messages", turn.status().code() == Code::kResourceExhausted ? kTooLong : ""};
  out.prompts.push_back(std::move(turn->tokens));
  out.at_start.push_back(turn->at_start);
  return {};
}

}  // namespace bgl::serve
