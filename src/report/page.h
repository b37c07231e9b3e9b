// One HTML file that needs nothing beside itself: headings, paragraphs, tables, plots; light or dark as the reader's system is.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "report/plot.h"
#include "report/table.h"

namespace bgl::report {

// Every text is escaped; nothing given here can become markup.
class Page {
 public:
  explicit Page(std::string title);
  // Level 2 (sections) or 3.
  void heading(std::string_view text, int level = 2);
  void paragraph(std::string_view text);
  // Fixed width, line ends kept.
  void preformatted(std::string_view text);
  // Two columns with headings of their own; each text in a box, line ends kept, long lines broken.
  void side_by_side(std::string_view left_heading, std::span<const std::string> left, std::string_view right_heading,
                    std::span<const std::string> right);
  void table(const Table& table);
  void plot(std::span<const PlotSeries> series, const PlotOptions& options);
  std::string html() const;

 private:
  std::string title_;
  std::string body_;
};

// "&lt;" for "<" and so on; control characters, which HTML and SVG forbid, and bytes that are not UTF-8 become U+FFFD.
std::string html_escape(std::string_view text);

}  // namespace bgl::report
