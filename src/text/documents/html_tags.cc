#include "text/documents/internal/html_tags.h"

#include <array>

namespace bgl::text {
namespace {

constexpr size_t kFirst = static_cast<size_t>(HtmlTag::kA), kTags = static_cast<size_t>(HtmlTag::kCount) - kFirst;
// In the order of HtmlTag.
constexpr std::array<std::string_view, kTags> kNames = {
    // clang-format off
    "a", "address", "area", "article", "aside", "audio", "base", "blockquote", "body", "br", "button", "canvas", "caption",
    "center", "col", "dd", "details", "dir", "div", "dl", "dt", "embed", "fieldset", "figcaption", "figure", "footer", "form",
    "frame", "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hr", "html", "iframe", "img", "input", "keygen", "li",
    "link", "main", "map", "math", "menu", "meta", "nav", "noembed", "noframes", "noscript", "object", "ol", "option", "p",
    "param", "path", "plaintext", "pre", "script", "section", "select", "source", "style", "summary", "svg", "table", "tbody",
    "td", "template", "textarea", "tfoot", "th", "thead", "title", "tr", "track", "ul", "video", "wbr", "xmp",
    // clang-format on
};
static_assert(!kNames.back().empty());
constexpr size_t kLongest = 10;

constexpr size_t kSlots = 512;
constexpr size_t slot_of(std::string_view lower) {
  uint32_t h = static_cast<uint32_t>(lower.size());
  for (const char c : lower) h = h * 31 + static_cast<unsigned char>(c);
  return (h ^ h >> 9) % kSlots;
}

// Open addressing: indices into kNames, plus one.
constexpr std::array<uint8_t, kSlots> kTable = [] {
  std::array<uint8_t, kSlots> table{};
  for (size_t i = 0; i < kTags; ++i) {
    size_t slot = slot_of(kNames[i]);
    while (table[slot] != 0) slot = (slot + 1) % kSlots;
    table[slot] = static_cast<uint8_t>(i + 1);
  }
  return table;
}();

}  // namespace

HtmlTag tag_of_name(std::string_view name) {
  char lower[kLongest];
  if (name.size() > kLongest) return HtmlTag::kOther;
  for (size_t i = 0; i < name.size(); ++i)
    lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? static_cast<char>(name[i] + 32) : name[i];
  const std::string_view wanted(lower, name.size());
  for (size_t slot = slot_of(wanted); kTable[slot] != 0; slot = (slot + 1) % kSlots) {
    if (kNames[kTable[slot] - 1u] == wanted) return static_cast<HtmlTag>(kFirst + kTable[slot] - 1);
  }
  return HtmlTag::kOther;
}

std::string_view name_of_tag(HtmlTag tag) {
  const auto i = static_cast<size_t>(tag);
  return i < kFirst || i >= kFirst + kTags ? std::string_view() : kNames[i - kFirst];
}

}  // namespace bgl::text
