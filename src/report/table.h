// Tables of text for a terminal: columns aligned by display width, so that Chinese and Japanese text lines up too.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bgl::report {

class Table {
 public:
  explicit Table(std::vector<std::string> headers);
  // Missing cells are empty; cells beyond the headers are our bug. Line ends and tabs in a cell become spaces.
  void add_row(std::vector<std::string> cells);
  const std::vector<std::string>& headers() const { return headers_; }
  const std::vector<std::vector<std::string>>& rows() const { return rows_; }
  // Numbers (also "12 %", "3.4 GB", "-") stand right, in every column in which all cells are such.
  bool right_aligned(size_t column) const;
  // Header, a rule, rows; two spaces between columns, none at the ends of lines.
  std::string text() const;

 private:
  std::vector<std::string> headers_;
  std::vector<std::vector<std::string>> rows_;
};

// Columns that `utf8` takes in a terminal: 2 for wide characters, 0 for combining ones. A wrong byte counts 1.
int display_width(std::string_view utf8);

}  // namespace bgl::report
