#include "serve/chat_prompt.h"

#include <nlohmann/json.hpp>

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

// How models of our own are tuned: <|user|>...<|assistant|>...<|endoftext|> in turn, ending where the answer begins.
Result<ChatTurn> marked_turns(const json& messages, const text::Tokenizer& tokenizer, int32_t user, int32_t assistant) {
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
    if (role == "assistant" && tokenizer.eos()) out.tokens.push_back(*tokenizer.eos());
  }
  if (out.tokens.empty()) return invalid_argument("'messages' holds no user message");
  out.tokens.push_back(assistant);
  return out;
}

}  // namespace

ChatPrompt::ChatPrompt(const models::LoadedModel& model) : model_(model) {}

Result<ChatTurn> ChatPrompt::tokens(const json& request) const {
  const text::Tokenizer& tokenizer = *model_.tokenizer;
  const auto user = tokenizer.special_id("<|user|>"), assistant = tokenizer.special_id("<|assistant|>");
  if (!user || !assistant) return invalid_argument("this model has no chat template: use /v1/completions");
  return marked_turns(request.at("messages"), tokenizer, *user, *assistant);
}

}  // namespace bgl::serve
