// The readers behind read_documents() that turn one text into another. All take and give valid UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace bgl::text {

struct TitledText {
  std::string title, text;
};

// Line ends to \n, no white space at line ends, at most one empty line in a row, no control characters but tab.
std::string tidy_lines(std::string_view text);
TitledText plain_text(std::string_view text);
TitledText markdown_text(std::string_view text);
// troff with man(7) or mdoc(7) macros. A page that only includes another (".so") gives no text.
TitledText man_text(std::string_view troff);
// The article of a dictd database: lines joined to paragraphs, source marks like "[1913 Webster]" and braces dropped.
std::string dictd_article(std::string_view article);

}  // namespace bgl::text
