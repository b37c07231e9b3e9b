#include "prep/internal/text_measures.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

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

// Which of the eight stop words this is, as a bit; 0: none. A comma or full stop at its end is no part of it.
uint32_t stop_word_bit(std::string_view word) {
  static constexpr std::array<std::string_view, 8> kStop = {"the", "be", "to", "of", "and", "that", "have", "with"};
  while (!word.empty() && (word.back() == ',' || word.back() == '.')) word.remove_suffix(1);
  if (word.size() < 2 || word.size() > 4) return 0;
  char lower[4];
  for (size_t i = 0; i < word.size(); ++i)
    lower[i] = word[i] >= 'A' && word[i] <= 'Z' ? static_cast<char>(word[i] + 32) : word[i];
  const auto found = std::find(kStop.begin(), kStop.end(), std::string_view(lower, word.size()));
  return found == kStop.end() ? 0 : 1u << (found - kStop.begin());
}

void measure_words(TextMeasures& m) {
  size_t characters = 0;
  uint32_t stop_words = 0;
  for (const std::string_view word : m.words) {
    bool letter = false, digit = false;
    size_t length = 0;
    for (size_t at = 0; at < word.size(); ++length) {
      const auto byte = static_cast<unsigned char>(word[at]);
      const Char c = byte < 0x80 ? Char{byte, 1} : text::decode_utf8(word, at);
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
    if (word.size() <= 5) stop_words |= stop_word_bit(word);
  }
  m.stop_words = static_cast<size_t>(std::popcount(stop_words));
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

std::string lower_ascii(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c + (c >= 'A' && c <= 'Z' ? 32 : 0));
  return out;
}

bool contains(std::string_view text, std::string_view needle) {
  return ::memmem(text.data(), text.size(), needle.data(), needle.size()) != nullptr;
}

}  // namespace

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> out;
  size_t begin = 0;
  const auto flush = [&](size_t end) {
    if (end > begin) out.push_back(text.substr(begin, end - begin));
  };
  for (size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte > ' ' && byte < 0x80) {
      ++at;
      continue;
    }
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
  m.lorem_ipsum = contains(lower_ascii(text), "lorem ipsum");
  for (const std::string_view word : m.words) {
    if (ends_sentence(word)) ++m.sentences;
  }
  measure_words(m);
  measure_lines(m);
  return m;
}

Repeats repeats(const std::vector<std::string_view>& items) {
  Repeats out;
  std::vector<std::pair<uint64_t, size_t>> hashes(items.size());
  for (size_t i = 0; i < items.size(); ++i) hashes[i] = {hash64(items[i]), items[i].size()};
  std::sort(hashes.begin(), hashes.end());
  for (size_t i = 1; i < hashes.size(); ++i) {
    if (hashes[i] != hashes[i - 1]) continue;
    ++out.items;
    out.bytes += hashes[i].second;
  }
  return out;
}

WordRuns::WordRuns(const std::vector<std::string_view>& words) : words_(words.size()), prefix_(words_ + 1), bytes_(words_ + 1) {
  constexpr uint64_t kBase = 0x9E3779B97F4A7C15ull;
  for (size_t i = 0; i < words_; ++i) {
    prefix_[i + 1] = prefix_[i] * kBase + hash64(words[i]);
    bytes_[i + 1] = bytes_[i] + words[i].size();
  }
  power_[0] = 1;
  for (size_t n = 1; n <= kLongest; ++n) power_[n] = power_[n - 1] * kBase;
  slots_.resize(std::bit_ceil(std::max<size_t>(words_ * 2, 16)));
}

WordRuns::Slot& WordRuns::slot_of(uint64_t hash) {
  const size_t mask = slots_.size() - 1;
  size_t i = (hash ^ hash >> 32) & mask;
  while (slots_[i].count != 0 && slots_[i].hash != hash) i = (i + 1) & mask;
  return slots_[i];
}

void WordRuns::clear() { std::fill(slots_.begin(), slots_.end(), Slot{0, 0, 0}); }

size_t WordRuns::top_bytes(size_t n) {
  if (words_ < n || n >= none_from_) return 0;
  clear();
  size_t count = 0, bytes = 0;
  for (size_t at = 0; at + n <= words_; ++at) {
    const uint64_t hash = hash_of(at, n);
    Slot& slot = slot_of(hash);
    if (slot.count++ == 0) slot.hash = hash, slot.first = static_cast<uint32_t>(at);
    if (slot.count < count) continue;
    const size_t run = bytes_of(slot.first, n);
    if (slot.count > count || run > bytes) count = slot.count, bytes = run;
  }
  if (count < 2) none_from_ = n;
  return count < 2 ? 0 : count * bytes;
}

size_t WordRuns::repeated_bytes(size_t n) {
  if (n >= none_from_) return 0;
  clear();
  size_t bytes = 0;
  for (size_t at = 0; at + n <= words_;) {
    const uint64_t hash = hash_of(at, n);
    Slot& slot = slot_of(hash);
    if (slot.count == 0) {
      slot = {hash, 1, static_cast<uint32_t>(at)};
      ++at;
      continue;
    }
    bytes += bytes_of(at, n);
    at += n;
  }
  if (bytes == 0) none_from_ = n;
  return bytes;
}

std::string without_lines(std::string_view text, const LineRules& rules) {
  if (!rules.javascript && !rules.policy && !rules.terminal && rules.words_min == 0) return std::string(text);
  static constexpr std::array<std::string_view, 5> kPolicy = {"terms of use", "privacy policy", "cookie policy", "uses cookies",
                                                              "use of cookies"};
  if (!rules.terminal && rules.words_min == 0) {
    // Most texts have none of these words: then no line goes.
    const std::string lower = lower_ascii(text);
    const bool any =
        (rules.javascript && contains(lower, "javascript")) ||
        (rules.policy && std::any_of(kPolicy.begin(), kPolicy.end(), [&](std::string_view p) { return contains(lower, p); }));
    if (!any) return std::string(text);
  }
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    const std::string_view content = stripped(line);
    at = end + 1;
    const std::string lower = lower_ascii(content);
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
