#include "serve/api_request.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "serve/text_stream.h"

namespace bgl::serve {
namespace {

using nlohmann::json;

// Reads fields of one body; the first error wins.
class Fields {
 public:
  Fields(const json& body, ApiError& error) : body_(body), error_(error) {}
  bool ok() const { return ok_; }
  bool fail(const std::string& param, const std::string& message) {
    if (ok_) error_ = {message, param};
    ok_ = false;
    return false;
  }
  const json* find(const char* name) const {
    const auto it = body_.find(name);
    return it == body_.end() || it->is_null() ? nullptr : &*it;
  }
  void number(const char* name, double low, double high, double& out) {
    const json* v = find(name);
    if (!v) return;
    if (!v->is_number()) return void(fail(name, fmt::format("'{}' must be a number, got {}", name, v->type_name())));
    out = v->get<double>();
    if (!(out >= low && out <= high)) fail(name, fmt::format("'{}' must be between {:g} and {:g}, got {:g}", name, low, high, out));
  }
  bool integer(const char* name, int64_t low, int64_t high, int64_t& out) {
    const json* v = find(name);
    if (!v) return false;
    if (!v->is_number_integer()) return fail(name, fmt::format("'{}' must be an integer, got {}", name, v->is_number() ? v->dump() : v->type_name()));
    if (v->is_number_unsigned() && v->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) return fail(name, fmt::format("'{}' is too large", name));
    out = v->get<int64_t>();
    if (out < low || out > high) return fail(name, fmt::format("'{}' must be between {} and {}, got {}", name, low, high, out));
    return true;
  }
  void boolean(const char* name, bool& out) {
    const json* v = find(name);
    if (!v) return;
    if (!v->is_boolean()) return void(fail(name, fmt::format("'{}' must be true or false, got {}", name, v->type_name())));
    out = v->get<bool>();
  }
  // A field that would change the answer and is not supported, unless it has the value that changes nothing.
  void unsupported(const char* name, const json& harmless) {
    const json* v = find(name);
    if (v && *v != harmless) fail(name, fmt::format("'{}' is not supported by this server yet", name));
  }

 private:
  const json& body_;
  ApiError& error_;
  bool ok_ = true;
};

bool parse_body(const std::string& body, json& out, ApiError& error) {
  // A body nested deeper than anything we read is refused before it can exhaust the stack.
  int depth = 0, deepest = 0;
  bool quoted = false;
  for (size_t i = 0; i < body.size(); ++i) {
    const char c = body[i];
    if (quoted) {
      if (c == '\\') ++i;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  if (deepest > 64) return error = {"the body is nested deeper than 64 levels", ""}, false;
  try {
    out = json::parse(body);
  } catch (const json::parse_error& e) {
    return error = {fmt::format("the body is not valid JSON (near byte {})", e.byte), ""}, false;
  } catch (const json::out_of_range&) {
    return error = {"the body holds a number beyond the range of a double", ""}, false;
  }
  if (!out.is_object()) return error = {"the body must be a JSON object", ""}, false;
  return true;
}

void parse_common(Fields& f, ApiRequest& out) {
  if (const json* v = f.find("model")) {
    if (!v->is_string()) return void(f.fail("model", fmt::format("'model' must be a string, got {}", v->type_name())));
    out.model = v->get<std::string>();
  }
  f.number("temperature", 0, 2, out.sampling.temperature);
  f.number("top_p", 0, 1, out.sampling.top_p);
  f.integer("top_k", 0, 1 << 30, out.sampling.top_k);
  f.integer("n", 1, 128, out.n);
  if (int64_t seed = 0; f.integer("seed", INT64_MIN, INT64_MAX, seed)) {
    out.seed = static_cast<uint64_t>(seed);
    out.seed_given = true;
  }
  f.boolean("stream", out.stream);
  if (const json* v = f.find("stream_options")) {
    if (!v->is_object()) return void(f.fail("stream_options", fmt::format("'stream_options' must be an object, got {}", v->type_name())));
    const json usage = v->value("include_usage", json(false));
    if (!usage.is_boolean()) return void(f.fail("stream_options.include_usage", "'stream_options.include_usage' must be true or false"));
    out.include_usage = usage.get<bool>();
  }
  if (const json* v = f.find("stop")) {
    const json list = v->is_string() ? json::array({*v}) : *v;
    if (!list.is_array() || list.size() > 4) return void(f.fail("stop", "'stop' must be a string or a list of at most 4 strings"));
    for (const json& s : list) {
      if (!s.is_string() || s.get<std::string>().empty()) return void(f.fail("stop", "'stop' must hold strings that are not empty"));
      out.stop.push_back(s.get<std::string>());
    }
  }
  f.unsupported("frequency_penalty", 0);
  f.unsupported("presence_penalty", 0);
  f.unsupported("logit_bias", json::object());
  f.unsupported("best_of", 1);
}

bool token_list(const json& v, std::vector<int32_t>& out) {
  for (const json& t : v) {
    if (!t.is_number_integer()) return false;
    const auto id = t.get<int64_t>();
    if (id < 0 || id > INT32_MAX) return false;
    out.push_back(static_cast<int32_t>(id));
  }
  return true;
}

void parse_prompts(Fields& f, const text::Tokenizer& tokenizer, ApiRequest& out) {
  const json* v = f.find("prompt");
  const json list = !v ? json::array({""}) : v->is_string() ? json::array({*v})
                    : v->is_array() && !v->empty() && v->front().is_number() ? json::array({*v}) : *v;
  if (!list.is_array() || list.empty()) return void(f.fail("prompt", "'prompt' must be a string, a list of token ids, or a list of these"));
  if (list.size() > 128) return void(f.fail("prompt", fmt::format("'prompt' holds {} prompts, at most 128 are served at once", list.size())));
  for (const json& p : list) {
    std::vector<int32_t> ids;
    if (p.is_string()) {
      auto tokens = prompt_tokens(tokenizer, p.get<std::string>());
      if (!tokens.ok()) return void(f.fail("prompt", tokens.status().message()));
      ids = std::move(tokens).value();
    } else if (!p.is_array() || p.empty() || !token_list(p, ids)) {
      return void(f.fail("prompt", "'prompt' must be a string, a list of token ids, or a list of these"));
    }
    out.at_start.push_back(p.is_string() && p.get<std::string>().empty());
    out.prompts.push_back(std::move(ids));
  }
}

// <|user|>...<|assistant|>...<|endoftext|> in turn, ending where the answer begins.
void parse_messages(Fields& f, const text::Tokenizer& tokenizer, ApiRequest& out) {
  const auto user = tokenizer.special_id("<|user|>"), assistant = tokenizer.special_id("<|assistant|>");
  if (!user || !assistant) return void(f.fail("messages", "this model has no chat template: use /v1/completions"));
  const json* v = f.find("messages");
  if (!v) return void(f.fail("messages", "'messages' is required"));
  if (!v->is_array() || v->empty()) return void(f.fail("messages", "'messages' must be a list that is not empty"));
  std::vector<int32_t> ids;
  std::string pending;  // a system message goes before the next user's
  size_t index = 0;
  for (const json& m : *v) {
    const std::string at = fmt::format("messages[{}]", index++);
    if (!m.is_object()) return void(f.fail(at, fmt::format("'{}' must be an object", at)));
    const std::string role = m.contains("role") && m["role"].is_string() ? m["role"].get<std::string>() : "";
    if (role != "user" && role != "assistant" && role != "system" && role != "developer") {
      return void(f.fail(at + ".role", fmt::format("'{}.role' must be system, user or assistant", at)));
    }
    std::string content;
    if (m.contains("content") && m["content"].is_string()) {
      content = m["content"].get<std::string>();
    } else if (m.contains("content") && m["content"].is_array()) {
      for (const json& part : m["content"]) {
        if (!part.is_object() || part.value("type", json()) != "text" || !part.contains("text") || !part["text"].is_string()) {
          return void(f.fail(at + ".content", fmt::format("'{}.content' may hold parts of type text only", at)));
        }
        content += part["text"].get<std::string>();
      }
    } else {
      return void(f.fail(at + ".content", fmt::format("'{}.content' must be a string", at)));
    }
    if (role == "system" || role == "developer") {
      pending += content + "\n";
      continue;
    }
    ids.push_back(role == "user" ? *user : *assistant);
    const auto tokens = tokenizer.encode_ordinary(role == "user" ? pending + content : content);
    ids.insert(ids.end(), tokens.begin(), tokens.end());
    if (role == "user") pending.clear();
    if (role == "assistant" && tokenizer.eos()) ids.push_back(*tokenizer.eos());
  }
  if (ids.empty()) return void(f.fail("messages", "'messages' holds no user message"));
  ids.push_back(*assistant);
  out.prompts.push_back(std::move(ids));
  out.at_start.push_back(true);
}

}  // namespace

bool parse_completion(const std::string& body, const text::Tokenizer& tokenizer, ApiRequest& out, ApiError& error) {
  json j;
  if (!parse_body(body, j, error)) return false;
  Fields f(j, error);
  parse_common(f, out);
  out.max_tokens_given = f.integer("max_tokens", 0, 1 << 30, out.max_tokens);
  f.unsupported("logprobs", json());
  f.unsupported("echo", false);
  f.unsupported("suffix", json());
  if (f.ok()) parse_prompts(f, tokenizer, out);
  return f.ok();
}

bool parse_chat(const std::string& body, const text::Tokenizer& tokenizer, ApiRequest& out, ApiError& error) {
  json j;
  if (!parse_body(body, j, error)) return false;
  Fields f(j, error);
  parse_common(f, out);
  out.max_tokens_given = f.integer("max_tokens", 1, 1 << 30, out.max_tokens) || f.integer("max_completion_tokens", 1, 1 << 30, out.max_tokens);
  f.unsupported("logprobs", false);
  f.unsupported("tools", json::array());
  if (const json* format = f.find("response_format"); format && *format != json{{"type", "text"}}) {
    f.fail("response_format", "'response_format' of another type than text is not supported by this server yet");
  }
  if (f.ok()) parse_messages(f, tokenizer, out);
  return f.ok();
}

}  // namespace bgl::serve
