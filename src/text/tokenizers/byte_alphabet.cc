#include "text/tokenizers/internal/byte_alphabet.h"

#include <array>

#include "text/unicode.h"

namespace bgl::text {
namespace {

struct Alphabet {
  std::array<int32_t, 256> to_char{};
  std::array<int16_t, 0x144> to_byte{};  // -1: stands for no byte
};

const Alphabet& alphabet() {
  static const Alphabet value = [] {
    Alphabet a;
    a.to_byte.fill(-1);
    int32_t next = 0x100;
    for (int32_t b = 0; b < 256; ++b) {
      const bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      const int32_t c = printable ? b : next++;
      a.to_char[static_cast<size_t>(b)] = c;
      a.to_byte[static_cast<size_t>(c)] = static_cast<int16_t>(b);
    }
    return a;
  }();
  return value;
}

}  // namespace

int32_t byte_to_char(uint8_t byte) { return alphabet().to_char[byte]; }

std::string spell_bytes(std::string_view bytes) {
  std::string out;
  for (const char b : bytes) append_utf8(out, byte_to_char(static_cast<uint8_t>(b)));
  return out;
}

std::optional<std::string> unspell_bytes(std::string_view spelling) {
  std::string out;
  for (size_t at = 0; at < spelling.size();) {
    const Char c = decode_utf8(spelling, at);
    if (c.codepoint < 0 || c.codepoint >= 0x144 || alphabet().to_byte[static_cast<size_t>(c.codepoint)] < 0)
      return std::nullopt;
    out += static_cast<char>(alphabet().to_byte[static_cast<size_t>(c.codepoint)]);
    at += c.bytes;
  }
  return out;
}

}  // namespace bgl::text
