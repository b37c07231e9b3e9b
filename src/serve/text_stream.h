// From tokens to text as a reader sees it come: whole characters only, and nothing that may still turn out to be a stop string.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/tokenizers/tokenizer.h"

namespace bgl::serve {

// kInvalidArgument, naming the first one, where `text` holds characters that the vocabulary has no tokens for.
Status check_known(const text::Tokenizer& tokenizer, std::string_view text);

// The tokens a model is given for a text prompt: begin-of-text where the model expects it; an empty prompt is begin-of-text (or
// end-of-text, which models trained on joined documents begin with) alone. kInvalidArgument when there is neither, and as check_known().
Result<std::vector<int32_t>> prompt_tokens(const text::Tokenizer& tokenizer, std::string_view prompt);

class TextStream {
 public:
  // `at_start`: no text comes before the first token, so a vocabulary that writes a space before a text drops it.
  TextStream(const text::Tokenizer& tokenizer, bool at_start, std::vector<std::string> stops = {});
  // The text that `token` makes certain; sets stopped() when a stop string is complete (it is not given out).
  std::string add(int32_t token);
  // What was held back at the end: broken characters become U+FFFD.
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  std::string release(bool all);
  const text::Tokenizer& tokenizer_;
  bool at_start_;
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace bgl::serve
