// A tolerant HTML parser: any bytes give a tree. It follows the HTML standard where real pages depend on it (void and raw-text
// elements, implied end tags, comments, character references) and is simpler elsewhere (no adoption agency, no foster
// parenting): it serves text extraction, not rendering.
//
// A tree is made once and read a few times: nodes, and what was decoded, lie in one arena that goes at once; all else is views
// into the page.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <string>
#include <string_view>

#include "text/documents/internal/html_tags.h"
#include "text/documents/limits.h"

namespace bgl::text {

// The attributes that are kept.
enum class HtmlAttribute : uint8_t { kAriaHidden, kClass, kHidden, kHref, kId, kItemprop, kRole, kStyle };

struct HtmlAttributeValue {
  HtmlAttribute name;
  std::string_view value;  // character references decoded
  HtmlAttributeValue* next = nullptr;
};

struct HtmlNode {
  HtmlTag tag = HtmlTag::kText;
  std::string_view name;  // of an element that is kOther, as it was written
  std::string_view text;  // of a text, character references decoded
  size_t room = 0;        // bytes that may be written behind `text` without another allocation
  HtmlAttributeValue* attributes = nullptr;
  HtmlNode *first = nullptr, *last = nullptr, *next = nullptr;  // children; the next of one parent

  // Characters of text that are not white space: of a text, set by the parser; below an element, those measured by the
  // extractor, and how many of them lie in links.
  int64_t characters = 0, link_characters = 0;
  int64_t prose = -1, all_prose = -1;  // the extractor's; -1 where it did not look
  uint8_t marks = 0;                   // the extractor's

  bool is_text() const { return tag == HtmlTag::kText; }
  // The value of the first attribute of this name, or "".
  std::string_view attribute(HtmlAttribute wanted) const {
    for (const HtmlAttributeValue* a = attributes; a; a = a->next) {
      if (a->name == wanted) return a->value;
    }
    return {};
  }
};

class HtmlTree {
 public:
  HtmlTree() : arena_(std::make_unique<std::pmr::monotonic_buffer_resource>(size_t{1} << 16)), root_(make<HtmlNode>()) {
    root_->tag = HtmlTag::kRoot;
  }
  HtmlNode& root() { return *root_; }
  template <typename T>
  T* make() {
    return new (arena_->allocate(sizeof(T), alignof(T))) T();
  }
  char* bytes(size_t count) { return static_cast<char*>(arena_->allocate(count, 1)); }

 private:
  std::unique_ptr<std::pmr::monotonic_buffer_resource> arena_;
  HtmlNode* root_;
};

// `html` is UTF-8 and outlives the tree. Elements deeper than 256 become neighbours. Errors: those of the budget.
Result<HtmlTree> parse_html(std::string_view html, Budget& budget);

// "&lt;&#65;" to "<A": the named references of HTML 4 and the most used of HTML 5, decimal and hexadecimal ones. `out` has room
// for text.size() bytes, which is enough; how many were written is returned.
size_t decode_entities(std::string_view text, char* out);

}  // namespace bgl::text
