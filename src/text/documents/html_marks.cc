#include "text/documents/internal/html_marks.h"

#include <algorithm>
#include <array>
#include <utility>

namespace bgl::text {
namespace {

template <size_t N>
bool listed(std::string_view word, const std::array<std::string_view, N>& sorted) {
  return std::binary_search(sorted.begin(), sorted.end(), word);
}

// Names of classes and ids that mark navigation, as whole words.
constexpr std::array<std::string_view, 33> kDroppedNames = {
    "ads",          "advert",  "banner",      "breadcrumb", "breadcrumbs", "cookie",    "docnav",    "footer",      "lineno",
    "memproto-nav", "menu",    "menubar",     "nav",        "navbar",      "navfooter", "navheader", "navigation",  "navpath",
    "navrow",       "navtab",  "page-footer", "pager",      "pagination",  "share",     "sidenav",   "site-footer", "skip-link",
    "social",       "tablist", "tabs",        "tabs2",      "titlearea",   "toc"};

// Words inside the names of classes and ids ("article-related_links", "shareBar") that mark what stands beside an article.
constexpr std::array<std::string_view, 54> kAsideWords = {
    "ad",      "ads",         "adsense",    "advert",   "advertisement", "author",    "banner",  "breadcrumb", "breadcrumbs",
    "byline",  "caption",     "captions",   "comment",  "comments",      "consent",   "cookie",  "cookies",    "copyright",
    "credit",  "dateline",    "disclaimer", "disqus",   "follow",        "gdpr",      "hidden",  "login",      "meta",
    "modal",   "most",        "newsletter", "outbrain", "pagination",    "paywall",   "popular", "popup",      "promo",
    "recirc",  "recommended", "related",    "respond",  "share",         "sharing",   "sidebar", "signup",     "social",
    "sponsor", "sponsored",   "subscribe",  "taboola",  "tags",          "timestamp", "toolbar", "trending",   "widget"};

bool lower_letter(char c) { return c >= 'a' && c <= 'z'; }

bool has_aside_word(std::string_view names) {
  char word[16];
  for (size_t at = 0; at < names.size();) {
    size_t n = 0, begin = at;
    for (; at < names.size(); ++at) {
      const char c = names[at], lower = static_cast<char>(c | 0x20);
      if (!lower_letter(lower) || (at > begin && lower_letter(names[at - 1]) && !lower_letter(c))) break;
      if (n < sizeof word) word[n] = lower;
      ++n;
    }
    if (n > 0 && n <= sizeof word && listed(std::string_view(word, n), kAsideWords)) return true;
    if (at == begin) ++at;
  }
  return false;
}

uint8_t marks_of_names(std::string_view names) {
  unsigned marks = has_aside_word(names) ? kAsideNames : 0;
  for (size_t at = 0; at < names.size();) {
    const size_t end = std::min(names.find_first_of(" \t\n", at), names.size());
    const std::string_view name = names.substr(at, end - at);
    if (name == "fragment") marks |= kFragmentName;
    if (name == "lineno") marks |= kLineNumber;
    if (listed(name, kDroppedNames)) marks |= kAsideNames;
    at = end + 1;
  }
  return static_cast<uint8_t>(marks);
}

bool hides(std::string_view style) {
  static constexpr std::string_view kHides = "display:none";
  size_t matched = 0;  // characters of kHides; blanks between them do not count
  for (const char c : style) {
    if (c == ' ') continue;
    // A prefix of kHides ends with another only after its first letter.
    matched = c == kHides[matched] ? matched + 1 : c == kHides[0] ? 1 : 0;
    if (matched == kHides.size()) return true;
  }
  return false;
}

}  // namespace

uint8_t marks_of(HtmlNode& node) {
  if (node.marks != 0) return node.marks;
  unsigned marks = kMarked;
  bool seen_class = false, seen_id = false, seen_role = false, seen_aria = false;  // the first of a name counts
  const auto first = [](bool& seen) { return !std::exchange(seen, true); };
  for (const HtmlAttributeValue* a = node.attributes; a; a = a->next) {
    switch (a->name) {
      case HtmlAttribute::kClass:
        if (first(seen_class)) marks |= marks_of_names(a->value);
        break;
      case HtmlAttribute::kId:
        if (first(seen_id)) marks |= marks_of_names(a->value);
        break;
      case HtmlAttribute::kRole:
        if (first(seen_role) && (a->value == "navigation" || a->value == "banner" || a->value == "contentinfo" ||
                                 a->value == "search" || a->value == "menu"))
          marks |= kAsideNames;
        break;
      case HtmlAttribute::kAriaHidden:
        if (first(seen_aria) && a->value == "true") marks |= kHiddenMark;
        break;
      case HtmlAttribute::kHidden:
        marks |= kHiddenMark;
        break;
      case HtmlAttribute::kStyle:
        if (hides(a->value)) marks |= kHiddenMark;
        break;
      case HtmlAttribute::kHref:
      case HtmlAttribute::kItemprop:
        break;
    }
  }
  return node.marks = static_cast<uint8_t>(marks);
}

}  // namespace bgl::text
