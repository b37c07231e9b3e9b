// The character-level tokenizer: one token per Unicode character, in order of code point. As nanoGPT's shakespeare_char and
// makemore use it.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "text/tokenizers/tokenizer.h"

namespace bgl::text {

// The tokenizer whose vocabulary is the characters of `text`, followed by `marks` (for example "<|endoftext|>"). Characters it
// does not know are dropped when encoding, of which Tokenizer::first_lost() tells. Text that is not valid UTF-8 is refused. It is saved as a tokenizer.json (BPE
// without merges) that load_tokenizer() and Hugging Face tokenizers read back.
Result<std::unique_ptr<Tokenizer>> make_char_tokenizer(std::string_view text, const std::vector<std::string>& marks = {});

}  // namespace bgl::text
