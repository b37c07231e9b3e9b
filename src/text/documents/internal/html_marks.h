// What the attributes of an element say of it, by the words that pages use in their classes and ids.
#pragma once

#include <cstdint>

#include "text/documents/internal/html_tree.h"

namespace bgl::text {

enum HtmlMark : uint8_t {
  kMarked = 1,      // the marks were looked for
  kAsideNames = 2,  // names that mark navigation, or what stands beside an article
  kHiddenMark = 4,
  kFragmentName = 8,  // of code, as doxygen has it
  kLineNumber = 16,
};
// Any of HtmlMark; kMarked always. Kept in the node.
uint8_t marks_of(HtmlNode& node);

}  // namespace bgl::text
