// One pass over a document's words and lines, and what the filters ask about them.
#pragma once

#include <cstddef>
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
// `lower`: text::lower_ascii(text).
TextMeasures measure(std::string_view text, std::string_view lower);

bool contains(std::string_view text, std::string_view needle);
// Without blanks and tabs at both ends.
std::string_view stripped(std::string_view text);
bool ends_sentence(std::string_view text);

}  // namespace bgl::prep
