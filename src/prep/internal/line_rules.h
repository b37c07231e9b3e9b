// The rules that take lines out of a document.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace bgl::prep {

struct LineRules {
  bool javascript = false, policy = false, terminal = false;
  size_t words_min = 0;
};
// Whether these rules may take lines out of a text, which `lower` is in lower case.
bool takes_lines(const LineRules& rules, std::string_view lower);
// `lower`: the text in lower case.
std::string without_lines(std::string_view text, std::string_view lower, const LineRules& rules);

}  // namespace bgl::prep
