// Lower case of normal form KC in one pass. Nearly all characters of running text are themselves in that form and join with no
// neighbour; those are mapped one by one, through a table. Where one is not, the stretch from the character before it, with
// which it may join, to the next one that joins with none is normalised by utf8proc (Unicode Standard Annex 15, section 9.1:
// such a character begins anew).
#include <utf8proc.h>

#include <cstdint>
#include <string>
#include <vector>

#include "text/unicode.h"

namespace bgl::text {
namespace {

constexpr int32_t kTableEnd = 0x10000;
constexpr uint16_t kMayJoin = 0xFFFF;  // no character

bool is_jamo(int32_t c) { return (c >= 0x1100 && c <= 0x11FF) || (c >= 0xA960 && c <= 0xA97F) || (c >= 0xD7B0 && c <= 0xD7FF); }

std::string utf8(int32_t c) {
  std::string out;
  append_utf8(out, c);
  return out;
}

constexpr auto kApart = static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);

// What a character becomes in lower case, or kMayJoin: it is not in the form, or is put behind others, or joins with one
// before.
std::vector<uint16_t> make_table() {
  std::vector<uint16_t> table(kTableEnd);
  for (int32_t c = 0; c < kTableEnd; ++c) {
    const int32_t lower = c < 0x80 ? (c >= 'A' && c <= 'Z' ? c + 32 : c) : utf8proc_tolower(c);
    utf8proc_int32_t parts[32];
    int boundary = 0;
    const bool whole = c < 0x80 || (utf8proc_decompose_char(c, parts, 32, kApart, &boundary) == 1 && parts[0] == c);
    const bool surrogate = c >= 0xD800 && c <= 0xDFFF;
    const bool joins = surrogate || is_jamo(c) || lower >= kMayJoin || utf8proc_get_property(c)->combining_class != 0 ||
                       (!whole && nfkc(utf8(c)) != utf8(c));
    table[static_cast<size_t>(c)] = joins ? kMayJoin : static_cast<uint16_t>(lower);
  }
  // Seconds of pairs that are one character are not first in any decomposition.
  for (int32_t c = 0x80; c < 0x20000; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    utf8proc_int32_t parts[32];
    int boundary = 0;
    const utf8proc_ssize_t n = utf8proc_decompose_char(c, parts, 32, UTF8PROC_DECOMPOSE, &boundary);
    for (utf8proc_ssize_t i = 1; i < n && i < 32; ++i) {
      if (parts[i] < kTableEnd) table[static_cast<size_t>(parts[i])] = kMayJoin;
    }
  }
  return table;
}

}  // namespace

std::string nfkc_lower(std::string_view text) {
  static const std::vector<uint16_t> table = make_table();
  if (!is_valid_utf8(text)) return to_lower(nfkc(text));
  const auto joins = [&](int32_t c) { return c >= kTableEnd || table[static_cast<size_t>(c)] == kMayJoin; };
  std::string out;
  out.reserve(text.size() + 16);
  for (size_t at = 0; at < text.size();) {
    const size_t ascii = ascii_end(text, at);
    // The last of a run of ASCII may join with what follows.
    if (ascii > at + 1 || (ascii > at && ascii == text.size())) {
      const size_t end = ascii == text.size() ? ascii : ascii - 1, old = out.size();
      out.append(text, at, end - at);
      lower_ascii(out.data() + old, end - at);
      at = end;
      continue;
    }
    const Char c = decode_utf8(text, at);
    size_t end = at + c.bytes;
    while (end < text.size()) {
      const Char next = decode_utf8(text, end);
      if (!joins(next.codepoint)) break;
      end += next.bytes;
    }
    const std::string_view stretch = text.substr(at, end - at);
    if (!joins(c.codepoint) && stretch.size() == c.bytes) {
      append_utf8(out, table[static_cast<size_t>(c.codepoint)]);
    } else {
      out += to_lower(nfkc(stretch));
    }
    at = end;
  }
  return out;
}

}  // namespace bgl::text
