// One pass over a document's words and lines, and what the filters ask about them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bgl::prep {

// Views point into the measured text.
struct TextMeasures {
  size_t bytes = 0;
  std::vector<std::string_view> words, lines, paragraphs;  // lines and paragraphs that are not empty
  size_t newlines = 0, sentences = 0;
  size_t proper_words = 0;      // words with a letter or a digit
  double mean_word_length = 0;  // characters, of the proper words
  size_t alpha_words = 0, stop_words = 0;
  size_t hashes = 0, ellipses = 0;
  size_t bullet_lines = 0, ellipsis_lines = 0, punctuated_lines = 0, short_lines = 0;
  bool lorem_ipsum = false, curly_bracket = false;
};
TextMeasures measure(std::string_view text);

struct Repeats {
  size_t items = 0, bytes = 0;  // of the second and later copies
};
Repeats repeats(const std::vector<std::string_view>& items);
// Bytes in all copies of the most frequent run of n words; 0 when none is there twice.
size_t top_gram_bytes(const std::vector<std::string_view>& words, size_t n);
// Bytes in runs of n words that were there before; runs that overlap count once.
size_t repeated_gram_bytes(const std::vector<std::string_view>& words, size_t n);

struct LineRules {
  bool javascript = false, policy = false, terminal = false;
  size_t words_min = 0;
};
std::string without_lines(std::string_view text, const LineRules& rules);

}  // namespace bgl::prep
