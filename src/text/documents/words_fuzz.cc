// Any bytes are cut into words that are together the bytes; repaired text is valid, and text in lower case stays so.
#include "base/testing/fuzz.h"
#include "text/tokenizers/internal/pretokenize.h"
#include "text/unicode.h"

using namespace bgl::text;
using bgl::fuzz_failed;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  size_t most = 0;
  for (const WordSplit split : {WordSplit::kNone, WordSplit::kGpt2, WordSplit::kLlama3, WordSplit::kQwen}) {
    size_t words = 0;
    for (size_t at = 0; at < size; ++words) {
      const size_t end = word_end(split, text, at);
      if (end <= at || end > size) fuzz_failed("a word ends before it begins, or after the text");
      at = end;
    }
    most = std::max(most, words);
  }
  for (size_t at = 0; at < size;) {
    const size_t end = digit_piece_end(text, at);
    if (end <= at || end > size) fuzz_failed("a piece ends before it begins, or after the text");
    at = end;
  }
  const std::string valid = repair_utf8(text);
  if (!is_valid_utf8(valid)) fuzz_failed("repaired text is not valid");
  if (is_valid_utf8(text) && valid != text) fuzz_failed("valid text was repaired");
  if (!is_valid_utf8(to_lower(valid)) || !is_valid_utf8(nfc(valid)) || !is_valid_utf8(nfkc(valid)))
    fuzz_failed("changed text is not valid");
  if (nfc(nfc(valid)) != nfc(valid)) fuzz_failed("a normal form has another");
  bgl::fuzz_canary(most > 60);
  return 0;
}
