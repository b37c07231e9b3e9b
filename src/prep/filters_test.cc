#include "prep/filters.h"

#include <gtest/gtest.h>

#include "prep/internal/text_measures.h"

namespace bgl::prep {
namespace {

std::string dropped_by(const std::vector<std::string>& rules, std::string text) {
  RuleSet set;
  for (const std::string& rule : rules) EXPECT_TRUE(set.enable(rule).ok());
  const std::optional<Drop> drop = filter_document(set, text);
  return drop ? drop->rule + " " + drop->value : "kept";
}
std::string times(const std::string& text, int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += text;
  return out;
}
// 60 different words of prose in sentences.
std::string prose() {
  std::string out;
  for (int i = 0; i < 12; ++i)
    out += "The patient number" + std::to_string(i) + " walks along with bone" + std::to_string(i * 7) + " and heart. ";
  return out;
}

TEST(Filters, WordsAndMeasures) {
  EXPECT_EQ(words_of("a  b\n\xE6\x88\x91\xE6\x83\xB3go c"),
            (std::vector<std::string_view>{"a", "b", "\xE6\x88\x91", "\xE6\x83\xB3", "go", "c"}));
  const TextMeasures m = measure("# Head\n\n- item one...\nIt ends. Really? Yes!\n", "");
  EXPECT_EQ(m.lines.size(), 3u);
  EXPECT_EQ(m.hashes, 0u) << "the mark of a heading is no symbol";
  EXPECT_EQ(m.bullet_lines, 1u);
  EXPECT_EQ(m.ellipsis_lines, 1u);
  EXPECT_EQ(m.sentences, 4u);
}

TEST(Filters, GopherQuality) {
  EXPECT_EQ(dropped_by({"gopher_quality"}, prose()), "kept");
  EXPECT_EQ(dropped_by({"gopher_quality"}, "only four words here"), "gopher_words_min 4");
  EXPECT_EQ(dropped_by({"gopher_quality"}, times("a of to be ", 20)), "gopher_word_length_min 1.75");
  EXPECT_EQ(dropped_by({"gopher_quality"}, times("incomprehensibilities with ", 30)), "gopher_word_length_max 12.5");
  EXPECT_EQ(dropped_by({"gopher_quality"}, prose() + times("# ", 30)), "gopher_hash_ratio 0.2174");
  EXPECT_EQ(dropped_by({"gopher_quality"}, times("patient walking along nicely ", 20)), "gopher_stop_words 0");
  EXPECT_EQ(dropped_by({"gopher_quality"}, times("- the one with things\n", 20)), "gopher_bullet_lines 1");
  EXPECT_EQ(dropped_by({"gopher_quality"}, times("the with 123 4567 8901 ", 20)), "gopher_alpha_words 0.4");
}

TEST(Filters, GopherRepetition) {
  EXPECT_EQ(
      dropped_by({"gopher_repetition"},
                 "The heart pumps blood through two circuits. One leads to the lungs, where carbon dioxide leaves and oxygen\n"
                 "enters; another serves every organ. Valves keep flow in a single direction, and their closing makes sounds\n"
                 "that physicians hear with a stethoscope."),
      "kept");
  EXPECT_EQ(dropped_by({"gopher_dup_lines"}, "one line\ntwo line\none line\n"), "gopher_dup_lines 0.3333");
  EXPECT_EQ(dropped_by({"gopher_dup_paragraph_chars"}, "a paragraph\n\nother\n\na paragraph"),
            "gopher_dup_paragraph_chars 0.3548");
  EXPECT_EQ(dropped_by({"gopher_top_2_gram"}, "red fish blue whale red fish green frog"), "gopher_top_2_gram 0.359");
  EXPECT_EQ(dropped_by({"gopher_dup_5_grams"}, "a1 b2 c3 d4 e5 f6 a1 b2 c3 d4 e5 g7"), "gopher_dup_5_grams 0.2857");
}

TEST(Filters, C4AndFineWeb) {
  EXPECT_EQ(dropped_by({"c4"}, prose()), "kept");
  EXPECT_EQ(dropped_by({"c4"}, "One. Two. Three { four."), "c4_curly_bracket 1");
  EXPECT_EQ(dropped_by({"c4"}, "Lorem Ipsum dolor. One. Two. Three."), "c4_lorem_ipsum 1");
  EXPECT_EQ(dropped_by({"c4"}, "One sentence only."), "c4_sentences 1");
  EXPECT_EQ(dropped_by({"c4"}, "Please enable JavaScript."), "empty 0") << "the only line is taken out";
  EXPECT_EQ(dropped_by({"fineweb_short_lines"}, "short\nlines\nonly"), "fineweb_short_lines 1");
  EXPECT_EQ(dropped_by({"fineweb_punctuated_lines"}, "no end\nnone here"), "fineweb_punctuated_lines 0");
  EXPECT_EQ(dropped_by({"fineweb_newlines_per_word"}, "one\ntwo\nthree"), "fineweb_newlines_per_word 0.6667");
}

TEST(Filters, LineRulesChangeTheText) {
  RuleSet rules;
  ASSERT_TRUE(rules.enable("c4_terminal_lines").ok());
  ASSERT_TRUE(rules.enable("c4_line_words").ok());
  std::string text = "Menu\n\nThis line has enough words.\nToo short.\nno full stop at the end\n\nAnd this is the other one!";
  EXPECT_FALSE(filter_document(rules, text).has_value());
  EXPECT_EQ(text, "This line has enough words.\n\nAnd this is the other one!");
}

TEST(Filters, ThresholdsAndNames) {
  RuleSet rules;
  ASSERT_TRUE(rules.enable("gopher_quality").ok());
  ASSERT_TRUE(rules.set_threshold("gopher_words_min", 3).ok());
  ASSERT_TRUE(rules.disable("gopher_stop_words").ok());
  std::string text = "only four words here";
  EXPECT_FALSE(filter_document(rules, text).has_value());
  EXPECT_EQ(rules.enable("gopher").message().substr(0, 30), "no filter 'gopher' (rules: c4_");
}

}  // namespace
}  // namespace bgl::prep
