#include "prep/language.h"

#include <cld2/public/compact_lang_det.h>

#include <algorithm>

namespace bgl::prep {
namespace {

std::string without_code(std::string_view text) {
  std::string out;
  bool code = false;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    if (line.substr(0, 3) == "```") {
      code = !code;
    } else if (!code) {
      out += line;
      out += '\n';
    }
  }
  return out;
}

// Codes that were changed after CLD2 was made.
std::string modern_code(CLD2::Language language) {
  const std::string code = CLD2::LanguageCode(language);
  if (code == "iw") return "he";
  if (code == "jw") return "jv";
  if (code == "in") return "id";
  if (code == "mo") return "ro";
  return code;
}

std::string_view middle(std::string_view text, int64_t bytes) {
  if (bytes <= 0 || text.size() <= static_cast<size_t>(bytes)) return text;
  size_t begin = (text.size() - static_cast<size_t>(bytes)) / 2, end = begin + static_cast<size_t>(bytes);
  const auto inside = [&](size_t at) { return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80; };
  while (inside(begin)) ++begin;
  while (inside(end)) ++end;
  return text.substr(begin, end - begin);
}

}  // namespace

Language detect_language(std::string_view text, int64_t sample_bytes) {
  std::string prose = without_code(middle(text, sample_bytes));
  if (prose.empty()) prose = text;
  CLD2::Language languages[3] = {};
  int percents[3] = {};
  int bytes = 0;
  bool reliable = false;
  const CLD2::Language best =
      CLD2::DetectLanguageSummary(prose.data(), static_cast<int>(std::min<size_t>(prose.size(), INT32_MAX / 2)), true,
                                  languages, percents, &bytes, &reliable);
  // The summary's answer may be a guess (English) when nothing was found; the first of the three is what was counted.
  const CLD2::Language found = languages[0] == CLD2::UNKNOWN_LANGUAGE ? best : languages[0];
  if (found == CLD2::UNKNOWN_LANGUAGE || (!reliable && percents[0] == 0)) return {"un", 0};
  return {modern_code(found), percents[0] / 100.0};
}

bool is_language_code(std::string_view code) {
  if (code == "un") return true;
  for (int i = 0; i < CLD2::NUM_LANGUAGES; ++i) {
    const auto language = static_cast<CLD2::Language>(i);
    if (language != CLD2::UNKNOWN_LANGUAGE && modern_code(language) == code) return true;
  }
  return false;
}

}  // namespace bgl::prep
