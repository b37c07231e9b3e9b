// Builds text out of blocks: collapses white space inside a line and keeps at most one empty line between blocks.
#pragma once

#include <string>
#include <string_view>

namespace bgl::text {

class BlockWriter {
 public:
  // Inline text: runs of white space become one space, none at the start of a line.
  void words(std::string_view text);
  // Text as it is, for code.
  void verbatim(std::string_view text);
  // The next text begins a line (1) or follows an empty line (2).
  void line_break(int newlines);
  // Put before the first text of the next line, for example "- ".
  void prefix(std::string text) { prefix_ = std::move(text); }
  bool at_line_start() const { return breaks_ > 0 || out_.empty(); }
  // The result without white space at its end.
  std::string take();

 private:
  void begin_text();
  std::string out_, prefix_;
  int breaks_ = 0;
  bool space_ = false;
};

}  // namespace bgl::text
