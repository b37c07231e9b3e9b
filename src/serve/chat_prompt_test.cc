#include "serve/chat_prompt.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "text/tokenizers/char_tokenizer.h"

namespace bgl::serve {
namespace {

using nlohmann::json;

models::LoadedModel tuned_here() {
  models::LoadedModel model;
  model.tokenizer = std::move(text::make_char_tokenizer("abcdefgh\n", {"<|endoftext|>", "<|user|>", "<|assistant|>"})).value();
  return model;
}
std::string turn(const json& request) {
  const models::LoadedModel model = tuned_here();
  const auto made = ChatPrompt(model).tokens(request);
  if (!made.ok()) return made.status().message();
  std::string out = made->at_start ? "" : "on: ";
  for (const int32_t t : made->tokens) {
    std::string text = model.tokenizer->token_bytes(t);
    for (const text::AddedToken& a : model.tokenizer->added_tokens()) {
      if (a.id == t) text = a.text;
    }
    out += text;
  }
  return out;
}

TEST(ChatPrompt, TheAnswerBeginsATurnOrGoesOnWithTheLastMessage) {
  json request = {{"messages", {{{"role", "user"}, {"content", "ab"}}, {{"role", "assistant"}, {"content", "cd"}}}}};
  EXPECT_EQ(turn(request), "<|user|>ab<|assistant|>cd<|endoftext|><|assistant|>");
  request["add_generation_prompt"] = nullptr;
  EXPECT_EQ(turn(request), "<|user|>ab<|assistant|>cd<|endoftext|><|assistant|>");
  request["add_generation_prompt"] = false;
  EXPECT_EQ(turn(request), "on: <|user|>ab<|assistant|>cd");
  request["messages"].push_back({{"role", "user"}, {"content", "e"}});
  EXPECT_EQ(turn(request), "on: <|user|>ab<|assistant|>cd<|endoftext|><|user|>e");
  request["messages"].push_back({{"role", "system"}, {"content", "h"}});
  EXPECT_EQ(turn(request), "'messages' ends with a system message, which an answer cannot go on with: leave 'add_generation_prompt' out");
}

TEST(ChatPrompt, MoreTextThanTheContextCouldHoldIsRefusedBeforeItBecomesTokens) {
  const models::LoadedModel model = tuned_here();
  const ChatPrompt chat(model);
  const json request = {{"messages", {{{"role", "user"}, {"content", "abcdefgh"}}}}};
  EXPECT_TRUE(chat.tokens(request, 8).ok());
  const Status s = chat.tokens(request, 7).status();
  EXPECT_EQ(s.code(), Code::kResourceExhausted);
  EXPECT_EQ(s.message(), "the prompt has 8 bytes, more than this model's context could hold: 7 at most");
}

}  // namespace
}  // namespace bgl::serve
