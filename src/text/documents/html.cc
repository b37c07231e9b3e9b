#include "text/documents/html.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "text/documents/internal/block_writer.h"
#include "text/documents/internal/html_tree.h"

namespace bgl::text {
namespace {

template <size_t N>
bool listed(std::string_view word, const std::array<std::string_view, N>& sorted) {
  return std::binary_search(sorted.begin(), sorted.end(), word);
}

constexpr std::array<std::string_view, 20> kDroppedTags = {
    "area", "aside",    "audio",  "button", "canvas", "embed", "footer", "head",     "iframe", "map",
    "nav",  "noscript", "object", "script", "select", "style", "svg",    "template", "title",  "video"};
// Names of classes and ids that mark navigation, as whole words.
constexpr std::array<std::string_view, 33> kDroppedNames = {
    "ads",          "advert",  "banner",      "breadcrumb", "breadcrumbs", "cookie",    "docnav",    "footer",      "lineno",
    "memproto-nav", "menu",    "menubar",     "nav",        "navbar",      "navfooter", "navheader", "navigation",  "navpath",
    "navrow",       "navtab",  "page-footer", "pager",      "pagination",  "share",     "sidenav",   "site-footer", "skip-link",
    "social",       "tablist", "tabs",        "tabs2",      "titlearea",   "toc"};
constexpr std::array<std::string_view, 35> kBlocks = {
    "address",    "article", "blockquote", "body", "center", "dd",      "details", "dir",   "div", "dl",     "dt", "fieldset",
    "figcaption", "figure",  "form",       "h1",   "h2",     "h3",      "h4",      "h5",    "h6",  "header", "hr", "li",
    "main",       "menu",    "ol",         "p",    "pre",    "section", "summary", "table", "tr",  "ul",     "xmp"};
// Blocks that are dropped when links make up most of their text.
constexpr std::array<std::string_view, 11> kLinkBlocks = {"center", "dir",     "div",   "dl", "menu", "ol",
                                                          "p",      "section", "table", "td", "ul"};
constexpr double kLinkShareMax = 0.6;
// A block is prose from so many characters on; the content is where this share of a page's prose is, if there is enough of it.
constexpr int64_t kProseBlock = 40;
constexpr double kContentShare = 0.85;
constexpr int64_t kProseMin = 300;

int heading_level(std::string_view tag) {
  return tag.size() == 2 && tag[0] == 'h' && tag[1] >= '1' && tag[1] <= '6' ? tag[1] - '0' : 0;
}

bool has_name(const HtmlNode& node, std::string_view wanted) {
  for (const char* attribute : {"class", "id"}) {
    const std::string_view value = node.attribute(attribute);
    for (size_t at = 0; at < value.size();) {
      const size_t end = std::min(value.find_first_of(" \t\n", at), value.size());
      if (value.substr(at, end - at) == wanted) return true;
      at = end + 1;
    }
  }
  return false;
}

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

bool has_dropped_name(const HtmlNode& node) {
  for (const char* attribute : {"class", "id"}) {
    const std::string_view value = node.attribute(attribute);
    if (has_aside_word(value)) return true;
    for (size_t at = 0; at < value.size();) {
      const size_t end = std::min(value.find_first_of(" \t\n", at), value.size());
      if (listed(value.substr(at, end - at), kDroppedNames)) return true;
      at = end + 1;
    }
  }
  const std::string_view role = node.attribute("role");
  return role == "navigation" || role == "banner" || role == "contentinfo" || role == "search" || role == "menu";
}

bool is_code(const HtmlNode& node) { return node.tag == "pre" || node.tag == "xmp" || has_name(node, "fragment"); }

bool is_hidden(const HtmlNode& node) {
  if (node.attribute("aria-hidden") == "true") return true;
  for (const auto& [key, value] : node.attributes) {
    if (key == "hidden") return true;
    if (key != "style") continue;
    std::string tight;
    for (const char c : value) {
      if (c != ' ') tight += c;
    }
    if (tight.find("display:none") != std::string::npos) return true;
  }
  return false;
}

// Characters of text below a node that are not white space, and how many of them lie in links.
struct TextShare {
  int64_t text = 0, links = 0;
};

class Extractor {
 public:
  Extractor(const HtmlNode& root, Budget& budget) : root_(root), budget_(budget) { measure(root, false); }

  Result<HtmlText> run() {
    HtmlText out;
    const HtmlNode* title = find(root_, "title");
    if (title) out.title = inline_text(*title);
    const HtmlNode* main = find_body(root_);
    if (!main) main = find_main(root_);
    main_ = main ? main : &root_;
    main_ = content_of(*main_);
    const HtmlNode* h1 = out.title.empty() ? find(*main_, "h1") : nullptr;
    if (h1) out.title = inline_text(*h1);
    for (const auto& child : main_->children) walk(*child);
    out.text = writer_.take();
    if (out.text.empty()) {
      // Names misled: a page is not all navigation.
      names_count_ = false;
      for (const auto& child : root_.children) walk(*child);
      out.text = writer_.take();
    }
    BGL_TRY(budget_.status());
    return out;
  }

 private:
  TextShare measure(const HtmlNode& node, bool in_link) {
    TextShare share;
    if (!budget_.step()) return share;
    if (node.is_text()) {
      share.text = std::count_if(node.text.begin(), node.text.end(), [](char c) { return c != ' ' && c != '\n' && c != '\t'; });
      share.links = in_link ? share.text : 0;
      return share;
    }
    if (listed(node.tag, kDroppedTags) && node.tag != "head") return share;
    // Links inside headings and code are anchors, not navigation.
    const bool link =
        heading_level(node.tag) == 0 && !is_code(node) && (in_link || (node.tag == "a" && !node.attribute("href").empty()));
    for (const auto& child : node.children) {
      const TextShare inner = measure(*child, link);
      share.text += inner.text;
      share.links += inner.links;
    }
    shares_[&node] = share;
    return share;
  }

  static const HtmlNode* find(const HtmlNode& node, std::string_view tag) {
    if (node.tag == tag) return &node;
    for (const auto& child : node.children) {
      if (const HtmlNode* found = find(*child, tag)) return found;
    }
    return nullptr;
  }

  // What the page itself says is the body of its article (schema.org), if it says so once.
  const HtmlNode* find_body(const HtmlNode& node) {
    const HtmlNode* body = nullptr;
    int64_t found = 0;
    const auto visit = [&](const auto& self, const HtmlNode& n) -> void {
      if (n.attribute("itemprop") == "articleBody") {
        body = &n;
        ++found;
        return;
      }
      for (const auto& child : n.children) self(self, *child);
    };
    visit(visit, node);
    return found == 1 && shares_[body].text >= kProseMin ? body : nullptr;
  }

  static const HtmlNode* find_main(const HtmlNode& node) {
    if (node.tag == "main" || node.attribute("role") == "main") return &node;
    for (const auto& child : node.children) {
      if (const HtmlNode* found = find_main(*child)) return found;
    }
    return nullptr;
  }

  // Prose below a node: characters in blocks of their own that hold enough of it, and few links. What stands beside an article
  // does not count. `all`: that counts too.
  int64_t measure_prose(const HtmlNode& node, bool all) {
    if (!budget_.step() || node.is_text() || listed(node.tag, kDroppedTags) || is_hidden(node)) return 0;
    if (!all && has_dropped_name(node) && !is_most(node)) return 0;
    auto& prose_of = all ? all_prose_ : prose_;
    if (is_code(node)) return prose_of[&node] = shares_[&node].text;
    int64_t own = 0, links = 0, below = 0;
    for (const auto& child : node.children) {
      if (child->is_text()) {
        own += std::count_if(child->text.begin(), child->text.end(), [](char c) { return c != ' ' && c != '\n' && c != '\t'; });
      } else if (!listed(child->tag, kBlocks) && child->tag != "td" && child->tag != "th") {
        const TextShare share = shares_[child.get()];
        own += share.text, links += share.links;
        if (share.text > kProseBlock) below += measure_prose(*child, all);
      } else {
        below += measure_prose(*child, all);
      }
    }
    const bool prose = own >= kProseBlock && links * 2 < own;
    return prose_of[&node] = below + (prose && below == 0 ? own : 0);
  }

  // The smallest element that holds nearly all prose of `node`.
  const HtmlNode* content_of(const HtmlNode& node) {
    prose_total_ = measure_prose(node, true);
    const int64_t all = measure_prose(node, false);
    const HtmlNode* at = &node;
    for (const HtmlNode* next = at; next; at = next ? next : at) {
      next = nullptr;
      for (const auto& child : at->children) {
        const auto found = prose_.find(child.get());
        if (found != prose_.end() && static_cast<double>(found->second) >= kContentShare * static_cast<double>(all))
          next = child.get();
      }
      if (!next || next->tag == "p" || next->tag == "li" || is_code(*next) || all < kProseMin) break;
    }
    return at;
  }

  // Half of the page cannot be navigation, whatever its name says.
  bool is_most(const HtmlNode& node) {
    if (shares_[&node].text * 2 > shares_[main_].text) return true;
    const auto prose = all_prose_.find(&node);
    return prose != all_prose_.end() && prose_total_ >= kProseMin && prose->second * 2 > prose_total_;
  }

  bool is_dropped(const HtmlNode& node) {
    if (listed(node.tag, kDroppedTags) || is_hidden(node)) return true;
    if (!names_count_) return false;
    if (node.tag == "header" && main_ == &root_ && !in_article_) return !is_most(node);
    if ((node.tag == "form" || has_dropped_name(node)) && !is_most(node)) return true;
    if (!listed(node.tag, kLinkBlocks)) return false;
    const TextShare share = shares_[&node];
    return share.text > 0 && static_cast<double>(share.links) > kLinkShareMax * static_cast<double>(share.text);
  }

  // Longer than a screen: one line per kind of element.
  void walk(const HtmlNode& node) {
    if (!budget_.step()) return;
    if (node.is_text()) return writer_.words(node.text);
    if (is_dropped(node)) return;
    if (is_code(node)) return code(node);
    if (const int level = heading_level(node.tag)) {
      const std::string text = inline_text(node);
      if (text.empty()) return;
      writer_.line_break(2);
      writer_.verbatim(std::string(static_cast<size_t>(level), '#') + " " + text);
      return writer_.line_break(2);
    }
    if (node.tag == "br") return writer_.line_break(1);
    if (node.tag == "table" && is_data_table(node)) return table(node);
    if (node.tag == "ul" || node.tag == "ol" || node.tag == "menu" || node.tag == "dir") return list(node);
    if (node.tag == "li") return item(node);
    const bool block = listed(node.tag, kBlocks);
    const int gap = node.tag == "dd" || node.tag == "dt" || (node.tag == "p" && item_start_) ? 1 : 2;
    const bool article = std::exchange(in_article_, in_article_ || node.tag == "article");
    if (block && !item_start_) writer_.line_break(node.tag == "dt" ? 2 : gap);
    if (node.tag == "td" || node.tag == "th") writer_.words(" ");
    for (const auto& child : node.children) walk(*child);
    if (block) writer_.line_break(gap);
    in_article_ = article;
  }

  void list(const HtmlNode& node) {
    writer_.line_break(depth_ == 0 ? 2 : 1);
    ++depth_;
    const int64_t number = std::exchange(number_, node.tag == "ol" ? 1 : 0);
    for (const auto& child : node.children) walk(*child);
    number_ = number;
    --depth_;
    writer_.line_break(depth_ == 0 ? 2 : 1);
  }

  void item(const HtmlNode& node) {
    writer_.line_break(1);
    const size_t indent = depth_ > 0 ? static_cast<size_t>(std::min(depth_, 16) - 1) * 2 : 0;
    writer_.prefix(std::string(indent, ' ') + (number_ > 0 ? std::to_string(number_++) + ". " : "- "));
    for (const auto& child : node.children) {
      item_start_ = true;  // a paragraph that begins the item stays on its line
      walk(*child);
    }
    item_start_ = false;
    writer_.prefix("");
    writer_.line_break(1);
  }

  void code(const HtmlNode& node) {
    std::string text;
    raw_text(node, text);
    const size_t begin = text.find_first_not_of("\r\n");
    if (begin == std::string::npos) return;
    text.erase(0, begin);
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ' || text.back() == '\r')) text.pop_back();
    writer_.line_break(2);
    writer_.verbatim("```\n" + text + "\n```");
    writer_.line_break(2);
  }

  static void raw_text(const HtmlNode& node, std::string& out) {
    if (node.is_text()) {
      out += node.text;
      return;
    }
    if (node.tag == "br") out += '\n';
    if (has_name(node, "lineno") || node.tag == "script") return;
    for (const auto& child : node.children) raw_text(*child, out);
    if ((node.tag == "div" || node.tag == "p") && !out.empty() && out.back() != '\n') out += '\n';
  }

  static std::string inline_text(const HtmlNode& node) {
    BlockWriter line;
    std::string raw;
    collect(node, raw);
    line.words(raw);
    return line.take();
  }

  static void collect(const HtmlNode& node, std::string& out) {
    if (node.is_text()) {
      out += node.text;
      return;
    }
    if (node.tag == "script" || node.tag == "style" || is_hidden(node)) return;
    const bool apart = listed(node.tag, kBlocks) || node.tag == "br" || node.tag == "td" || node.tag == "th";
    if (apart) out += ' ';
    for (const auto& child : node.children) collect(*child, out);
    if (apart) out += ' ';
  }

  // A table of short cells is data; one with tables, lists or code inside, or long cells, lays out a page.
  bool is_data_table(const HtmlNode& node) {
    bool data = true;
    int64_t rows = 0, cells = 0;
    const auto visit = [&](const auto& self, const HtmlNode& n) -> void {
      if (!budget_.step()) return;
      if (&n != &node && (n.tag == "table" || is_code(n) || n.tag == "ul" || n.tag == "ol" || heading_level(n.tag)))
        data = false;
      if (n.tag == "tr") ++rows;
      if (n.tag == "td" || n.tag == "th") {
        ++cells;
        if (shares_[&n].text > 500) data = false;
      }
      for (const auto& child : n.children) self(self, *child);
    };
    visit(visit, node);
    return data && rows > 0 && cells > rows;
  }

  void table(const HtmlNode& node) {
    writer_.line_break(2);
    const auto visit = [&](const auto& self, const HtmlNode& n) -> void {
      if (n.tag != "tr") {
        if (n.tag == "caption") {
          writer_.verbatim(inline_text(n));
          writer_.line_break(1);
          return;
        }
        for (const auto& child : n.children) self(self, *child);
        return;
      }
      std::string row;
      for (const auto& cell : n.children) {
        if (cell->tag != "td" && cell->tag != "th") continue;
        row += (row.empty() ? "| " : " ") + inline_text(*cell) + " |";
      }
      if (row.find_first_not_of("| ") == std::string::npos) return;
      writer_.verbatim(row);
      writer_.line_break(1);
    };
    visit(visit, node);
    writer_.line_break(2);
  }

  const HtmlNode& root_;
  Budget& budget_;
  const HtmlNode* main_ = nullptr;
  std::unordered_map<const HtmlNode*, TextShare> shares_;
  std::unordered_map<const HtmlNode*, int64_t> prose_, all_prose_;
  int64_t prose_total_ = 0;
  bool names_count_ = true;
  BlockWriter writer_;
  int depth_ = 0;
  int64_t number_ = 0;  // of the next item of a numbered list; 0 in the others
  bool item_start_ = false;
  bool in_article_ = false;
};

}  // namespace

Result<HtmlText> extract_html(std::string_view html, const ReadLimits& limits) {
  Budget budget(limits);
  BGL_ASSIGN(const std::unique_ptr<HtmlNode> root, parse_html(html, budget));
  return Extractor(*root, budget).run();
}

}  // namespace bgl::text
