#include <algorithm>

#include "text/documents/internal/document_text.h"

namespace bgl::text {
namespace {

std::string_view next_line(std::string_view text, size_t& at) {
  const size_t end = std::min(text.find('\n', at), text.size());
  const std::string_view line = text.substr(at, end - at);
  at = end + 1;
  return line;
}

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

// The position after the bracket that closes the one at text[at], or npos.
size_t closing(std::string_view text, size_t at, char open, char close) {
  int depth = 0;
  for (size_t i = at; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == open) {
      ++depth;
    } else if (text[i] == close && --depth == 0) {
      return i + 1;
    }
  }
  return std::string_view::npos;
}

// "[text](target)", "[text][name]", "![alt](target)" and "<http://...>" to their text.
std::string without_links(std::string_view line) {
  std::string out;
  for (size_t at = 0; at < line.size();) {
    const bool image = line[at] == '!' && at + 1 < line.size() && line[at + 1] == '[';
    if (line[at] == '`') {
      const size_t end = line.find('`', at + 1);
      const size_t stop = end == std::string_view::npos ? at + 1 : end + 1;
      out += line.substr(at, stop - at);
      at = stop;
      continue;
    }
    if (line[at] == '[' || image) {
      const size_t open = at + (image ? 1 : 0);
      const size_t text_end = closing(line, open, '[', ']');
      const char next = text_end < line.size() ? line[text_end] : '\0';
      const size_t end = next == '('   ? closing(line, text_end, '(', ')')
                         : next == '[' ? closing(line, text_end, '[', ']')
                                       : std::string_view::npos;
      if (end != std::string_view::npos) {
        if (!image) out += without_links(line.substr(open + 1, text_end - open - 2));
        at = end;
        continue;
      }
    }
    out += line[at++];
  }
  return out;
}

std::string without_comments(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t open = std::min(text.find("<!--", at), text.size());
    out += text.substr(at, open - at);
    if (open == text.size()) break;
    const size_t close = text.find("-->", open);
    if (close == std::string_view::npos) break;
    at = close + 3;
  }
  return out;
}

bool is_link_definition(std::string_view line) {
  const std::string_view t = trimmed(line);
  if (t.empty() || t[0] != '[') return false;
  const size_t end = closing(t, 0, '[', ']');
  return end != std::string_view::npos && end < t.size() && t[end] == ':';
}

}  // namespace

std::string tidy_lines(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  int breaks = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '\n' || c == '\f' || c == '\v' || (c == '\r' && (i + 1 >= text.size() || text[i + 1] != '\n'))) {
      while (!out.empty() && (out.back() == ' ' || out.back() == '\t')) out.pop_back();
      if (!out.empty() && ++breaks <= 2) out += '\n';
      continue;
    }
    if ((c < 0x20 && c != '\t') || c == 0x7F) continue;
    if (c != ' ' && c != '\t') breaks = 0;
    out += text[i];
  }
  while (!out.empty() && (out.back() == '\n' || out.back() == ' ' || out.back() == '\t')) out.pop_back();
  return out;
}

TitledText plain_text(std::string_view text) {
  TitledText out;
  out.text = tidy_lines(text);
  const std::string_view first = trimmed(std::string_view(out.text).substr(0, out.text.find('\n')));
  if (first.size() <= 120) out.title = first;
  return out;
}

TitledText markdown_text(std::string_view source) {
  const std::string text = without_comments(source);
  TitledText out;
  std::string body;
  size_t at = 0;
  if (text.rfind("---\n", 0) == 0) {
    if (const size_t end = text.find("\n---\n", 3); end != std::string::npos) at = end + 5;
  }
  bool code = false;
  while (at < text.size()) {
    const std::string_view line = next_line(text, at);
    const std::string_view t = trimmed(line);
    if (t.substr(0, 3) == "```" || t.substr(0, 3) == "~~~") code = !code;
    if (code) {
      body += std::string(line) + "\n";
      continue;
    }
    if (is_link_definition(line)) continue;
    const std::string plain = without_links(line);
    if (out.title.empty() && t.substr(0, 2) == "# ") out.title = trimmed(std::string_view(plain).substr(plain.find('#') + 1));
    body += plain + "\n";
  }
  out.text = tidy_lines(body);
  return out;
}

}  // namespace bgl::text
