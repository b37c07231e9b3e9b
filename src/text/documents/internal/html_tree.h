// A tolerant HTML parser: any bytes give a tree. It follows the HTML standard where real pages depend on it (void and raw-text
// elements, implied end tags, comments, character references) and is simpler elsewhere (no adoption agency, no foster
// parenting): it serves text extraction, not rendering.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/documents/limits.h"

namespace bgl::text {

struct HtmlNode {
  std::string tag;                                              // lower case; empty for text
  std::string text;                                             // of a text node, character references decoded
  std::vector<std::pair<std::string, std::string>> attributes;  // names in lower case
  std::vector<std::unique_ptr<HtmlNode>> children;

  bool is_text() const { return tag.empty(); }
  // The value of an attribute, or "".
  std::string_view attribute(std::string_view name) const;
};

// `html` is UTF-8. The root's tag is "#root". Elements deeper than 256 become neighbours. Errors: those of the budget.
Result<std::unique_ptr<HtmlNode>> parse_html(std::string_view html, Budget& budget);

// "&lt;&#65;" to "<A": the named references of HTML 4 and the most used of HTML 5, decimal and hexadecimal ones.
std::string decode_entities(std::string_view text);

}  // namespace bgl::text
