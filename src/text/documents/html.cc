#include "text/documents/html.h"

#include <algorithm>
#include <utility>

#include "text/documents/internal/block_writer.h"
#include "text/documents/internal/html_marks.h"
#include "text/documents/internal/html_tree.h"

namespace bgl::text {
namespace {

constexpr double kLinkShareMax = 0.6;
// A block is prose from so many characters on; the content is where this share of a page's prose is, if there is enough of it.
constexpr int64_t kProseBlock = 40;
constexpr double kContentShare = 0.85;
constexpr int64_t kProseMin = 300;
constexpr int64_t kCellMax = 500;  // characters in a cell of data

bool is_code(HtmlNode& node) {
  return node.tag == HtmlTag::kPre || node.tag == HtmlTag::kXmp || (marks_of(node) & kFragmentName);
}
bool is_hidden(HtmlNode& node) { return marks_of(node) & kHiddenMark; }
bool has_dropped_name(HtmlNode& node) { return marks_of(node) & kAsideNames; }

// The children of a node, one after the other.
template <typename F>
void each_child(const HtmlNode& node, F&& fn) {
  for (HtmlNode* child = node.first; child; child = child->next) fn(*child);
}

class Extractor {
  using enum HtmlTag;

  static constexpr TagSet kDroppedTags = {kArea,   kAside,  kAudio, kButton,   kCanvas,   kEmbed,  kFooter,
                                          kHead,   kIframe, kMap,   kNav,      kNoscript, kObject, kScript,
                                          kSelect, kStyle,  kSvg,   kTemplate, kTitle,    kVideo};
  static constexpr TagSet kBlocks = {kAddress, kArticle, kBlockquote, kBody,       kCenter, kDd,   kDetails, kDir,  kDiv,
                                     kDl,      kDt,      kFieldset,   kFigcaption, kFigure, kForm, kH1,      kH2,   kH3,
                                     kH4,      kH5,      kH6,         kHeader,     kHr,     kLi,   kMain,    kMenu, kOl,
                                     kP,       kPre,     kSection,    kSummary,    kTable,  kTr,   kUl,      kXmp};
  // Blocks that are dropped when links make up most of their text.
  static constexpr TagSet kLinkBlocks = {kCenter, kDir, kDiv, kDl, kMenu, kOl, kP, kSection, kTable, kTd, kUl};
  static constexpr TagSet kCells = {kTd, kTh}, kLists = {kUl, kOl, kMenu, kDir};

 public:
  Extractor(HtmlNode& root, Budget& budget) : root_(root), budget_(budget) { measure(root, false); }

  Result<HtmlText> run() {
    HtmlText out;
    HtmlNode* title = find(root_, kTitle);
    if (title) out.title = inline_text(*title);
    HtmlNode* main = find_body(root_);
    if (!main) main = find_main(root_);
    main_ = main ? main : &root_;
    main_ = content_of(*main_);
    HtmlNode* h1 = out.title.empty() ? find(*main_, kH1) : nullptr;
    if (h1) out.title = inline_text(*h1);
    walk_children(*main_);
    out.text = writer_.take();
    if (out.text.empty()) {
      // Names misled: a page is not all navigation.
      names_count_ = false;
      walk_children(root_);
      out.text = writer_.take();
    }
    BGL_TRY(budget_.status());
    return out;
  }

 private:
  void measure(HtmlNode& node, bool in_link) {
    if (!budget_.step()) return;
    if (node.is_text()) {
      node.link_characters = in_link ? node.characters : 0;
      return;
    }
    if (kDroppedTags.has(node.tag) && node.tag != kHead) return;
    // Links inside headings and code are anchors, not navigation.
    const bool link = heading_level(node.tag) == 0 && !is_code(node) &&
                      (in_link || (node.tag == kA && !node.attribute(HtmlAttribute::kHref).empty()));
    each_child(node, [&](HtmlNode& child) {
      measure(child, link);
      node.characters += child.characters;
      node.link_characters += child.link_characters;
    });
  }

  static HtmlNode* find(HtmlNode& node, HtmlTag tag) {
    return find_first(node, [tag](const HtmlNode& n) { return n.tag == tag; });
  }
  static HtmlNode* find_main(HtmlNode& node) {
    return find_first(node, [](const HtmlNode& n) { return n.tag == kMain || n.attribute(HtmlAttribute::kRole) == "main"; });
  }
  template <typename F>
  static HtmlNode* find_first(HtmlNode& node, F wanted) {
    if (wanted(node)) return &node;
    for (HtmlNode* child = node.first; child; child = child->next) {
      if (HtmlNode* found = find_first(*child, wanted)) return found;
    }
    return nullptr;
  }

  // What the page itself says is the body of its article (schema.org), if it says so once.
  static HtmlNode* find_body(HtmlNode& node) {
    HtmlNode* body = nullptr;
    return count_bodies(node, body) == 1 && body->characters >= kProseMin ? body : nullptr;
  }
  static int64_t count_bodies(HtmlNode& node, HtmlNode*& last) {
    if (node.attribute(HtmlAttribute::kItemprop) == "articleBody") {
      last = &node;
      return 1;
    }
    int64_t found = 0;
    each_child(node, [&](HtmlNode& child) { found += count_bodies(child, last); });
    return found;
  }

  // Prose below a node: characters in blocks of their own that hold enough of it, and few links. What stands beside an article
  // does not count. `all`: that counts too.
  int64_t measure_prose(HtmlNode& node, bool all) {
    if (!budget_.step() || node.is_text() || kDroppedTags.has(node.tag) || is_hidden(node)) return 0;
    if (!all && has_dropped_name(node) && !is_most(node)) return 0;
    int64_t& found = all ? node.all_prose : node.prose;
    if (is_code(node)) return found = node.characters;
    int64_t own = 0, links = 0, below = 0;
    each_child(node, [&](HtmlNode& child) {
      if (child.is_text()) {
        own += child.characters;
      } else if (!kBlocks.has(child.tag) && !kCells.has(child.tag)) {
        own += child.characters, links += child.link_characters;
        if (child.characters > kProseBlock) below += measure_prose(child, all);
      } else {
        below += measure_prose(child, all);
      }
    });
    const bool prose = own >= kProseBlock && links * 2 < own;
    return found = below + (prose && below == 0 ? own : 0);
  }

  // The smallest element that holds nearly all prose of `node`.
  HtmlNode* content_of(HtmlNode& node) {
    prose_total_ = measure_prose(node, true);
    const int64_t all = measure_prose(node, false);
    const double enough = kContentShare * static_cast<double>(all);
    HtmlNode* at = &node;
    for (HtmlNode* next = at; next; at = next ? next : at) {
      next = nullptr;
      each_child(*at, [&](HtmlNode& child) {
        if (child.prose >= 0 && static_cast<double>(child.prose) >= enough) next = &child;
      });
      if (!next || next->tag == kP || next->tag == kLi || is_code(*next) || all < kProseMin) break;
    }
    return at;
  }

  // Half of the page cannot be navigation, whatever its name says.
  bool is_most(const HtmlNode& node) const {
    if (node.characters * 2 > main_->characters) return true;
    return prose_total_ >= kProseMin && node.all_prose * 2 > prose_total_;
  }

  bool is_dropped(HtmlNode& node) {
    if (kDroppedTags.has(node.tag) || is_hidden(node)) return true;
    if (!names_count_) return false;
    if (node.tag == kHeader && main_ == &root_ && !in_article_) return !is_most(node);
    if ((node.tag == kForm || has_dropped_name(node)) && !is_most(node)) return true;
    if (!kLinkBlocks.has(node.tag)) return false;
    return node.characters > 0 &&
           static_cast<double>(node.link_characters) > kLinkShareMax * static_cast<double>(node.characters);
  }

  void walk_children(HtmlNode& node) {
    each_child(node, [&](HtmlNode& child) { walk(child); });
  }

  // Longer than a screen: one line per kind of element.
  void walk(HtmlNode& node) {
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
    if (node.tag == kBr) return writer_.line_break(1);
    if (node.tag == kTable && is_data_table(node)) return table(node);
    if (kLists.has(node.tag)) return list(node);
    if (node.tag == kLi) return item(node);
    const bool block = kBlocks.has(node.tag);
    const int gap = node.tag == kDd || node.tag == kDt || (node.tag == kP && item_start_) ? 1 : 2;
    const bool article = std::exchange(in_article_, in_article_ || node.tag == kArticle);
    if (block && !item_start_) writer_.line_break(node.tag == kDt ? 2 : gap);
    if (kCells.has(node.tag)) writer_.words(" ");
    walk_children(node);
    if (block) writer_.line_break(gap);
    in_article_ = article;
  }

  void list(HtmlNode& node) {
    writer_.line_break(depth_ == 0 ? 2 : 1);
    ++depth_;
    const int64_t number = std::exchange(number_, node.tag == kOl ? 1 : 0);
    walk_children(node);
    number_ = number;
    --depth_;
    writer_.line_break(depth_ == 0 ? 2 : 1);
  }

  void item(HtmlNode& node) {
    writer_.line_break(1);
    const size_t indent = depth_ > 0 ? static_cast<size_t>(std::min(depth_, 16) - 1) * 2 : 0;
    writer_.prefix(std::string(indent, ' ') + (number_ > 0 ? std::to_string(number_++) + ". " : "- "));
    each_child(node, [&](HtmlNode& child) {
      item_start_ = true;  // a paragraph that begins the item stays on its line
      walk(child);
    });
    item_start_ = false;
    writer_.prefix("");
    writer_.line_break(1);
  }

  void code(HtmlNode& node) {
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

  static void raw_text(HtmlNode& node, std::string& out) {
    if (node.is_text()) {
      out += node.text;
      return;
    }
    if (node.tag == kBr) out += '\n';
    if ((marks_of(node) & kLineNumber) || node.tag == kScript) return;
    each_child(node, [&](HtmlNode& child) { raw_text(child, out); });
    if ((node.tag == kDiv || node.tag == kP) && !out.empty() && out.back() != '\n') out += '\n';
  }

  static std::string inline_text(HtmlNode& node) {
    BlockWriter line;
    std::string raw;
    collect(node, raw);
    line.words(raw);
    return line.take();
  }

  static void collect(HtmlNode& node, std::string& out) {
    if (node.is_text()) {
      out += node.text;
      return;
    }
    if (node.tag == kScript || node.tag == kStyle || is_hidden(node)) return;
    const bool apart = kBlocks.has(node.tag) || kCells.has(node.tag) || node.tag == kBr;
    if (apart) out += ' ';
    each_child(node, [&](HtmlNode& child) { collect(child, out); });
    if (apart) out += ' ';
  }

  struct TableShape {
    int64_t rows = 0, cells = 0;
    bool plain = true;  // of short cells without tables, lists, headings or code inside
  };
  void add_shape(HtmlNode& node, bool inside, TableShape& shape) {
    if (!budget_.step()) return;
    if (inside && (node.tag == kTable || is_code(node) || node.tag == kUl || node.tag == kOl || heading_level(node.tag)))
      shape.plain = false;
    if (node.tag == kTr) ++shape.rows;
    if (kCells.has(node.tag)) {
      ++shape.cells;
      if (node.characters > kCellMax) shape.plain = false;
    }
    each_child(node, [&](HtmlNode& child) { add_shape(child, true, shape); });
  }

  // Other tables lay out a page.
  bool is_data_table(HtmlNode& node) {
    TableShape shape;
    add_shape(node, false, shape);
    return shape.plain && shape.rows > 0 && shape.cells > shape.rows;
  }

  void table(HtmlNode& node) {
    writer_.line_break(2);
    rows(node);
    writer_.line_break(2);
  }

  void rows(HtmlNode& node) {
    if (node.tag == kCaption) {
      writer_.verbatim(inline_text(node));
      return writer_.line_break(1);
    }
    if (node.tag != kTr) return each_child(node, [&](HtmlNode& child) { rows(child); });
    std::string row;
    each_child(node, [&](HtmlNode& cell) {
      if (kCells.has(cell.tag)) row += (row.empty() ? "| " : " ") + inline_text(cell) + " |";
    });
    if (row.find_first_not_of("| ") == std::string::npos) return;
    writer_.verbatim(row);
    writer_.line_break(1);
  }

  HtmlNode& root_;
  Budget& budget_;
  HtmlNode* main_ = nullptr;
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
  BGL_ASSIGN(HtmlTree tree, parse_html(html, budget));
  return Extractor(tree.root(), budget).run();
}

}  // namespace bgl::text
