#include <cmath>

#include "cli/bench.h"
#include "ops/random.h"

namespace bgl::cli {

std::string made_text(size_t bytes, uint64_t seed) {
  ops::Generator g(seed);
  std::vector<std::string> words;
  const std::string vowels = "aeiou", consonants = "bcdfghklmnprstvw";
  for (int i = 0; i < 20000; ++i) {
    std::string w;
    for (int64_t n = 1 + g.below(4); n > 0; --n) {
      w += consonants[static_cast<size_t>(g.below(16))];
      w += vowels[static_cast<size_t>(g.below(5))];
    }
    words.push_back(w);
  }
  std::string text;
  int in_sentence = 0;
  while (text.size() < bytes) {
    const auto rank = static_cast<size_t>(std::exp(g.uniform_double() * std::log(20000.0))) - 1;
    text += (in_sentence == 0 ? "The " : " ") + words[rank];
    if (++in_sentence > 8 && g.below(5) == 0) {
      text += g.below(6) == 0 ? ".\n\n" : ". ";
      in_sentence = 0;
    }
  }
  return text;
}

}  // namespace bgl::cli
