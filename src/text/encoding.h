// Bytes of unknown encoding to UTF-8, as browsers decide: a byte order mark, then what the document declares, then UTF-8 if the
// bytes are valid, else windows-1252.
#pragma once

#include <string>
#include <string_view>

namespace bgl::text {

struct DecodedText {
  std::string text;     // valid UTF-8, without byte order mark; undecodable bytes are U+FFFD
  std::string charset;  // what the bytes were, for example "utf-8" or "windows-1252"
};

// `markup`: the first 4096 bytes may declare the encoding (<meta charset=...>, <meta http-equiv...>, <?xml encoding=...?>).
DecodedText to_utf8(std::string_view bytes, bool markup);
// From a named encoding; an unknown name falls back to to_utf8's guess.
DecodedText to_utf8_from(std::string_view bytes, const std::string& charset);

}  // namespace bgl::text
