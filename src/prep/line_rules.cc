#include "prep/internal/line_rules.h"

#include <algorithm>
#include <array>

#include "prep/filters.h"
#include "prep/internal/text_measures.h"

namespace bgl::prep {
namespace {

constexpr std::array<std::string_view, 5> kPolicy = {"terms of use", "privacy policy", "cookie policy", "uses cookies",
                                                     "use of cookies"};

// `lower` is in lower case.
bool has_wanted_words(const LineRules& rules, std::string_view lower) {
  return (rules.javascript && contains(lower, "javascript")) ||
         (rules.policy && std::any_of(kPolicy.begin(), kPolicy.end(), [&](std::string_view p) { return contains(lower, p); }));
}

}  // namespace

bool takes_lines(const LineRules& rules, std::string_view lower) {
  return rules.terminal || rules.words_min > 0 || has_wanted_words(rules, lower);
}

std::string without_lines(std::string_view text, std::string_view lower, const LineRules& rules) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    const std::string_view content = stripped(line);
    bool drop = has_wanted_words(rules, lower.substr(at, end - at));
    at = end + 1;
    if (!content.empty()) {
      drop = drop || (rules.terminal && !ends_sentence(content));
      drop = drop || (rules.words_min > 0 && words_of(content).size() < rules.words_min);
    }
    if (drop) continue;
    if (content.empty() && (out.empty() || out.ends_with("\n\n"))) continue;
    out += line;
    out += '\n';
  }
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

}  // namespace bgl::prep
