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

// Runs of words that are there more than once. Two runs are the same when their words are, whatever white space is between.
class WordRuns {
 public:
  explicit WordRuns(const std::vector<std::string_view>& words);
  // Bytes of the words in all copies of the most frequent run of n; of equally frequent ones the longest. 0 when none is there
  // twice.
  size_t top_bytes(size_t n);
  // Bytes of the words in runs of n that were there before; runs that overlap count once.
  size_t repeated_bytes(size_t n);

 private:
  struct Slot {
    uint64_t hash;
    uint32_t count, first;
  };
  uint64_t hash_of(size_t at, size_t n) const { return prefix_[at + n] - prefix_[at] * power_[n]; }
  size_t bytes_of(size_t at, size_t n) const { return bytes_[at + n] - bytes_[at]; }
  Slot& slot_of(uint64_t hash);
  void clear();

  static constexpr size_t kLongest = 16;
  size_t words_;
  std::vector<uint64_t> prefix_;  // polynomial hashes of the words before
  std::vector<size_t> bytes_;     // of the words before
  uint64_t power_[kLongest + 1];
  std::vector<Slot> slots_;      // open addressing; count 0 is empty
  size_t none_from_ = SIZE_MAX;  // no run of so many words is there twice
};

struct LineRules {
  bool javascript = false, policy = false, terminal = false;
  size_t words_min = 0;
};
std::string without_lines(std::string_view text, const LineRules& rules);

}  // namespace bgl::prep
