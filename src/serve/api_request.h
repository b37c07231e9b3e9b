// A request of OpenAI's completion and chat endpoints, read from JSON. A field of the wrong type or range is an error that names
// it; a field that would change the answer in a way we cannot is refused, others that we do not know are ignored.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "serve/sampler.h"
#include "text/tokenizer.h"

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
  bool stream = false;
  bool include_usage = false;
};

// What is wrong with a request: becomes 400 {"error": {"message", "type": "invalid_request_error", "param", "code"}}.
struct ApiError {
  std::string message, param;
};

// Returns true and fills `out`, or false and fills `error`. What the body does not say stays as it is in `out`.
bool parse_completion(const std::string& body, const text::Tokenizer& tokenizer, ApiRequest& out, ApiError& error);
bool parse_chat(const std::string& body, const text::Tokenizer& tokenizer, ApiRequest& out, ApiError& error);

}  // namespace bgl::serve
