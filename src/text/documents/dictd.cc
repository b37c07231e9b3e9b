#include <algorithm>

#include "text/documents/internal/document_text.h"

namespace bgl::text {
namespace {

// "[1913 Webster]", "[WordNet 1.5]", "[PJC]": a line that only says where an entry comes from.
bool is_source_mark(std::string_view line) {
  return line.size() >= 3 && line.size() <= 48 && line.front() == '[' && line.back() == ']' &&
         line.find('[', 1) == std::string_view::npos;
}

// "1. " or "(a) " begins a sense, which stays a line of its own.
bool begins_sense(std::string_view line) {
  size_t i = 0;
  while (i < line.size() && line[i] >= '0' && line[i] <= '9') ++i;
  if (i > 0 && i <= 3 && i + 1 < line.size() && line[i] == '.' && line[i + 1] == ' ') return true;
  return line.size() > 4 && line[0] == '(' && line[2] == ')' && line[3] == ' ' && line[1] >= 'a' && line[1] <= 'z';
}

}  // namespace

std::string dictd_article(std::string_view article) {
  std::string out;
  bool new_paragraph = true;
  for (size_t at = 0; at < article.size();) {
    const size_t end = std::min(article.find('\n', at), article.size());
    std::string_view line = article.substr(at, end - at);
    at = end + 1;
    while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.remove_suffix(1);
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    if (line.empty() || is_source_mark(line)) {
      new_paragraph = true;
      continue;
    }
    if (!out.empty()) out += new_paragraph ? "\n\n" : begins_sense(line) ? "\n" : " ";
    new_paragraph = false;
    for (const char c : line) {
      if (c != '{' && c != '}') out += c;
    }
  }
  return out;
}

}  // namespace bgl::text
