#include "text/tokenizers/internal/pretokenize.h"

#include "text/unicode.h"

namespace bgl::text {
namespace {

// A read position with the class of the character there; kEnd past the text.
struct Cursor {
  std::string_view text;
  size_t at;
  CharClass cls = CharClass::kOther;
  uint32_t bytes = 0;
  bool end = false;

  Cursor(std::string_view t, size_t a) : text(t), at(a) { load(); }
  void load() {
    end = at >= text.size();
    if (end) return;
    const auto b = static_cast<uint8_t>(text[at]);
    const Char c = b < 0x80 ? Char{b, 1} : decode_utf8(text, at);
    cls = char_class(c.codepoint);
    bytes = c.bytes;
  }
  void next() {
    at += bytes;
    load();
  }
  bool is(CharClass c) const { return !end && cls == c; }
  bool space() const { return !end && is_space(cls); }
};

char lower_ascii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// Length of the contraction at text[at] ("'s", "'re", ...), or 0. With `fold`, in any case; then the long s (U+017F) is an s
// too.
size_t contraction(std::string_view text, size_t at, bool fold) {
  if (text[at] != '\'' || at + 1 >= text.size()) return 0;
  const char a = fold ? lower_ascii(text[at + 1]) : text[at + 1];
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  if (fold && text.substr(at + 1, 2) == "\xC5\xBF") return 3;
  if (at + 2 >= text.size()) return 0;
  const char b = fold ? lower_ascii(text[at + 2]) : text[at + 2];
  return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

// \s+(?!\S)|\s+ from the white space at `begin`: all of it at the end of the text, else all but its last character, if that
// leaves any.
size_t space_run(std::string_view text, size_t begin) {
  Cursor c(text, begin);
  size_t last = begin;
  while (c.space()) {
    last = c.at;
    c.next();
  }
  return c.end || last == begin ? c.at : last;
}

size_t word_end_gpt2(std::string_view text, size_t at) {
  if (const size_t n = contraction(text, at, false)) return at + n;
  Cursor c(text, at);
  if (text[at] == ' ') {
    const Cursor after(text, at + 1);
    if (!after.end && !after.space()) c = after;
  }
  if (c.space()) return space_run(text, at);
  const CharClass run = c.cls;
  while (c.is(run)) c.next();
  return c.at;
}

size_t word_end_llama3(std::string_view text, size_t at, int digits_max) {
  if (const size_t n = contraction(text, at, true)) return at + n;
  Cursor c(text, at);
  // [^\r\n\p{L}\p{N}]?\p{L}+
  if (!c.is(CharClass::kLetter) && !c.is(CharClass::kNumber) && !c.is(CharClass::kNewline)) {
    Cursor after = c;
    after.next();
    if (after.is(CharClass::kLetter)) c = after;
  }
  if (c.is(CharClass::kLetter)) {
    while (c.is(CharClass::kLetter)) c.next();
    return c.at;
  }
  if (c.is(CharClass::kNumber)) {
    for (int i = 0; i < digits_max && c.is(CharClass::kNumber); ++i) c.next();
    return c.at;
  }
  // ` ?[^\s\p{L}\p{N}]+[\r\n]*`
  if (text[at] == ' ') {
    const Cursor after(text, at + 1);
    if (after.is(CharClass::kOther)) c = after;
  }
  if (c.is(CharClass::kOther)) {
    while (c.is(CharClass::kOther)) c.next();
    while (c.is(CharClass::kNewline)) c.next();
    return c.at;
  }
  // \s*[\r\n]+ takes the white space up to the last newline in it.
  size_t newline_end = 0;
  while (c.space()) {
    const bool newline = c.cls == CharClass::kNewline;
    c.next();
    if (newline) newline_end = c.at;
  }
  return newline_end > 0 ? newline_end : space_run(text, at);
}

constexpr char kGpt2Regex[] = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr char kLlama3Regex[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kQwenRegex[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

}  // namespace

size_t word_end(WordSplit split, std::string_view text, size_t at) {
  switch (split) {
    case WordSplit::kNone:
      return text.size();
    case WordSplit::kGpt2:
      return word_end_gpt2(text, at);
    case WordSplit::kLlama3:
      return word_end_llama3(text, at, 3);
    case WordSplit::kQwen:
      return word_end_llama3(text, at, 1);
  }
  return text.size();
}

size_t digit_piece_end(std::string_view text, size_t at) {
  Cursor c(text, at);
  if (c.is(CharClass::kNumber)) return at + c.bytes;
  while (!c.end && !c.is(CharClass::kNumber)) c.next();
  return c.at;
}

const char* word_split_regex(WordSplit split) {
  switch (split) {
    case WordSplit::kNone:
      return "";
    case WordSplit::kGpt2:
      return kGpt2Regex;
    case WordSplit::kLlama3:
      return kLlama3Regex;
    case WordSplit::kQwen:
      return kQwenRegex;
  }
  return "";
}

bool word_split_of_regex(std::string_view regex, WordSplit& split) {
  for (const WordSplit candidate : {WordSplit::kGpt2, WordSplit::kLlama3, WordSplit::kQwen}) {
    if (regex == word_split_regex(candidate)) {
      split = candidate;
      return true;
    }
  }
  return false;
}

}  // namespace bgl::text
