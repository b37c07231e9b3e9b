#include "text/documents/internal/html_tree.h"

#include <algorithm>
#include <array>

namespace bgl::text {
namespace {

constexpr size_t kDepthMax = 256;

template <size_t N>
bool one_of(std::string_view word, const std::array<std::string_view, N>& sorted) {
  return std::binary_search(sorted.begin(), sorted.end(), word);
}

constexpr std::array<std::string_view, 16> kVoid = {"area",  "base",   "br",   "col",  "embed", "frame",  "hr",    "img",
                                                    "input", "keygen", "link", "meta", "param", "source", "track", "wbr"};
// Elements whose content is text up to their end tag.
constexpr std::array<std::string_view, 9> kRawText = {"iframe", "noembed",  "noframes", "plaintext", "script",
                                                      "style",  "textarea", "title",    "xmp"};
// Elements that end an open <p>.
constexpr std::array<std::string_view, 37> kClosesP = {
    "address",  "article",    "aside",  "blockquote", "center", "details", "dir", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "footer",     "form",   "h1",      "h2",  "h3",  "h4", "h5",
    "h6",       "header",     "hr",     "li",         "main",   "menu",    "nav", "ol",  "p",  "pre",
    "section",  "summary",    "table",  "tbody",      "td",     "tr",      "ul"};

bool space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }
bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string lower_name(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

class Parser {
 public:
  Parser(std::string_view html, Budget& budget) : html_(html), budget_(budget), root_(std::make_unique<HtmlNode>()) {
    root_->tag = "#root";
    open_.push_back(root_.get());
    // In XML, "<a/>" is an empty element; in HTML it is "<a>".
    xml_ = html.substr(0, 5) == "<?xml";
  }

  Result<std::unique_ptr<HtmlNode>> run() {
    while (at_ < html_.size() && within_) {
      const size_t open = std::min(html_.find('<', at_), html_.size());
      text(html_.substr(at_, open - at_));
      at_ = open;
      if (at_ < html_.size()) markup();
    }
    BGL_TRY(budget_.status());
    return std::move(root_);
  }

 private:
  void text(std::string_view raw, bool decode = true) {
    if (raw.empty()) return;
    text_in(parent(), raw, decode);
  }

  void text_in(HtmlNode& parent, std::string_view raw, bool decode) {
    std::string value = decode ? decode_entities(raw) : std::string(raw);
    if (!parent.children.empty() && parent.children.back()->is_text()) {
      parent.children.back()->text += value;
      return;
    }
    auto node = std::make_unique<HtmlNode>();
    node->text = std::move(value);
    parent.children.push_back(std::move(node));
    within_ = budget_.node() && within_;
  }

  // Where the next node goes: elements deeper than kDepthMax become neighbours.
  HtmlNode& parent() { return *open_[std::min(open_.size(), kDepthMax) - 1]; }

  void skip_past(std::string_view mark, size_t from) {
    const size_t end = html_.find(mark, from);
    at_ = end == std::string_view::npos ? html_.size() : end + mark.size();
  }

  // At '<'.
  void markup() {
    const char next = at_ + 1 < html_.size() ? html_[at_ + 1] : '\0';
    if (html_.compare(at_, 4, "<!--") == 0) return skip_past("-->", at_ + 4);
    if (html_.compare(at_, 9, "<![CDATA[") == 0) {
      const size_t begin = at_ + 9;
      skip_past("]]>", begin);
      const size_t end = std::min(html_.find("]]>", begin), html_.size());
      return text(html_.substr(begin, end - begin), false);
    }
    if (next == '!' || next == '?') return skip_past(">", at_);
    if (next == '/') return end_tag();
    if (letter(next)) return start_tag();
    text("<", false);
    ++at_;
  }

  std::string tag_name(size_t from) {
    size_t end = from;
    while (end < html_.size() && !space(html_[end]) && html_[end] != '/' && html_[end] != '>') ++end;
    at_ = end;
    return lower_name(html_.substr(from, end - from));
  }

  void end_tag() {
    const std::string tag = tag_name(at_ + 2);
    skip_past(">", at_);
    if (tag == "br") {
      add(tag, {});
      return;
    }
    for (size_t i = open_.size(); i-- > 1;) {
      if (open_[i]->tag == tag) {
        open_.resize(i);
        return;
      }
      // A stray end tag inside a cell must not close the table around it.
      if ((open_[i]->tag == "td" || open_[i]->tag == "th" || open_[i]->tag == "table") && tag != "table" && tag != "tr" &&
          tag != "tbody" && tag != "body" && tag != "html") {
        return;
      }
    }
  }

  // Reads attributes up to '>'; true when the tag ends with "/>".
  bool attributes(std::vector<std::pair<std::string, std::string>>& out) {
    bool slash = false;
    while (at_ < html_.size() && html_[at_] != '>' && within_) {
      const char c = html_[at_];
      if (space(c) || c == '/') {
        slash = c == '/';
        ++at_;
        continue;
      }
      slash = false;
      const size_t begin = at_++;
      while (at_ < html_.size() && !space(html_[at_]) && html_[at_] != '=' && html_[at_] != '>' && html_[at_] != '/') ++at_;
      std::string name = lower_name(html_.substr(begin, at_ - begin));
      while (at_ < html_.size() && space(html_[at_])) ++at_;
      std::string value;
      if (at_ < html_.size() && html_[at_] == '=') {
        ++at_;
        value = attribute_value();
      }
      out.emplace_back(std::move(name), std::move(value));
      within_ = budget_.node() && within_;
    }
    if (at_ < html_.size()) ++at_;
    return slash;
  }

  std::string attribute_value() {
    while (at_ < html_.size() && space(html_[at_])) ++at_;
    if (at_ >= html_.size()) return {};
    const char quote = html_[at_];
    if (quote == '"' || quote == '\'') {
      const size_t end = std::min(html_.find(quote, at_ + 1), html_.size());
      const std::string_view raw = html_.substr(at_ + 1, end - at_ - 1);
      at_ = std::min(end + 1, html_.size());
      return decode_entities(raw);
    }
    const size_t begin = at_;
    while (at_ < html_.size() && !space(html_[at_]) && html_[at_] != '>') ++at_;
    return decode_entities(html_.substr(begin, at_ - begin));
  }

  void start_tag() {
    const std::string tag = tag_name(at_ + 1);
    std::vector<std::pair<std::string, std::string>> attrs;
    const bool slash = attributes(attrs);
    close_implied(tag);
    HtmlNode* node = add(tag, std::move(attrs));
    const bool foreign = tag == "svg" || tag == "math" || tag == "path";
    if (one_of(tag, kVoid) || (slash && (xml_ || foreign))) return;
    if (one_of(tag, kRawText)) return raw_text(tag, *node);
    open_.push_back(node);
    within_ = !budget_.deep(static_cast<int64_t>(open_.size()) - 1) && within_;
  }

  HtmlNode* add(const std::string& tag, std::vector<std::pair<std::string, std::string>> attrs) {
    auto node = std::make_unique<HtmlNode>();
    node->tag = tag;
    node->attributes = std::move(attrs);
    within_ = budget_.node() && within_;
    parent().children.push_back(std::move(node));
    return parent().children.back().get();
  }

  // The content of <script>, <title> and the like: everything up to "</tag".
  void raw_text(const std::string& tag, HtmlNode& node) {
    size_t end = at_;
    for (;; ++end) {
      end = html_.find("</", end);
      if (end == std::string_view::npos) {
        end = html_.size();
        break;
      }
      if (lower_name(html_.substr(end + 2, tag.size())) == tag) break;
    }
    const bool decode = tag == "title" || tag == "textarea";
    if (end > at_) text_in(node, html_.substr(at_, end - at_), decode);
    at_ = end;
    if (at_ < html_.size()) skip_past(">", at_);
  }

  // Closes `tag` if it is open, not looking past an element of `stop`.
  void close(std::string_view tag, std::initializer_list<std::string_view> stop) {
    for (size_t i = open_.size(); i-- > 1;) {
      if (open_[i]->tag == tag) return open_.resize(i);
      for (const std::string_view s : stop) {
        if (open_[i]->tag == s) return;
      }
    }
  }

  void close_implied(const std::string& tag) {
    if (one_of(tag, kClosesP))
      close("p", {"td", "th", "li", "div", "button", "table", "blockquote", "dd", "section", "article"});
    if (tag == "li") close("li", {"ul", "ol", "menu", "dir"});
    if (tag == "dt" || tag == "dd") close("dt", {"dl"}), close("dd", {"dl"});
    if (tag == "option") close("option", {"select"});
    if (tag == "td" || tag == "th") close("td", {"tr", "table"}), close("th", {"tr", "table"});
    if (tag == "tr") close("tr", {"table"});
    if (tag == "tbody" || tag == "tfoot" || tag == "thead") close("tbody", {"table"}), close("thead", {"table"});
    if (tag == "body") close("head", {});
  }

  const std::string_view html_;
  Budget& budget_;
  bool within_ = true;  // the budget
  size_t at_ = 0;
  bool xml_ = false;
  std::unique_ptr<HtmlNode> root_;
  std::vector<HtmlNode*> open_;
};

}  // namespace

std::string_view HtmlNode::attribute(std::string_view name) const {
  for (const auto& [key, value] : attributes) {
    if (key == name) return value;
  }
  return {};
}

Result<std::unique_ptr<HtmlNode>> parse_html(std::string_view html, Budget& budget) { return Parser(html, budget).run(); }

}  // namespace bgl::text
