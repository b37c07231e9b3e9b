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

}  // namespace

Language detect_language(std::string_view text) {
  std::string prose = without_code(text);
  if (prose.empty()) prose = text;
  CLD2::Language languages[3] = {};
  int percents[3] = {};
  int bytes = 0;
  bool reliable = false;
  const CLD2::Language best = CLD2::DetectLanguageSummary(
      prose.data(), static_cast<int>(std::min<size_t>(prose.size(), 1 << 20)), true, languages, percents, &bytes, &reliable);
  // The summary's answer may be a guess (English) when nothing was found; the first of the three is what was counted.
  const CLD2::Language found = languages[0] == CLD2::UNKNOWN_LANGUAGE ? best : languages[0];
  if (found == CLD2::UNKNOWN_LANGUAGE || (!reliable && percents[0] == 0)) return {"un", 0};
  return {CLD2::LanguageCode(found), percents[0] / 100.0};
}

}  // namespace bgl::prep
