// From the messages of a chat to the tokens that the model continues.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "models/folder.h"
#include "text/tokenizer.h"

namespace bgl::serve {

struct ChatTurn {
  std::vector<int32_t> tokens;
  bool at_start = true;  // no text of the same message comes before the answer
};

class ChatPrompt {
 public:
  // The model must have a tokenizer and outlive this.
  explicit ChatPrompt(const models::LoadedModel& model);
  // The tokens of a request's `messages` (chat_schema()). kInvalidArgument: what is wrong with them for this model.
  Result<ChatTurn> tokens(const nlohmann::json& request) const;

 private:
  const models::LoadedModel& model_;
};

}  // namespace bgl::serve
