#include "text/documents/internal/html_tree.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

namespace bgl::text {
namespace {

constexpr size_t kDepthMax = 256;

bool space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }
bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool equal_in_any_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

int64_t count_characters(std::string_view text) {
  int64_t spaces = 0;
  for (const char c : text) spaces += static_cast<int64_t>(c == ' ') + (c == '\n') + (c == '\t');
  return static_cast<int64_t>(text.size()) - spaces;
}

std::optional<HtmlAttribute> attribute_of_name(std::string_view name) {
  static constexpr std::array<std::string_view, 8> kNames = {"aria-hidden", "class",    "hidden", "href",
                                                             "id",          "itemprop", "role",   "style"};
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (name.size() == kNames[i].size() && lower(name[0]) == kNames[i][0] && equal_in_any_case(name, kNames[i]))
      return static_cast<HtmlAttribute>(i);
  }
  return std::nullopt;
}

class Parser {
 public:
  // In XML, "<a/>" is an empty element; in HTML it is "<a>".
  Parser(std::string_view html, Budget& budget) : html_(html), budget_(budget), xml_(html.substr(0, 5) == "<?xml") {
    open_.push_back(&tree_.root());
  }

  Result<HtmlTree> run() {
    while (at_ < html_.size() && within_) {
      const size_t open = std::min(html_.find('<', at_), html_.size());
      text_in(parent(), html_.substr(at_, open - at_), true);
      at_ = open;
      if (at_ < html_.size()) markup();
    }
    BGL_TRY(budget_.status());
    return std::move(tree_);
  }

 private:
  using enum HtmlTag;
  static constexpr TagSet kVoid = {kArea,  kBase,   kBr,   kCol,  kEmbed, kFrame,  kHr,    kImg,
                                   kInput, kKeygen, kLink, kMeta, kParam, kSource, kTrack, kWbr};
  // Elements whose content is text up to their end tag.
  static constexpr TagSet kRawText = {kIframe, kNoembed, kNoframes, kPlaintext, kScript, kStyle, kTextarea, kTitle, kXmp};
  // Those whose text nobody counts.
  static constexpr TagSet kUncounted = {kIframe, kScript, kStyle, kTitle};
  // Elements that end an open <p>.
  static constexpr TagSet kClosesP = {kAddress,  kArticle,    kAside,  kBlockquote, kCenter, kDetails, kDir, kDiv, kDl, kDt,
                                      kFieldset, kFigcaption, kFigure, kFooter,     kForm,   kH1,      kH2,  kH3,  kH4, kH5,
                                      kH6,       kHeader,     kHr,     kLi,         kMain,   kMenu,    kNav, kOl,  kP,  kPre,
                                      kSection,  kSummary,    kTable,  kTbody,      kTd,     kTr,      kUl};

  void text_in(HtmlNode& parent, std::string_view raw, bool decode) {
    if (raw.empty()) return;
    const std::string_view value = decode ? decoded(raw) : raw;
    if (!parent.last || !parent.last->is_text()) {
      HtmlNode* node = append_to(parent);
      node->text = value;
    } else {
      join(*parent.last, value);
    }
    if (!kUncounted.has(parent.tag)) parent.last->characters += count_characters(value);
  }

  // In the page where nothing is to be decoded, else in the tree.
  std::string_view decoded(std::string_view raw) {
    if (raw.find('&') == std::string_view::npos) return raw;
    char* out = tree_.bytes(raw.size());
    return {out, decode_entities(raw, out)};
  }

  // Puts `more` behind a text: nothing to do where it lies there already, and a copy of both with as much room again where
  // there is none, so that many pieces cost no more than their bytes.
  void join(HtmlNode& node, std::string_view more) {
    const std::string_view text = node.text;
    if (node.room == 0 && text.data() + text.size() == more.data()) {
      node.text = {text.data(), text.size() + more.size()};
      return;
    }
    if (node.room < more.size()) {
      const size_t wanted = (text.size() + more.size()) * 2;
      char* to = tree_.bytes(wanted);
      std::memcpy(to, text.data(), text.size());
      node.text = {to, text.size()};
      node.room = wanted - text.size();
    }
    std::memcpy(const_cast<char*>(node.text.data()) + text.size(), more.data(), more.size());
    node.text = {node.text.data(), text.size() + more.size()};
    node.room -= more.size();
  }

  // Where the next node goes: elements deeper than kDepthMax become neighbours.
  HtmlNode& parent() { return *open_[std::min(open_.size(), kDepthMax) - 1]; }

  HtmlNode* append_to(HtmlNode& parent) {
    HtmlNode* node = tree_.make<HtmlNode>();
    (parent.last ? parent.last->next : parent.first) = node;
    parent.last = node;
    within_ = budget_.node() && within_;
    return node;
  }

  void skip_past(std::string_view mark, size_t from) {
    const size_t end = html_.find(mark, from);
    at_ = end == std::string_view::npos ? html_.size() : end + mark.size();
  }

  // At '<'.
  void markup() {
    const char next = at_ + 1 < html_.size() ? html_[at_ + 1] : '\0';
    if (letter(next)) return start_tag();
    if (next == '/') return end_tag();
    if (html_.compare(at_, 4, "<!--") == 0) return skip_past("-->", at_ + 4);
    if (html_.compare(at_, 9, "<![CDATA[") == 0) {
      const size_t begin = at_ + 9;
      skip_past("]]>", begin);
      const size_t end = std::min(html_.find("]]>", begin), html_.size());
      return text_in(parent(), html_.substr(begin, end - begin), false);
    }
    if (next == '!' || next == '?') return skip_past(">", at_);
    text_in(parent(), html_.substr(at_, 1), false);
    ++at_;
  }

  std::string_view tag_name(size_t from) {
    size_t end = from;
    while (end < html_.size() && !space(html_[end]) && html_[end] != '/' && html_[end] != '>') ++end;
    at_ = end;
    return html_.substr(from, end - from);
  }

  void end_tag() {
    // A stray end tag inside a cell must not close the table around it.
    static constexpr TagSet kCells = {kTd, kTh, kTable}, kOutOfCells = {kTable, kTr, kTbody, kBody, kHtml};
    const std::string_view name = tag_name(at_ + 2);
    const HtmlTag tag = tag_of_name(name);
    skip_past(">", at_);
    if (tag == kBr) {
      append_to(parent())->tag = tag;
      return;
    }
    for (size_t i = open_.size(); i-- > 1;) {
      if (open_[i]->tag == tag && (tag != kOther || equal_in_any_case(open_[i]->name, name))) return open_.resize(i);
      if (kCells.has(open_[i]->tag) && !kOutOfCells.has(tag)) return;
    }
  }

  // Reads attributes up to '>'; true when the tag ends with "/>".
  bool attributes(HtmlAttributeValue*& first) {
    bool slash = false;
    HtmlAttributeValue** end = &first;
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
      const std::string_view name = html_.substr(begin, at_ - begin);
      while (at_ < html_.size() && space(html_[at_])) ++at_;
      std::string_view value;
      if (at_ < html_.size() && html_[at_] == '=') {
        ++at_;
        value = attribute_value();
      }
      if (const std::optional<HtmlAttribute> kept = attribute_of_name(name)) {
        auto* attribute = tree_.make<HtmlAttributeValue>();
        attribute->name = *kept;
        attribute->value = decoded(value);
        *end = attribute;
        end = &attribute->next;
      }
      within_ = budget_.node() && within_;
    }
    if (at_ < html_.size()) ++at_;
    return slash;
  }

  std::string_view attribute_value() {
    while (at_ < html_.size() && space(html_[at_])) ++at_;
    if (at_ >= html_.size()) return {};
    const char quote = html_[at_];
    if (quote == '"' || quote == '\'') {
      const size_t begin = at_ + 1, end = std::min(html_.find(quote, begin), html_.size());
      at_ = std::min(end + 1, html_.size());
      return html_.substr(begin, end - begin);
    }
    const size_t begin = at_;
    while (at_ < html_.size() && !space(html_[at_]) && html_[at_] != '>') ++at_;
    return html_.substr(begin, at_ - begin);
  }

  void start_tag() {
    const std::string_view name = tag_name(at_ + 1);
    const HtmlTag tag = tag_of_name(name);
    HtmlAttributeValue* attrs = nullptr;
    const bool slash = attributes(attrs);
    close_implied(tag);
    HtmlNode* node = append_to(parent());
    node->tag = tag;
    if (tag == kOther) node->name = name;
    node->attributes = attrs;
    const bool foreign = tag == kSvg || tag == kMath || tag == kPath;
    if (kVoid.has(tag) || (slash && (xml_ || foreign))) return;
    if (kRawText.has(tag)) return raw_text(name, *node);
    open_.push_back(node);
    within_ = !budget_.deep(static_cast<int64_t>(open_.size()) - 1) && within_;
  }

  // The content of <script>, <title> and the like: everything up to "</tag".
  void raw_text(std::string_view name, HtmlNode& node) {
    size_t end = at_;
    for (;; ++end) {
      end = html_.find("</", end);
      if (end == std::string_view::npos) {
        end = html_.size();
        break;
      }
      if (equal_in_any_case(html_.substr(end + 2, name.size()), name)) break;
    }
    text_in(node, html_.substr(at_, end - at_), node.tag == kTitle || node.tag == kTextarea);
    at_ = end;
    if (at_ < html_.size()) skip_past(">", at_);
  }

  // Closes `tag` if it is open, not looking past an element of `stop`.
  void close(HtmlTag tag, TagSet stop) {
    for (size_t i = open_.size(); i-- > 1;) {
      if (open_[i]->tag == tag) return open_.resize(i);
      if (stop.has(open_[i]->tag)) return;
    }
  }

  void close_implied(HtmlTag tag) {
    if (kClosesP.has(tag)) close(kP, {kTd, kTh, kLi, kDiv, kButton, kTable, kBlockquote, kDd, kSection, kArticle});
    if (tag == kLi) close(kLi, {kUl, kOl, kMenu, kDir});
    if (tag == kDt || tag == kDd) close(kDt, {kDl}), close(kDd, {kDl});
    if (tag == kOption) close(kOption, {kSelect});
    if (tag == kTd || tag == kTh) close(kTd, {kTr, kTable}), close(kTh, {kTr, kTable});
    if (tag == kTr) close(kTr, {kTable});
    if (tag == kTbody || tag == kTfoot || tag == kThead) close(kTbody, {kTable}), close(kThead, {kTable});
    if (tag == kBody) close(kHead, {});
  }

  const std::string_view html_;
  Budget& budget_;
  const bool xml_;
  bool within_ = true;  // the budget
  size_t at_ = 0;
  HtmlTree tree_;
  std::vector<HtmlNode*> open_;
};

}  // namespace

Result<HtmlTree> parse_html(std::string_view html, Budget& budget) { return Parser(html, budget).run(); }

}  // namespace bgl::text
