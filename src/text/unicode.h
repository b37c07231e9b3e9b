// Characters of UTF-8 text with the classes tokenizers and filters ask for. Letters and numbers are those of Unicode 16, as the
// peers' tokenizers know them (unicode_tables.cc); lower case and normal forms those of Unicode 15 (utf8proc 2.8).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace bgl::text {

// What a regular expression of a pre-tokenizer can tell apart.
enum class CharClass : uint8_t {
  kOther,    // punctuation, symbols, marks, controls; also a byte that is not part of valid UTF-8
  kLetter,   // \p{L}
  kNumber,   // \p{N}
  kSpace,    // \s: the White_Space property
  kNewline,  // \r or \n, which are \s as well
};

struct Char {
  int32_t codepoint;  // -1 for a byte that is not part of valid UTF-8
  uint32_t bytes;     // 1 to 4; 1 for such a byte
};

// The character at text[at]; `at` must be less than text.size(). Overlong forms, surrogates and values over U+10FFFF are
// invalid.
Char decode_utf8(std::string_view text, size_t at);
// Where the run of ASCII that begins at text[at] ends: `at` itself where there is none.
size_t ascii_end(std::string_view text, size_t at);
void append_utf8(std::string& out, int32_t codepoint);
bool is_valid_utf8(std::string_view text);
// Every invalid byte replaced by U+FFFD.
std::string repair_utf8(std::string_view text);

CharClass char_class(int32_t codepoint);
inline bool is_space(CharClass c) { return c >= CharClass::kSpace; }
// Unicode's general category as utf8proc numbers it (UTF8PROC_CATEGORY_*).
int general_category(int32_t codepoint);

// Normal form C or KC; text that is not valid UTF-8 is returned unchanged.
std::string nfc(std::string_view text);
std::string nfkc(std::string_view text);
// A to Z as a to z; other bytes as they are.
std::string lower_ascii(std::string_view text);
void lower_ascii(char* bytes, size_t count);
// Simple lower case, character by character; invalid bytes are kept.
std::string to_lower(std::string_view text);
// to_lower(nfkc(text)), some ten times as fast.
std::string nfkc_lower(std::string_view text);

}  // namespace bgl::text
