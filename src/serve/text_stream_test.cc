#include "serve/text_stream.h"

#include <gtest/gtest.h>

#include <cmath>

#include "serve/sampler.h"
#include "text/tokenizers/char_tokenizer.h"

namespace bgl::serve {
namespace {

TEST(TextStream, HoldsBackWhatMayBecomeAStopString) {
  const auto t = text::make_char_tokenizer("abcdefST");
  TextStream s(**t, true, {"STS"});
  std::string shown;
  for (const int32_t id : (*t)->encode("abSTcdSTSef")) shown += s.add(id) + "|";
  EXPECT_EQ(shown, "a|b|||STc|d||||||");
  EXPECT_TRUE(s.stopped());
  EXPECT_EQ(s.finish(), "");
}

TEST(TextStream, GivesOutTheRestAtTheEnd) {
  const auto t = text::make_char_tokenizer("abcST");
  TextStream s(**t, true, {"STS"});
  std::string shown;
  for (const int32_t id : (*t)->encode("aST")) shown += s.add(id);
  EXPECT_EQ(shown, "a");
  EXPECT_EQ(s.finish(), "ST");
}

TEST(PromptTokens, ACharacterThatTheVocabularyLacksIsNamed) {
  const auto t = text::make_char_tokenizer("abc", {"<|endoftext|>"});
  const auto said = [&](const char* prompt) { return prompt_tokens(**t, prompt).status().message(); };
  EXPECT_EQ(said("ab\xCE\xA9zc"), "the model's vocabulary has no token for the character '\xCE\xA9', U+03A9 of the prompt: leave it out");
  EXPECT_EQ(said("a\tb"), "the model's vocabulary has no token for the character U+0009 of the prompt: leave it out");
  EXPECT_EQ(said("a\xFF"), "the prompt is not valid UTF-8: the byte 0xff belongs to no character");
  const auto marked = prompt_tokens(**t, "a<|endoftext|>c");  // whose characters it lacks too
  ASSERT_TRUE(marked.ok()) << marked.status().message();
  EXPECT_EQ(*marked, (std::vector<int32_t>{0, 3, 2}));
}

TEST(Sampler, TemperatureZeroTakesTheFirstOfTheMostLikely) {
  ops::Generator g(1);
  const std::vector<float> logits = {1, 3, NAN, 3, 2};
  EXPECT_EQ(sample(logits, {.temperature = 0}, g), 1);
  EXPECT_EQ(sample(std::vector<float>{NAN, NAN}, {.temperature = 0}, g), -1);
}

TEST(Sampler, TopPAndTopKCutTheTail) {
  ops::Generator g(1);
  const std::vector<float> logits = {0, std::log(2.0f), std::log(5.0f), -20};
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(sample(logits, {.temperature = 1, .top_p = 0.6}, g), 2);
    EXPECT_NE(sample(logits, {.temperature = 1, .top_k = 2}, g), 0);
  }
  int counts[4] = {};
  for (int i = 0; i < 8000; ++i) ++counts[sample(logits, {.temperature = 1}, g)];
  EXPECT_NEAR(counts[2] / 8000.0, 5 / 8.0, 0.03);
}

}  // namespace
}  // namespace bgl::serve
