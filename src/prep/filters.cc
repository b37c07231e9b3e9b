#include "prep/filters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "prep/internal/line_rules.h"
#include "prep/internal/text_measures.h"
#include "prep/internal/word_runs.h"
#include "text/unicode.h"

namespace bgl::prep {
namespace {

constexpr RuleInfo kRules[] = {
    {"c4_javascript_lines", "c4", 0, true, "lines with the word javascript are taken out"},
    {"c4_policy_lines", "c4", 0, true, "lines about terms of use, privacy policy or cookies are taken out"},
    {"c4_terminal_lines", "c4", 0, false, "lines that do not end with . ! ? or a quotation mark are taken out"},
    {"c4_line_words", "c4", 5, false, "lines of fewer words are taken out"},
    {"gopher_words_min", "gopher_quality", 50, true, "fewer words"},
    {"gopher_words_max", "gopher_quality", 100000, true, "more words"},
    {"gopher_word_length_min", "gopher_quality", 3, true, "a lower mean length of words"},
    {"gopher_word_length_max", "gopher_quality", 10, true, "a higher mean length of words"},
    {"gopher_hash_ratio", "gopher_quality", 0.1, true, "more # per word"},
    {"gopher_ellipsis_ratio", "gopher_quality", 0.1, true, "more ellipses per word"},
    {"gopher_bullet_lines", "gopher_quality", 0.9, true, "a larger share of lines begins with a bullet"},
    {"gopher_ellipsis_lines", "gopher_quality", 0.3, true, "a larger share of lines ends with an ellipsis"},
    {"gopher_alpha_words", "gopher_quality", 0.8, true, "a smaller share of words holds a letter"},
    {"gopher_stop_words", "gopher_quality", 2, true, "fewer of the words the, be, to, of, and, that, have, with"},
    {"gopher_dup_lines", "gopher_repetition", 0.3, true, "a larger share of lines is there twice"},
    {"gopher_dup_paragraphs", "gopher_repetition", 0.3, true, "a larger share of paragraphs is there twice"},
    {"gopher_dup_line_chars", "gopher_repetition", 0.2, true, "a larger share of characters lies in repeated lines"},
    {"gopher_dup_paragraph_chars", "gopher_repetition", 0.2, true, "a larger share of characters lies in repeated paragraphs"},
    {"gopher_top_2_gram", "gopher_repetition", 0.20, true,
     "the most frequent pair of words holds a larger share of characters"},
    {"gopher_top_3_gram", "gopher_repetition", 0.18, true, "the same of three words"},
    {"gopher_top_4_gram", "gopher_repetition", 0.16, true, "the same of four words"},
    {"gopher_dup_5_grams", "gopher_repetition", 0.15, true, "repeated runs of five words hold a larger share of characters"},
    {"gopher_dup_6_grams", "gopher_repetition", 0.14, true, "the same of six words"},
    {"gopher_dup_7_grams", "gopher_repetition", 0.13, true, "the same of seven words"},
    {"gopher_dup_8_grams", "gopher_repetition", 0.12, true, "the same of eight words"},
    {"gopher_dup_9_grams", "gopher_repetition", 0.11, true, "the same of nine words"},
    {"gopher_dup_10_grams", "gopher_repetition", 0.10, true, "the same of ten words"},
    {"c4_lorem_ipsum", "c4", 0, true, "holds the words lorem ipsum"},
    {"c4_curly_bracket", "c4", 0, true, "holds a curly bracket"},
    {"c4_sentences", "c4", 3, true, "fewer sentences"},
    {"fineweb_punctuated_lines", "fineweb", 0.12, true, "a smaller share of lines ends with punctuation"},
    {"fineweb_dup_line_chars", "fineweb", 0.1, true, "a larger share of characters lies in repeated lines"},
    {"fineweb_short_lines", "fineweb", 0.67, true, "a larger share of lines is shorter than 30 characters"},
    {"fineweb_newlines_per_word", "fineweb", 0.3, true, "more line ends per word"},
};
constexpr size_t kRuleCount = std::size(kRules);

constexpr size_t rule_index(std::string_view name) {
  for (size_t i = 0; i < kRuleCount; ++i) {
    if (name == kRules[i].name) return i;
  }
  return kRuleCount;
}

// A rule by its name, which the compiler looks up.
struct Rule {
  consteval Rule(const char* name) : index(rule_index(name)) {
    if (index == kRuleCount) throw "no rule of this name";
  }
  size_t index;
};

Status unknown(const std::string& name) {
  std::vector<std::string> known;
  for (const RuleInfo& rule : kRules) known.push_back(rule.name);
  return invalid_argument("no filter '{}' (rules: {})", name, fmt::join(known, ", "));
}

std::string json_number(double value) {
  std::string out = fmt::format("{:.4f}", value);
  while (out.back() == '0') out.pop_back();
  if (out.back() == '.') out.pop_back();
  return out;
}

// What the rules see: looked up by name once, measured when first asked for.
class Judge {
 public:
  Judge(const RuleSet& rules, const TextMeasures& measures) : rules_(rules), m_(measures) {}

  std::optional<Drop> first_broken() {
    quality();
    repetition();
    c4();
    fineweb();
    return drop_;
  }

 private:
  // Drops when `value` lies on the wrong side of the threshold of `rule`.
  void at_least(Rule rule, double value) {
    check(rule, value, [](double v, double t) { return v < t; });
  }
  void at_most(Rule rule, double value) {
    check(rule, value, [](double v, double t) { return v > t; });
  }
  template <typename F>
  void check(Rule rule, double value, F&& broken) {
    const std::optional<double> threshold = rules_.threshold(rule.index);
    if (!drop_ && threshold && broken(value, *threshold)) drop_ = Drop{kRules[rule.index].name, json_number(value)};
  }
  bool wanted(Rule rule) const { return !drop_ && rules_.threshold(rule.index).has_value(); }

  void quality() {
    const double words = static_cast<double>(m_.words.size());
    at_least("gopher_words_min", static_cast<double>(m_.proper_words));
    at_most("gopher_words_max", static_cast<double>(m_.proper_words));
    at_least("gopher_word_length_min", m_.mean_word_length);
    at_most("gopher_word_length_max", m_.mean_word_length);
    if (words == 0) return;
    at_most("gopher_hash_ratio", static_cast<double>(m_.hashes) / words);
    at_most("gopher_ellipsis_ratio", static_cast<double>(m_.ellipses) / words);
    at_most("gopher_bullet_lines", share(m_.bullet_lines, m_.lines.size()));
    at_most("gopher_ellipsis_lines", share(m_.ellipsis_lines, m_.lines.size()));
    at_least("gopher_alpha_words", static_cast<double>(m_.alpha_words) / words);
    at_least("gopher_stop_words", static_cast<double>(m_.stop_words));
  }

  void repetition() {
    const Repeats& lines = line_repeats();
    const Repeats paragraphs = drop_ ? Repeats() : repeats(m_.paragraphs);
    at_most("gopher_dup_lines", share(lines.items, m_.lines.size()));
    at_most("gopher_dup_paragraphs", share(paragraphs.items, m_.paragraphs.size()));
    at_most("gopher_dup_line_chars", share(lines.bytes, m_.bytes));
    at_most("gopher_dup_paragraph_chars", share(paragraphs.bytes, m_.bytes));
    if (drop_) return;
    static constexpr Rule kTop[] = {"gopher_top_2_gram", "gopher_top_3_gram", "gopher_top_4_gram"};
    static constexpr Rule kRepeated[] = {"gopher_dup_5_grams", "gopher_dup_6_grams", "gopher_dup_7_grams",
                                         "gopher_dup_8_grams", "gopher_dup_9_grams", "gopher_dup_10_grams"};
    WordRuns runs(m_.words);
    size_t n = 2;
    for (const Rule rule : kTop) {
      if (wanted(rule)) at_most(rule, share(runs.top_bytes(n), m_.bytes));
      ++n;
    }
    for (const Rule rule : kRepeated) {
      if (wanted(rule)) at_most(rule, share(runs.repeated_bytes(n), m_.bytes));
      ++n;
    }
  }

  void c4() {
    at_most("c4_lorem_ipsum", m_.lorem_ipsum ? 1 : 0);
    at_most("c4_curly_bracket", m_.curly_bracket ? 1 : 0);
    at_least("c4_sentences", static_cast<double>(m_.sentences));
  }

  void fineweb() {
    const Repeats& lines = line_repeats();
    at_least("fineweb_punctuated_lines", share(m_.punctuated_lines, m_.lines.size()));
    at_most("fineweb_dup_line_chars", share(lines.bytes, m_.bytes));
    at_most("fineweb_short_lines", share(m_.short_lines, m_.lines.size()));
    at_most("fineweb_newlines_per_word", share(m_.newlines, m_.words.size()));
  }

  const Repeats& line_repeats() {
    if (!lines_) lines_ = repeats(m_.lines);
    return *lines_;
  }

  static double share(size_t part, size_t whole) {
    return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
  }

  const RuleSet& rules_;
  const TextMeasures& m_;
  std::optional<Repeats> lines_;
  std::optional<Drop> drop_;
};

}  // namespace

std::span<const RuleInfo> all_rules() { return kRules; }

RuleSet::RuleSet() : active_(kRuleCount, false), values_(kRuleCount) {
  for (size_t i = 0; i < kRuleCount; ++i) values_[i] = kRules[i].threshold;
}

Status RuleSet::enable(const std::string& name) {
  bool found = false;
  for (size_t i = 0; i < kRuleCount; ++i) {
    const bool by_name = name == kRules[i].name;
    const bool by_group = name == kRules[i].group;
    found = found || by_name || by_group;
    if (by_name || (by_group && kRules[i].in_group)) active_[i] = true;
  }
  return found ? Status() : unknown(name);
}

Status RuleSet::disable(const std::string& name) {
  bool found = false;
  for (size_t i = 0; i < kRuleCount; ++i) {
    if (name != kRules[i].name && name != kRules[i].group) continue;
    found = true;
    active_[i] = false;
  }
  return found ? Status() : unknown(name);
}

Status RuleSet::set_threshold(const std::string& name, double threshold) {
  const size_t i = rule_index(name);
  if (i == kRuleCount) return unknown(name);
  if (!std::isfinite(threshold)) return invalid_argument("filter '{}': the threshold is not a number", name);
  values_[i] = threshold;
  return {};
}

std::string RuleSet::fingerprint() const {
  std::string out;
  for (size_t i = 0; i < kRuleCount; ++i) {
    if (active_[i]) out += fmt::format("{}={} ", kRules[i].name, values_[i]);
  }
  return out;
}

std::optional<Drop> filter_document(const RuleSet& rules, std::string& text) {
  const auto threshold = [&](Rule rule) { return rules.threshold(rule.index); };
  LineRules lines;
  lines.javascript = threshold("c4_javascript_lines").has_value();
  lines.policy = threshold("c4_policy_lines").has_value();
  lines.terminal = threshold("c4_terminal_lines").has_value();
  lines.words_min = static_cast<size_t>(std::max(0.0, threshold("c4_line_words").value_or(0)));
  std::string lower = text::lower_ascii(text);
  if (takes_lines(lines, lower)) {
    text = without_lines(text, lower, lines);
    lower = text::lower_ascii(text);
  }
  if (text.empty()) return Drop{"empty", "0"};
  return Judge(rules, measure(text, lower)).first_broken();
}

}  // namespace bgl::prep
