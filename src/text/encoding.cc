#include "text/encoding.h"

#include <iconv.h>

#include <cerrno>

#include "text/unicode.h"

namespace bgl::text {
namespace {

constexpr size_t kDeclarationBytes = 4096;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

// Converts through iconv; a byte it refuses becomes U+FFFD. False when the encoding is unknown.
bool convert(std::string_view bytes, const std::string& charset, std::string& out) {
  const iconv_t cd = ::iconv_open("UTF-8", charset.c_str());
  if (cd == reinterpret_cast<iconv_t>(-1)) return false;
  out.clear();
  char* in = const_cast<char*>(bytes.data());
  size_t left = bytes.size();
  char buffer[16384];
  while (left > 0) {
    char* to = buffer;
    size_t space = sizeof buffer;
    const size_t rc = ::iconv(cd, &in, &left, &to, &space);
    out.append(buffer, sizeof buffer - space);
    if (rc != static_cast<size_t>(-1) || errno == E2BIG) continue;
    append_utf8(out, 0xFFFD);
    ++in;
    --left;
  }
  ::iconv_close(cd);
  return true;
}

// The value after `key` up to a quote, space or end of tag.
std::string value_after(const std::string& head, const char* key) {
  size_t at = head.find(key);
  if (at == std::string::npos) return {};
  at = head.find_first_not_of(" \t\"'=", at + std::string_view(key).size());
  if (at == std::string::npos) return {};
  return head.substr(at, head.find_first_of(" \t\r\n\"';/>?", at) - at);
}

// Names that mean another encoding than they say: pages that declare Latin-1 use windows-1252.
std::string effective(const std::string& name) {
  if (name == "iso-8859-1" || name == "latin1" || name == "us-ascii" || name == "ascii") return "windows-1252";
  if (name == "gb2312" || name == "gbk") return "gb18030";
  if (name == "shift_jis" || name == "x-sjis") return "cp932";
  if (name == "ks_c_5601-1987" || name == "euc-kr") return "cp949";
  return name;
}

}  // namespace

DecodedText to_utf8_from(std::string_view bytes, const std::string& charset) {
  const std::string name = effective(lower(charset));
  if (name == "utf-8" || name == "utf8") return {repair_utf8(bytes), "utf-8"};
  DecodedText out{{}, name};
  if (!convert(bytes, name, out.text)) return to_utf8(bytes, false);
  return out;
}

DecodedText to_utf8(std::string_view bytes, bool markup) {
  if (bytes.substr(0, 3) == "\xEF\xBB\xBF") return {repair_utf8(bytes.substr(3)), "utf-8"};
  if (bytes.substr(0, 4) == std::string_view("\xFF\xFE\0\0", 4)) return to_utf8_from(bytes.substr(4), "utf-32le");
  if (bytes.substr(0, 2) == "\xFF\xFE") return to_utf8_from(bytes.substr(2), "utf-16le");
  if (bytes.substr(0, 2) == "\xFE\xFF") return to_utf8_from(bytes.substr(2), "utf-16be");
  const bool valid = is_valid_utf8(bytes);
  if (markup && !valid) {
    const std::string head = lower(bytes.substr(0, kDeclarationBytes));
    std::string declared = value_after(head, "charset");
    if (declared.empty() && head.rfind("<?xml", 0) == 0) declared = value_after(head.substr(0, head.find("?>")), "encoding");
    // A declaration that is read as single bytes cannot itself be UTF-16.
    if (!declared.empty() && declared.rfind("utf-16", 0) != 0) return to_utf8_from(bytes, declared);
  } else if (valid && markup) {
    // Encodings that hide other characters in 7-bit bytes are valid UTF-8 by accident.
    const std::string declared = value_after(lower(bytes.substr(0, kDeclarationBytes)), "charset");
    if (declared == "iso-2022-jp" || declared == "utf-7") return to_utf8_from(bytes, declared);
  }
  if (valid) return {std::string(bytes), "utf-8"};
  DecodedText out{{}, "windows-1252"};
  if (!convert(bytes, "WINDOWS-1252", out.text)) return {repair_utf8(bytes), "utf-8"};
  return out;
}

}  // namespace bgl::text
