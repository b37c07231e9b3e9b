#include "prep/internal/text_measures.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "prep/filters.h"
#include "text/unicode.h"

namespace bgl::prep {
namespace {

using text::Char;
using text::CharClass;

// Scripts written without spaces: a character is a word.
bool is_ideograph(int32_t c) {
  return (c >= 0x3400 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x20000 && c <= 0x3FFFF) ||
         (c >= 0x3041 && c <= 0x30FF);
}

// The last three bytes, for comparison with a character of three.
bool ends_with_any(std::string_view text, std::initializer_list<std::string_view> characters) {
  if (text.size() < 3) return false;
  const std::string_view end = text.substr(text.size() - 3);
  return std::any_of(characters.begin(), characters.end(), [&](std::string_view c) { return c == end; });
}

bool ends_with_punctuation(std::string_view line) {
  while (!line.empty() && (line.back() == ')' || line.back() == '*')) line.remove_suffix(1);
  if (line.empty()) return false;
  const char last = line.back();
  if (static_cast<signed char>(last) >= 0)
    return last == '.' || last == '!' || last == '?' || last == '"' || last == '\'' || last == ':' || last == ';';
  return ends_with_any(line, {"\xE2\x80\x9D", "\xE2\x80\xA6", "\xE3\x80\x82", "\xEF\xBC\x81", "\xEF\xBC\x9F", "\xEF\xBC\x9A"});
}

std::vector<std::string_view> split(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    const std::string_view part = stripped(text.substr(at, end - at));
    if (!part.empty()) out.push_back(part);
    at = end + separator.size();
  }
  return out;
}

size_t count_of(std::string_view text, std::string_view needle) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(needle, at)) != std::string_view::npos; at += needle.size()) ++n;
  return n;
}

// Which of the eight stop words this is, as a bit; 0: none. A comma or full stop at its end is no part of it.
uint32_t stop_word_bit(std::string_view word) {
  while (!word.empty() && (word.back() == ',' || word.back() == '.')) word.remove_suffix(1);
  if (word.size() < 2 || word.size() > 4) return 0;
  const auto letters = [](std::string_view w) {
    uint32_t value = 0;
    for (const char c : w) value = value << 8 | static_cast<unsigned char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    return value;
  };
  switch (letters(word)) {
    case 0x746865:
      return 1;  // the
    case 0x6265:
      return 2;  // be
    case 0x746F:
      return 4;  // to
    case 0x6F66:
      return 8;  // of
    case 0x616E64:
      return 16;  // and
    case 0x74686174:
      return 32;  // that
    case 0x68617665:
      return 64;  // have
    case 0x77697468:
      return 128;  // with
    default:
      return 0;
  }
}

struct Word {
  std::string_view text;
  bool letter = false, digit = false;  // holds one
  size_t characters = 0;
};

// Calls fn(Word) for every word in turn.
template <typename F>
void each_word(std::string_view text, F&& fn) {
  // Of ASCII; the classes of other characters are looked up.
  static const std::array<CharClass, 128> kAscii = [] {
    std::array<CharClass, 128> out{};
    for (size_t c = 0; c < out.size(); ++c) out[c] = text::char_class(static_cast<int32_t>(c));
    return out;
  }();
  size_t begin = 0;
  Word word;
  const auto flush = [&](size_t end) {
    if (end > begin) {
      word.text = text.substr(begin, end - begin);
      fn(word);
    }
    word = Word();
  };
  const auto add = [&](CharClass cls) {
    word.letter |= cls == CharClass::kLetter;
    word.digit |= cls == CharClass::kNumber;
    ++word.characters;
  };
  for (size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x80) {
      const CharClass cls = kAscii[byte];
      if (text::is_space(cls)) {
        flush(at);
        begin = at + 1;
      } else {
        add(cls);
      }
      ++at;
      continue;
    }
    const Char c = text::decode_utf8(text, at);
    const CharClass cls = text::char_class(c.codepoint);
    if (text::is_space(cls)) {
      flush(at);
      begin = at + c.bytes;
    } else if (c.codepoint >= 0x3041 && is_ideograph(c.codepoint)) {
      flush(at);
      begin = at;
      add(cls);
      flush(at + c.bytes);
      begin = at + c.bytes;
    } else {
      add(cls);
    }
    at += c.bytes;
  }
  flush(text.size());
}

void measure_words(std::string_view text, TextMeasures& m) {
  size_t characters = 0;
  uint32_t stop_words = 0;
  m.words.reserve(text.size() / 6);
  each_word(text, [&](const Word& word) {
    m.words.push_back(word.text);
    if (word.letter) ++m.alpha_words;
    if (word.letter || word.digit) {
      ++m.proper_words;
      characters += word.characters;
    }
    if (word.text.size() <= 5) stop_words |= stop_word_bit(word.text);
    if (ends_sentence(word.text)) ++m.sentences;
  });
  m.stop_words = static_cast<size_t>(std::popcount(stop_words));
  m.mean_word_length = m.proper_words == 0 ? 0 : static_cast<double>(characters) / static_cast<double>(m.proper_words);
}

bool has_at_most(std::string_view line, size_t characters) {
  if (line.size() > characters * 4) return false;
  size_t n = 0;
  for (const char c : line) n += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return n <= characters;
}

void measure_lines(TextMeasures& m) {
  for (const std::string_view line : m.lines) {
    const size_t marks = std::min(line.find_first_not_of('#'), line.size());
    const bool heading = marks > 0 && marks <= 6 && marks < line.size() && line[marks] == ' ';
    m.hashes += count_of(heading ? line.substr(marks) : line, "#");
    if (line[0] == '-' || line[0] == '*' || line.substr(0, 3) == "\xE2\x80\xA2") ++m.bullet_lines;
    if (line.ends_with("...") || line.ends_with("\xE2\x80\xA6")) ++m.ellipsis_lines;
    if (ends_with_punctuation(line)) ++m.punctuated_lines;
    if (has_at_most(line, 30)) ++m.short_lines;
  }
}

}  // namespace

bool contains(std::string_view text, std::string_view needle) {
  return ::memmem(text.data(), text.size(), needle.data(), needle.size()) != nullptr;
}

std::string_view stripped(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool ends_sentence(std::string_view text) {
  if (text.empty()) return false;
  const char last = text.back();
  if (static_cast<signed char>(last) >= 0) return last == '.' || last == '!' || last == '?' || last == '"';
  return ends_with_any(text, {"\xE3\x80\x82", "\xEF\xBC\x81", "\xEF\xBC\x9F"});
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> out;
  out.reserve(text.size() / 6);
  each_word(text, [&](const Word& word) { out.push_back(word.text); });
  return out;
}

TextMeasures measure(std::string_view text, std::string_view lower) {
  TextMeasures m;
  m.bytes = text.size();
  m.lines = split(text, "\n");
  m.paragraphs = split(text, "\n\n");
  m.newlines = count_of(text, "\n");
  m.ellipses = count_of(text, "...") + count_of(text, "\xE2\x80\xA6");
  m.curly_bracket = text.find('{') != std::string_view::npos;
  m.lorem_ipsum = contains(lower, "lorem ipsum");
  measure_words(text, m);
  measure_lines(m);
  return m;
}

}  // namespace bgl::prep
