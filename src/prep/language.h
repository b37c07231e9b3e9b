// Which language a text is in, by CLD2: n-grams of bytes for scripts that several languages share, the script for the others.
// The full tables, in the library: no model file. docs/benchmarks.md has its accuracy on 103 languages, and its speed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bgl::prep {

struct Language {
  std::string code;  // ISO 639: "en", "he", "zh" (simplified), "zh-Hant", "sr"; "un" when it cannot tell
  double share = 0;  // of the text in this language
};

// `text` is valid UTF-8. Code blocks (between ``` fences) are not looked at. `sample_bytes`: looks at so many from the middle
// of a longer text; 0: at all. Thread-safe.
Language detect_language(std::string_view text, int64_t sample_bytes = 0);

// Whether CLD2 has a language of this code.
bool is_language_code(std::string_view code);

}  // namespace bgl::prep
