#include "serve/text_stream.h"

#include <algorithm>

#include "text/unicode.h"

namespace bgl::serve {
namespace {

// Bytes at the end of `s` that begin a character and do not finish it.
size_t unfinished_bytes(const std::string& s) {
  for (size_t back = 1; back <= std::min<size_t>(3, s.size()); ++back) {
    const auto c = static_cast<unsigned char>(s[s.size() - back]);
    if ((c & 0xc0) == 0x80) continue;
    const size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

// Every byte that is no part of a valid character becomes U+FFFD.
std::string valid_utf8(const std::string& s) {
  std::string out;
  for (size_t i = 0; i < s.size();) {
    const auto c = static_cast<unsigned char>(s[i]);
    const size_t length = c < 0x80 ? 1 : c >= 0xf0 && c < 0xf5 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 0;
    bool good = length > 0 && c < 0xf5 && i + length <= s.size();
    for (size_t k = 1; good && k < length; ++k) good = (static_cast<unsigned char>(s[i + k]) & 0xc0) == 0x80;
    if (good && length == 3) {
      const auto d = static_cast<unsigned char>(s[i + 1]);
      good = !(c == 0xe0 && d < 0xa0) && !(c == 0xed && d >= 0xa0);
    } else if (good && length == 4) {
      const auto d = static_cast<unsigned char>(s[i + 1]);
      good = !(c == 0xf0 && d < 0x90) && !(c == 0xf4 && d >= 0x90);
    }
    if (good) {
      out.append(s, i, length);
      i += length;
    } else {
      out += "\xef\xbf\xbd";
      ++i;
    }
  }
  return out;
}

}  // namespace

Status check_known(const text::Tokenizer& tokenizer, std::string_view text) {
  const std::string lost = tokenizer.first_lost(text);
  if (lost.empty()) return Status();
  const int32_t codepoint = text::decode_utf8(lost, 0).codepoint;
  if (codepoint < 0) return invalid_argument("the prompt is not valid UTF-8: the byte {:#04x} belongs to no character", static_cast<uint8_t>(lost[0]));
  const std::string shown = codepoint < 0x20 ? "" : "'" + lost + "', ";
  return invalid_argument("the model's vocabulary has no token for the character {}U+{:04X} of the prompt: leave it out", shown, codepoint);
}

Result<std::vector<int32_t>> prompt_tokens(const text::Tokenizer& tokenizer, std::string_view prompt) {
  BGL_TRY(check_known(tokenizer, prompt));
  std::vector<int32_t> ids;
  const auto first = tokenizer.bos() ? tokenizer.bos() : tokenizer.eos();
  if (tokenizer.adds_bos() && tokenizer.bos()) ids.push_back(*tokenizer.bos());
  const std::vector<int32_t> rest = tokenizer.encode(prompt);
  ids.insert(ids.end(), rest.begin(), rest.end());
  if (ids.empty() && first) ids.push_back(*first);
  if (ids.empty()) return invalid_argument("the prompt is empty and the tokenizer has no begin-of-text token to start from: give a prompt");
  return ids;
}

TextStream::TextStream(const text::Tokenizer& tokenizer, bool at_start, std::vector<std::string> stops)
    : tokenizer_(tokenizer), at_start_(at_start), stops_(std::move(stops)) {}

std::string TextStream::add(int32_t token) {
  if (stopped_ || tokenizer_.is_special(token)) return {};
  held_ += at_start_ ? tokenizer_.decode(std::span(&token, 1)) : tokenizer_.token_bytes(token);
  at_start_ = false;
  return release(false);
}

std::string TextStream::finish() { return stopped_ ? std::string() : release(true); }

std::string TextStream::release(bool all) {
  size_t first_stop = std::string::npos;
  for (const std::string& s : stops_) first_stop = std::min(first_stop, s.empty() ? std::string::npos : held_.find(s));
  if (first_stop != std::string::npos) {
    stopped_ = true;
    const std::string out = valid_utf8(held_.substr(0, first_stop));
    held_.clear();
    return out;
  }
  size_t keep = all ? 0 : unfinished_bytes(held_);
  if (!all) {
    // The longest end of the text that begins a stop string.
    for (const std::string& s : stops_) {
      for (size_t n = std::min(s.size() > 0 ? s.size() - 1 : 0, held_.size()); n > keep; --n) {
        if (held_.compare(held_.size() - n, n, s, 0, n) == 0) {
          keep = n;
          break;
        }
      }
    }
  }
  const std::string out = valid_utf8(held_.substr(0, held_.size() - keep));
  held_.erase(0, held_.size() - keep);
  return out;
}

}  // namespace bgl::serve
