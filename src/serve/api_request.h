// A request of OpenAI's completion and chat endpoints, read from JSON that holds to its schema (api_schema.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "serve/chat_prompt.h"
#include "serve/grammar.h"
#include "serve/sampler.h"
#include "serve/schema_check.h"
#include "text/tokenizers/tokenizer.h"

namespace bgl::serve {

struct ApiRequest {
  std::string model;  // as asked for; empty: whatever is served
  std::vector<std::vector<int32_t>> prompts;
  std::vector<bool> at_start;  // per prompt: no text before the answer
  int64_t max_tokens = 16;
  bool max_tokens_given = false;
  int64_t n = 1;  // answers a prompt
  SamplingOptions sampling;
  uint64_t seed = 0;
  bool seed_given = false;
  std::vector<std::string> stop;
  bool ignore_eos = false;
  bool stream = false;
  bool include_usage = false;
  int64_t logprobs = -1;                   // -1: none; else of the token drawn, and so many most likely ones
  std::shared_ptr<const Grammar> grammar;  // what the answer has to hold to, or null
  std::string grammar_key;                 // equal for equal grammars
};

// Of a body as sent, and as JSON that its schema allows. Returns nothing and fills `out`, or what is wrong. What the body does not say
// stays as it is in `out`. Text of more than `most_bytes` is refused before it becomes tokens, which takes time.
std::optional<ApiError> read_completion(const std::string& text, const nlohmann::json& body, const text::Tokenizer& tokenizer, ApiRequest& out, size_t most_bytes = SIZE_MAX);
std::optional<ApiError> read_chat(const std::string& text, const nlohmann::json& body, const ChatPrompt& chat, ApiRequest& out, size_t most_bytes = SIZE_MAX);

}  // namespace bgl::serve
