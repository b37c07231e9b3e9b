// Letters and numbers of the Unicode version that the peers' tokenizers know: tools/unicode_tables.py makes the table.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bgl::text {

struct CodeRange {
  int32_t first, last;  // both belong to it
};

extern const char kUnicodeVersion[];
extern const CodeRange kLetters[], kNumbers[];  // sorted
extern const size_t kLettersCount, kNumbersCount;

}  // namespace bgl::text
