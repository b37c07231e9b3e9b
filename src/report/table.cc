#include "report/table.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/status.h"

namespace bgl::report {
namespace {

// A number, alone or with a unit after it.
bool looks_like_number(std::string_view cell) {
  if (cell == "-" || cell.empty()) return true;
  if (cell[0] == '-' || cell[0] == '+') cell.remove_prefix(1);
  if (cell.empty() || cell[0] < '0' || cell[0] > '9') return false;
  const size_t end = cell.find_first_not_of("0123456789.,eE+-x");
  if (end == std::string_view::npos) return true;
  const std::string_view unit = cell.substr(end);
  return unit.size() <= 12 && unit.find_first_of("0123456789") == std::string_view::npos;
}

void pad(std::string& line, int columns) { line.append(static_cast<size_t>(std::max(0, columns)), ' '); }

}  // namespace

int display_width(std::string_view utf8) {
  int width = 0;
  const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(utf8.data());
  auto left = static_cast<utf8proc_ssize_t>(utf8.size());
  while (left > 0) {
    utf8proc_int32_t code = 0;
    const utf8proc_ssize_t n = utf8proc_iterate(at, left, &code);
    width += n > 0 ? utf8proc_charwidth(code) : 1;
    at += n > 0 ? n : 1;
    left -= n > 0 ? n : 1;
  }
  return width;
}

Table::Table(std::vector<std::string> headers) : headers_(std::move(headers)) {}

void Table::add_row(std::vector<std::string> cells) {
  BGL_CHECK(cells.size() <= headers_.size(), "{} cells in a table of {} columns", cells.size(), headers_.size());
  cells.resize(headers_.size());
  for (std::string& cell : cells) {
    std::replace_if(
        cell.begin(), cell.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  }
  rows_.push_back(std::move(cells));
}

bool Table::right_aligned(size_t column) const {
  return !rows_.empty() &&
         std::all_of(rows_.begin(), rows_.end(), [column](const auto& row) { return looks_like_number(row[column]); });
}

std::string Table::text() const {
  std::vector<int> widths;
  std::vector<bool> right;
  std::vector<std::string> rule;
  for (size_t c = 0; c < headers_.size(); ++c) {
    int width = display_width(headers_[c]);
    for (const auto& row : rows_) width = std::max(width, display_width(row[c]));
    widths.push_back(width);
    right.push_back(right_aligned(c));
    rule.emplace_back(static_cast<size_t>(width), '-');
  }
  std::string out;
  const auto add_line = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t c = 0; c < cells.size(); ++c) {
      const int space = widths[c] - display_width(cells[c]);
      if (c > 0) line += "  ";
      if (right[c]) pad(line, space);
      line += cells[c];
      if (!right[c]) pad(line, space);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  add_line(headers_);
  add_line(rule);
  for (const auto& row : rows_) add_line(row);
  return out;
}

}  // namespace bgl::report
