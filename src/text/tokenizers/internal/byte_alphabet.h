// GPT-2's spelling of bytes as printable characters: vocabulary files are JSON, which cannot hold arbitrary bytes. The
// printable Latin-1 bytes stand for themselves; the 68 others become U+0100, U+0101, ... in order of their value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bgl::text {

// The character that stands for `byte`.
int32_t byte_to_char(uint8_t byte);
// Bytes to their spelling in UTF-8.
std::string spell_bytes(std::string_view bytes);
// The bytes of a spelling, or nothing when a character stands for no byte.
std::optional<std::string> unspell_bytes(std::string_view spelling);

}  // namespace bgl::text
