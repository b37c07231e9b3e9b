#include "text/tokenizers/internal/pretokenize.h"

#include <gtest/gtest.h>

namespace bgl::text {
namespace {

std::string words(WordSplit split, const std::string& text, bool isolate_digits = false) {
  std::string out;
  PreTokenizer pre;
  pre.split = split;
  pre.isolate_digits = isolate_digits;
  for_each_word(pre, text, [&](std::string_view word) { out += (out.empty() ? "" : "|") + std::string(word); });
  return out;
}

TEST(PreTokenize, Gpt2) {
  EXPECT_EQ(words(WordSplit::kGpt2, "I'm here, we'LL see 12 34x"), "I|'m| here|,| we|'|LL| see| 12| 34|x");
  EXPECT_EQ(words(WordSplit::kGpt2, "a   b"), "a|  | b") << "the last space of a run belongs to the word";
  EXPECT_EQ(words(WordSplit::kGpt2, "a   "), "a|   ") << "at the end of the text it does not";
  EXPECT_EQ(words(WordSplit::kGpt2, "a\n\nb"), "a|\n|\n|b");
  EXPECT_EQ(words(WordSplit::kGpt2,
                  "a\xC2\xA0"
                  "b"),
            "a|\xC2\xA0|b")
      << "only U+0020 joins a word";
  EXPECT_EQ(words(WordSplit::kGpt2, "x\xFF\xFE y"), "x|\xFF\xFE| y") << "broken bytes are like punctuation";
}

TEST(PreTokenize, Llama3AndQwen) {
  EXPECT_EQ(words(WordSplit::kLlama3, "I'M 12345 (yes)!\n\n  ok"), "I|'M| |123|45| (|yes|)!\n\n| | ok");
  EXPECT_EQ(words(WordSplit::kQwen, "x=12345"), "x|=|1|2|3|4|5");
  EXPECT_EQ(words(WordSplit::kLlama3, "a \n \n  b"), "a| \n \n| | b") << "white space up to the last newline";
  EXPECT_EQ(words(WordSplit::kLlama3, "\tif"), "\tif");
  EXPECT_EQ(words(WordSplit::kLlama3, "it'\xC5\xBF"), "it|'\xC5\xBF") << "the long s folds to s";
}

TEST(PreTokenize, DigitsAlone) { EXPECT_EQ(words(WordSplit::kGpt2, "abc 123", true), "abc| |1|2|3"); }

TEST(PreTokenize, RegexesAreRecognised) {
  for (const WordSplit split : {WordSplit::kGpt2, WordSplit::kLlama3, WordSplit::kQwen}) {
    WordSplit found = WordSplit::kNone;
    EXPECT_TRUE(word_split_of_regex(word_split_regex(split), found));
    EXPECT_EQ(found, split);
  }
  WordSplit found = WordSplit::kNone;
  EXPECT_FALSE(word_split_of_regex("\\w+", found));
}

}  // namespace
}  // namespace bgl::text
