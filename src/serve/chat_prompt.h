// From the messages of a chat to the tokens that the model continues: by its own template (text/chat_template.h), or as models of our own
// are tuned. Whatever a message says, it cannot forge a control mark: marks come from the template alone.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "models/folder.h"
#include "text/chat/chat_template.h"
#include "text/tokenizers/tokenizer.h"

namespace bgl::serve {

struct ChatTurn {
  std::vector<int32_t> tokens;
  bool at_start = true;  // no text of the same message comes before the answer
};

// kResourceExhausted where a prompt of `bytes` exceeds `most`, what the context could hold.
Status check_prompt_bytes(size_t bytes, size_t most);

class ChatPrompt {
 public:
  // The model must have a tokenizer and outlive this.
  explicit ChatPrompt(const models::LoadedModel& model);
  // The tokens of a request's `messages`, with its add_generation_prompt and chat_template_kwargs (chat_schema()). kInvalidArgument: what
  // is wrong with them for this model; kResourceExhausted: their text has more than `most_bytes`.
  Result<ChatTurn> tokens(const nlohmann::json& request, size_t most_bytes = SIZE_MAX) const;
  // Why the model's template cannot be used, where it has one.
  Status status() const { return templates_.status(); }

 private:
  Result<ChatTurn> render(const text::ChatTemplate& chat, const nlohmann::json& request, size_t most_bytes) const;

  const models::LoadedModel& model_;
  Result<std::map<std::string, text::ChatTemplate>> templates_;
};

}  // namespace bgl::serve
