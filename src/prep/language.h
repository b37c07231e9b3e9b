// Which language a text is in, by CLD2 (n-grams of bytes, 80 languages, no model file).
#pragma once

#include <string>
#include <string_view>

namespace bgl::prep {

struct Language {
  std::string code;  // "en", "ru", "zh" (simplified), "zh-Hant", ...; "un" when it cannot tell
  double share = 0;  // of the text in this language
};

// `text` is valid UTF-8. Code blocks (between ``` fences) are not looked at. Thread-safe.
Language detect_language(std::string_view text);

}  // namespace bgl::prep
