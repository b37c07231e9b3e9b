#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "text/internal/unicode_tables.h"

namespace bgl::text {
namespace {

constexpr int32_t kCodepoints = 0x110000;

// The White_Space property, which no later Unicode changes.
CharClass white_space(int32_t c) {
  if (c == '\r' || c == '\n') return CharClass::kNewline;
  if ((c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
      c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000) {
    return CharClass::kSpace;
  }
  return CharClass::kOther;
}

// A byte per code point: 1.1 MB, filled once in a few milliseconds, then one load per character.
const std::vector<CharClass>& class_table() {
  static const std::vector<CharClass> table = [] {
    std::vector<CharClass> out(kCodepoints, CharClass::kOther);
    const auto mark = [&](const CodeRange* ranges, size_t count, CharClass cls) {
      for (const CodeRange& r : std::span(ranges, count)) std::fill(out.begin() + r.first, out.begin() + r.last + 1, cls);
    };
    for (int32_t c = 0; c < 0x3001; ++c) out[static_cast<size_t>(c)] = white_space(c);
    mark(kLetters, kLettersCount, CharClass::kLetter);
    mark(kNumbers, kNumbersCount, CharClass::kNumber);
    return out;
  }();
  return table;
}

std::string normalised(std::string_view text, utf8proc_option_t options) {
  utf8proc_uint8_t* result = nullptr;
  const utf8proc_ssize_t n = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                          static_cast<utf8proc_ssize_t>(text.size()), &result, options);
  if (n < 0) return std::string(text);
  std::string out(reinterpret_cast<const char*>(result), static_cast<size_t>(n));
  std::free(result);
  return out;
}

bool is_ascii(std::string_view text) { return ascii_end(text, 0) == text.size(); }

}  // namespace

size_t ascii_end(std::string_view text, size_t at) {
  constexpr uint64_t kHighBits = 0x8080808080808080;
  for (; at + 8 <= text.size(); at += 8) {
    uint64_t bytes;
    std::memcpy(&bytes, text.data() + at, 8);
    if (bytes & kHighBits) break;
  }
  while (at < text.size() && static_cast<signed char>(text[at]) >= 0) ++at;
  return at;
}

Char decode_utf8(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  const uint8_t b0 = byte(0);
  if (b0 < 0x80) return {b0, 1};
  const size_t left = text.size() - at;
  const auto tail = [&](size_t i) { return i < left && (byte(i) & 0xC0) == 0x80; };
  if (b0 >= 0xC2 && b0 <= 0xDF && tail(1)) return {(b0 & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (b0 >= 0xE0 && b0 <= 0xEF && tail(1) && tail(2)) {
    const int32_t c = (b0 & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    if (c >= 0x800 && (c < 0xD800 || c > 0xDFFF)) return {c, 3};
  }
  if (b0 >= 0xF0 && b0 <= 0xF4 && tail(1) && tail(2) && tail(3)) {
    const int32_t c = (b0 & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
    if (c >= 0x10000 && c < kCodepoints) return {c, 4};
  }
  return {-1, 1};
}

void append_utf8(std::string& out, int32_t c) {
  const auto put = [&](int32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6), put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 0x3F)), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  }
}

bool is_valid_utf8(std::string_view text) {
  for (size_t at = 0; (at = ascii_end(text, at)) < text.size();) {
    const Char c = decode_utf8(text, at);
    if (c.codepoint < 0) return false;
    at += c.bytes;
  }
  return true;
}

std::string repair_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t ascii = ascii_end(text, at);
    out.append(text, at, ascii - at);
    if ((at = ascii) == text.size()) break;
    const Char c = decode_utf8(text, at);
    if (c.codepoint < 0) {
      append_utf8(out, 0xFFFD);
    } else {
      out.append(text, at, c.bytes);
    }
    at += c.bytes;
  }
  return out;
}

CharClass char_class(int32_t codepoint) {
  static const CharClass* const table = class_table().data();
  return codepoint < 0 || codepoint >= kCodepoints ? CharClass::kOther : table[codepoint];
}

void lower_ascii(char* bytes, size_t count) {
  // Eight bytes at once: a byte from A to Z gets its bit 5; none carries into its neighbour.
  constexpr uint64_t kOnes = 0x0101010101010101, kHigh = kOnes * 0x80;
  size_t at = 0;
  for (; at + 8 <= count; at += 8) {
    uint64_t word;
    std::memcpy(&word, bytes + at, 8);
    const uint64_t low = word & ~kHigh;
    const uint64_t from_a = low + kOnes * (0x80 - 'A'), past_z = low + kOnes * (0x80 - 'Z' - 1);
    word |= (from_a & ~past_z & ~word & kHigh) >> 2;
    std::memcpy(bytes + at, &word, 8);
  }
  for (; at < count; ++at) {
    if (bytes[at] >= 'A' && bytes[at] <= 'Z') bytes[at] = static_cast<char>(bytes[at] + 32);
  }
}

std::string lower_ascii(std::string_view text) {
  std::string out(text);
  lower_ascii(out.data(), out.size());
  return out;
}

int general_category(int32_t codepoint) { return codepoint < 0 ? 0 : utf8proc_category(codepoint); }

std::string nfc(std::string_view text) {
  if (is_ascii(text)) return std::string(text);
  return normalised(text, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
}

std::string nfkc(std::string_view text) {
  if (is_ascii(text)) return std::string(text);
  return normalised(text, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT));
}

std::string to_lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const Char c = decode_utf8(text, at);
    if (c.codepoint < 0) {
      out += text[at];
    } else {
      append_utf8(out, c.codepoint < 0x80 ? (c.codepoint >= 'A' && c.codepoint <= 'Z' ? c.codepoint + 32 : c.codepoint)
                                          : utf8proc_tolower(c.codepoint));
    }
    at += c.bytes;
  }
  return out;
}

}  // namespace bgl::text
