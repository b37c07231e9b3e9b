// Which documents are worth learning from, as named rules with the thresholds of the papers that found them:
//
//   gopher_quality, gopher_repetition   Rae et al. 2021, https://arxiv.org/abs/2112.11446, table A1 and section A.1.1
//   c4                                  Raffel et al. 2020, https://arxiv.org/abs/1910.10683, section 2.2
//   fineweb                             Penedo et al. 2024, https://arxiv.org/abs/2406.17557, section 3.6
//
// Words are runs between white space; a Chinese or Japanese character counts as a word of its own. The marks that extraction
// puts in front of headings are not counted as symbols.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace bgl::prep {

struct RuleInfo {
  const char* name;
  const char* group;
  double threshold;  // the paper's
  bool in_group;     // applies when its group is asked for; others only by name
  const char* meaning;
};
// In the order in which they are applied.
std::span<const RuleInfo> all_rules();

// The rules that apply to a source, with their thresholds.
class RuleSet {
 public:
  RuleSet();
  // `name` is a rule or a group; disabling a group disables its rules that apply by name only, too.
  Status enable(const std::string& name);
  Status disable(const std::string& name);
  Status set_threshold(const std::string& name, double threshold);
  std::optional<double> threshold(size_t rule) const { return active_[rule] ? std::optional(values_[rule]) : std::nullopt; }
  // The active rules with their thresholds, as text: two sets of one fingerprint decide alike.
  std::string fingerprint() const;

 private:
  std::vector<bool> active_;
  std::vector<double> values_;
};

// The first rule that a document breaks, and what was measured.
struct Drop {
  std::string rule;
  std::string value;  // as JSON: a number or a string
};

// Applies the rules. Rules about lines (c4_javascript_lines, c4_policy_lines, c4_terminal_lines, c4_line_words) take lines out
// of `text`; the others decide on what is left.
std::optional<Drop> filter_document(const RuleSet& rules, std::string& text);

// The words of `text` as the rules count them.
std::vector<std::string_view> words_of(std::string_view text);

}  // namespace bgl::prep
