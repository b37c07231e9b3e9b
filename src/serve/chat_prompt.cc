#include "serve/chat_prompt.h"

#include <nlohmann/json.hpp>

#include "serve/text_stream.h"

namespace bgl::serve {
namespace {

using nlohmann::json;

std::string text_of(const json& message) {
  const auto content = message.find("content");
  if (content == message.end() || content->is_null()) return {};
  if (content->is_string()) return content->get<std::string>();
  std::string text;
  for (const json& part : *content) text += part.at("text").get<std::string>();
  return text;
}

// Every string in it with its marks broken.
json guarded(const json& v, const text::Tokenizer& tokenizer) {
  if (v.is_string()) return tokenizer.guard_marks(v.get<std::string>());
  json out = v;
  if (v.is_structured()) {
    for (auto& [key, inner] : out.items()) inner = guarded(inner, tokenizer);
  }
  return out;
}

std::string mark_text(const text::Tokenizer& tokenizer, int32_t id) {
  for (const text::AddedToken& t : tokenizer.added_tokens()) {
    if (t.id == id) return t.text;
  }
  return tokenizer.token_bytes(id);
}

// How models of our own are tuned: <|user|>...<|assistant|>...<|endoftext|> in turn, ending where the answer begins, or with `go_on` where
// the last message ends.
Result<ChatTurn> marked_turns(const json& messages, const text::Tokenizer& tokenizer, int32_t user, int32_t assistant, bool go_on) {
  ChatTurn out;
  std::string pending;  // a system message goes before the next user's
  for (const json& m : messages) {
    const auto role = m.at("role").get<std::string>();
    const std::string content = text_of(m);
    if (role == "system" || role == "developer") {
      pending += content + "\n";
      continue;
    }
    out.tokens.push_back(role == "assistant" ? assistant : user);
    const auto tokens = tokenizer.encode_ordinary(role == "assistant" ? content : pending + content);
    out.tokens.insert(out.tokens.end(), tokens.begin(), tokens.end());
    if (role != "assistant") pending.clear();
    if (role == "assistant" && tokenizer.eos() && !(go_on && &m == &messages.back())) out.tokens.push_back(*tokenizer.eos());
  }
  if (out.tokens.empty()) return invalid_argument("'messages' holds no user message");
  if (go_on && !pending.empty()) return invalid_argument("'messages' ends with a system message, which an answer cannot go on with: leave 'add_generation_prompt' out");
  if (!go_on) out.tokens.push_back(assistant);
  out.at_start = !go_on;
  return out;
}

}  // namespace

Status check_prompt_bytes(size_t bytes, size_t most) {
  if (bytes <= most) return {};
  return make_status(Code::kResourceExhausted, "the prompt has {} bytes, more than this model's context could hold: {} at most", bytes, most);
}

ChatPrompt::ChatPrompt(const models::LoadedModel& model) : model_(model), templates_(std::map<std::string, text::ChatTemplate>()) {
  const auto kept = [&](const char* name) {
    const auto at = model.kept.find(name);
    return at == model.kept.end() ? std::string() : at->second;
  };
  templates_ = text::chat_templates(kept("tokenizer_config.json"), kept("chat_template.jinja"));
}

Result<ChatTurn> ChatPrompt::tokens(const json& request, size_t most_bytes) const {
  BGL_TRY(templates_.status());
  const text::Tokenizer& tokenizer = *model_.tokenizer;
  for (const json& m : request.at("messages")) BGL_TRY(check_known(tokenizer, text_of(m)));
  const auto& templates = *templates_;
  if (!templates.empty()) {
    const auto named = templates.find("default");
    return render(named == templates.end() ? templates.begin()->second : named->second, request, most_bytes);
  }
  const auto user = tokenizer.special_id("<|user|>"), assistant = tokenizer.special_id("<|assistant|>");
  if (!user || !assistant) return invalid_argument("this model has no chat template: use /v1/completions");
  size_t bytes = 0;
  for (const json& m : request.at("messages")) bytes += text_of(m).size();
  BGL_TRY(check_prompt_bytes(bytes, most_bytes));
  const auto prompt = request.find("add_generation_prompt");
  const bool go_on = prompt != request.end() && !prompt->is_null() && !prompt->get<bool>();
  return marked_turns(request.at("messages"), tokenizer, *user, *assistant, go_on);
}

Result<ChatTurn> ChatPrompt::render(const text::ChatTemplate& chat, const json& request, size_t most_bytes) const {
  const text::Tokenizer& tokenizer = *model_.tokenizer;
  nlohmann::ordered_json variables = {{"messages", nlohmann::ordered_json::array()}, {"add_generation_prompt", true}};
  if (tokenizer.bos()) variables["bos_token"] = mark_text(tokenizer, *tokenizer.bos());
  if (tokenizer.eos()) variables["eos_token"] = mark_text(tokenizer, *tokenizer.eos());
  const auto given = [&](const char* key) { return request.contains(key) && !request[key].is_null(); };
  if (given("add_generation_prompt")) variables["add_generation_prompt"] = request["add_generation_prompt"].get<bool>();
  if (given("chat_template_kwargs")) {
    for (const auto& [key, v] : request["chat_template_kwargs"].items()) variables[key] = guarded(v, tokenizer);
  }
  for (const json& m : request.at("messages")) {
    json message = guarded(m, tokenizer);
    if (m["role"] == "developer") message["role"] = "system";
    if (m.contains("content") && m["content"].is_array()) message["content"] = tokenizer.guard_marks(text_of(m));
    variables["messages"].push_back(nlohmann::ordered_json(message));
  }
  auto text = chat.render(variables.dump());
  if (!text.ok()) return text.status().with_context("the model's chat template");
  BGL_TRY(check_prompt_bytes(text->size(), most_bytes));
  ChatTurn out;
  out.tokens = tokenizer.encode_guarded(*text);
  out.at_start = variables["add_generation_prompt"].get<bool>();
  if (out.tokens.empty()) return invalid_argument("the model's chat template gives no text for these messages");
  return out;
}

}  // namespace bgl::serve
