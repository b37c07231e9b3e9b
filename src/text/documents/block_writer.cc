#include "text/documents/internal/block_writer.h"

#include <algorithm>

namespace bgl::text {

void BlockWriter::begin_text() {
  if (!out_.empty()) out_.append(static_cast<size_t>(breaks_), '\n');
  const bool fresh = breaks_ > 0 || out_.empty();
  breaks_ = 0;
  if (!prefix_.empty()) {
    out_ += prefix_;
    prefix_.clear();
  } else if (space_ && !fresh) {
    out_ += ' ';
  }
  space_ = false;
}

void BlockWriter::words(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = std::min(text.find_first_of(" \t\r\n\f", at), text.size());
    if (end > at) {
      begin_text();
      out_.append(text, at, end - at);
    }
    if (end < text.size()) space_ = true;
    at = end + 1;
  }
}

void BlockWriter::verbatim(std::string_view text) {
  if (text.empty()) return;
  begin_text();
  out_ += text;
}

void BlockWriter::line_break(int newlines) {
  breaks_ = std::max(breaks_, newlines);
  space_ = false;
}

std::string BlockWriter::take() {
  while (!out_.empty() && (out_.back() == '\n' || out_.back() == ' ')) out_.pop_back();
  return std::move(out_);
}

}  // namespace bgl::text
