// The main text of an HTML page as light Markdown: headings with #, list items with - or numbers, tables with |, code in
// fences. Dropped are scripts, forms, navigation, footers, asides, what is hidden, blocks that are mostly links, what classes
// and ids call comments, advertisements, sharing and the like, and what lies outside the element that holds nearly all prose
// (or that the page marks as its articleBody).
#pragma once

#include <string>
#include <string_view>

#include "text/documents/limits.h"

namespace bgl::text {

struct HtmlText {
  std::string title;  // of <title>, else the first heading
  std::string text;   // blocks separated by empty lines; no trailing newline
};

// `html` is valid UTF-8 (to_utf8() makes it so); any markup is accepted. kResourceExhausted beyond a limit, which the
// message names.
Result<HtmlText> extract_html(std::string_view html, const ReadLimits& limits = {});

}  // namespace bgl::text
