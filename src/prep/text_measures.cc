#include "prep/internal/text_measures.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>

#include "base/hash.h"
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

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

std::string_view stripped(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

bool ends_with_punctuation(std::string_view line) {
  static constexpr std::array<std::string_view, 13> kEnds = {".",
                                                             "!",
                                                             "?",
                                                             "\"",
                                                             "'",
                                                             ":",
                                                             ";",
                                                             "\xE2\x80\x9D",
                                                             "\xE2\x80\xA6",
                                                             "\xE3\x80\x82",
                                                             "\xEF\xBC\x81",
                                                             "\xEF\xBC\x9F",
                                                             "\xEF\xBC\x9A"};
  while (ends_with(line, ")") || ends_with(line, "*")) line.remove_suffix(1);
  return std::any_of(kEnds.begin(), kEnds.end(), [&](std::string_view end) { return ends_with(line, end); });
}

bool ends_sentence(std::string_view line) {
  static constexpr std::array<std::string_view, 7> kEnds = {".",           "!", "?", "\"", "\xE3\x80\x82", "\xEF\xBC\x81",
                                                            "\xEF\xBC\x9F"};
  return std::any_of(kEnds.begin(), kEnds.end(), [&](std::string_view end) { return ends_with(line, end); });
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

bool is_stop_word(std::string_view lower) {
  static constexpr std::array<std::string_view, 8> kStop = {"the", "be", "to", "of", "and", "that", "have", "with"};
  return std::find(kStop.begin(), kStop.end(), lower) != kStop.end();
}

void measure_words(TextMeasures& m) {
  size_t characters = 0;
  std::unordered_set<std::string> stop_words;
  for (const std::string_view word : m.words) {
    bool letter = false, digit = false;
    size_t length = 0;
    for (size_t at = 0; at < word.size(); ++length) {
      const Char c = text::decode_utf8(word, at);
      const CharClass cls = text::char_class(c.codepoint);
      letter = letter || cls == CharClass::kLetter;
      digit = digit || cls == CharClass::kNumber;
      at += c.bytes;
    }
    if (letter) ++m.alpha_words;
    if (letter || digit) {
      ++m.proper_words;
      characters += length;
    }
    if (word.size() <= 5) {
      std::string lower = text::to_lower(word);
      while (!lower.empty() && (lower.back() == ',' || lower.back() == '.')) lower.pop_back();
      if (is_stop_word(lower)) stop_words.insert(lower);
    }
  }
  m.stop_words = stop_words.size();
  m.mean_word_length = m.proper_words == 0 ? 0 : static_cast<double>(characters) / static_cast<double>(m.proper_words);
}

void measure_lines(TextMeasures& m) {
  for (const std::string_view line : m.lines) {
    const size_t marks = std::min(line.find_first_not_of('#'), line.size());
    const bool heading = marks > 0 && marks <= 6 && marks < line.size() && line[marks] == ' ';
    m.hashes += count_of(heading ? line.substr(marks) : line, "#");
    if (line[0] == '-' || line[0] == '*' || line.substr(0, 3) == "\xE2\x80\xA2") ++m.bullet_lines;
    if (ends_with(line, "...") || ends_with(line, "\xE2\x80\xA6")) ++m.ellipsis_lines;
    if (ends_with_punctuation(line)) ++m.punctuated_lines;
    size_t characters = 0;
    for (const char c : line) characters += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (characters <= 30) ++m.short_lines;
  }
}

uint64_t gram_hash(const std::vector<std::string_view>& words, size_t at, size_t n) {
  // The words of a run lie in one text, so the run is one piece of it, white space included.
  const char* begin = words[at].data();
  const std::string_view last = words[at + n - 1];
  return hash64({begin, static_cast<size_t>(last.data() + last.size() - begin)});
}

size_t gram_bytes(const std::vector<std::string_view>& words, size_t at, size_t n) {
  size_t bytes = 0;
  for (size_t i = at; i < at + n; ++i) bytes += words[i].size();
  return bytes;
}

}  // namespace

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> out;
  size_t begin = 0;
  const auto flush = [&](size_t end) {
    if (end > begin) out.push_back(text.substr(begin, end - begin));
  };
  for (size_t at = 0; at < text.size();) {
    const Char c = text::decode_utf8(text, at);
    if (text::is_space(text::char_class(c.codepoint))) {
      flush(at);
      begin = at + c.bytes;
    } else if (c.codepoint >= 0x3041 && is_ideograph(c.codepoint)) {
      flush(at);
      out.push_back(text.substr(at, c.bytes));
      begin = at + c.bytes;
    }
    at += c.bytes;
  }
  flush(text.size());
  return out;
}

TextMeasures measure(std::string_view text) {
  TextMeasures m;
  m.bytes = text.size();
  m.words = words_of(text);
  m.lines = split(text, "\n");
  m.paragraphs = split(text, "\n\n");
  m.newlines = count_of(text, "\n");
  m.ellipses = count_of(text, "...") + count_of(text, "\xE2\x80\xA6");
  m.curly_bracket = text.find('{') != std::string_view::npos;
  m.lorem_ipsum = text::to_lower(text).find("lorem ipsum") != std::string::npos;
  for (const std::string_view word : m.words) {
    if (ends_sentence(word)) ++m.sentences;
  }
  measure_words(m);
  measure_lines(m);
  return m;
}

Repeats repeats(const std::vector<std::string_view>& items) {
  Repeats out;
  std::unordered_set<std::string_view> seen;
  for (const std::string_view item : items) {
    if (seen.insert(item).second) continue;
    ++out.items;
    out.bytes += item.size();
  }
  return out;
}

size_t top_gram_bytes(const std::vector<std::string_view>& words, size_t n) {
  if (words.size() < n) return 0;
  struct Gram {
    size_t count = 0, bytes = 0;
  };
  std::unordered_map<uint64_t, Gram> grams;
  size_t count = 0, bytes = 0;
  for (size_t at = 0; at + n <= words.size(); ++at) {
    Gram& gram = grams[gram_hash(words, at, n)];
    if (gram.count++ == 0) gram.bytes = gram_bytes(words, at, n);
    // Of equally frequent runs the longest decides.
    if (gram.count > count || (gram.count == count && gram.bytes > bytes)) count = gram.count, bytes = gram.bytes;
  }
  return count < 2 ? 0 : count * bytes;
}

size_t repeated_gram_bytes(const std::vector<std::string_view>& words, size_t n) {
  std::unordered_set<uint64_t> seen;
  size_t bytes = 0;
  for (size_t at = 0; at + n <= words.size();) {
    if (seen.insert(gram_hash(words, at, n)).second) {
      ++at;
      continue;
    }
    bytes += gram_bytes(words, at, n);
    at += n;
  }
  return bytes;
}

std::string without_lines(std::string_view text, const LineRules& rules) {
  if (!rules.javascript && !rules.policy && !rules.terminal && rules.words_min == 0) return std::string(text);
  static constexpr std::array<std::string_view, 5> kPolicy = {"terms of use", "privacy policy", "cookie policy", "uses cookies",
                                                              "use of cookies"};
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    const std::string_view content = stripped(line);
    at = end + 1;
    const std::string lower = text::to_lower(content);
    bool drop = rules.javascript && lower.find("javascript") != std::string::npos;
    drop = drop || (rules.policy && std::any_of(kPolicy.begin(), kPolicy.end(),
                                                [&](std::string_view p) { return lower.find(p) != std::string::npos; }));
    if (!content.empty()) {
      drop = drop || (rules.terminal && !ends_sentence(content));
      drop = drop || (rules.words_min > 0 && words_of(content).size() < rules.words_min);
    }
    if (drop) continue;
    if (content.empty() && (out.empty() || ends_with(out, "\n\n"))) continue;
    out += line;
    out += '\n';
  }
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

}  // namespace bgl::prep
