// Splitting text into words before byte-pair merging, by hand-written scanners that give exactly the matches of the published
// regular expressions. White space before a word belongs to it, so joining the words gives the text back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace bgl::text {

enum class WordSplit : uint8_t {
  kNone,    // the whole text is one word
  kGpt2,    // '(s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
  kLlama3,  // (?i:'(s|t|re|ve|m|ll|d))|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
  kQwen,    // as kLlama3 with \p{N} one at a time
};

struct PreTokenizer {
  WordSplit split = WordSplit::kGpt2;
  bool isolate_digits = false;    // a stage before: every \p{N} is a piece of its own, and the pieces between are split alone
  bool add_prefix_space = false;  // a space is put before a text that begins without one
  bool normalise_nfc = false;     // a stage before all others
};

// End of the word that begins at text[at]; greater than `at` for at < text.size().
size_t word_end(WordSplit split, std::string_view text, size_t at);

// Calls fn(word) for every word of `text` in order.
template <typename F>
void for_each_word(const PreTokenizer& pre, std::string_view text, F&& fn);

// End of the piece that begins at text[at] when digits are isolated.
size_t digit_piece_end(std::string_view text, size_t at);

template <typename F>
void for_each_word(const PreTokenizer& pre, std::string_view text, F&& fn) {
  const auto split_piece = [&](std::string_view piece) {
    for (size_t at = 0; at < piece.size();) {
      const size_t end = word_end(pre.split, piece, at);
      fn(piece.substr(at, end - at));
      at = end;
    }
  };
  if (!pre.isolate_digits) return split_piece(text);
  for (size_t at = 0; at < text.size();) {
    const size_t end = digit_piece_end(text, at);
    split_piece(text.substr(at, end - at));
    at = end;
  }
}

// The regular expression of `split` as tokenizer.json holds it; empty for kNone.
const char* word_split_regex(WordSplit split);
// The split of a regular expression found in a tokenizer.json; false when we have no scanner for it.
bool word_split_of_regex(std::string_view regex, WordSplit& split);

}  // namespace bgl::text
