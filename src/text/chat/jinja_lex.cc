// White space is controlled as Hugging Face transformers sets Jinja up (trim_blocks, lstrip_blocks): a line end right after a block
// or comment goes, and so do blanks before one that begins its line; "-" beside the braces takes all white space there, "+" keeps it.
#include <algorithm>

#include "text/chat/internal/jinja.h"
#include "text/unicode.h"

namespace bgl::text::jinja {
namespace {

bool is_space_byte(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Lexer {
 public:
  explicit Lexer(std::string_view source) {
    for (size_t i = 0; i < source.size(); ++i) {
      const bool end = source[i] == '\r';
      if (end && i + 1 < source.size() && source[i + 1] == '\n') ++i;
      lines_ += end ? '\n' : source[i];
    }
    if (lines_.ends_with('\n')) lines_.pop_back();
    s_ = lines_;
  }
  std::vector<Token> run() {
    while (at_ < s_.size()) text_and_tag();
    add(Token::Kind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  void add(Token::Kind kind, std::string text) { tokens_.push_back({kind, line_, std::move(text)}); }
  void advance(size_t n) {
    for (size_t i = 0; i < n && at_ < s_.size(); ++i) line_ += s_[at_++] == '\n';
  }
  char peek(size_t ahead = 0) const { return at_ + ahead < s_.size() ? s_[at_ + ahead] : '\0'; }

  void text_and_tag() {
    size_t open = at_;
    while (open < s_.size() && !(s_[open] == '{' && open + 1 < s_.size() && std::string_view("{%#").find(s_[open + 1]) != std::string_view::npos)) ++open;
    std::string text(s_.substr(at_, open - at_));
    const bool tag = open < s_.size(), variable = tag && s_[open + 1] == '{';
    const char control = tag && open + 2 < s_.size() ? s_[open + 2] : '\0';
    if (tag && control == '-') {
      while (!text.empty() && is_space_byte(text.back())) text.pop_back();
    } else if (tag && !variable && control != '+') {
      size_t blank = text.size();
      while (blank > 0 && (text[blank - 1] == ' ' || text[blank - 1] == '\t')) --blank;
      const bool begins_line = blank > 0 ? text[blank - 1] == '\n' : at_ == 0 || s_[at_ - 1] == '\n' || line_begins_;
      if (begins_line) text.resize(blank);
    }
    line_begins_ = false;
    if (!text.empty()) add(Token::Kind::kText, text);
    advance(open - at_);
    if (!tag) return;
    if (s_[open + 1] == '#') return comment();
    const bool controlled = control == '-' || control == '+';
    add(variable ? Token::Kind::kOutputBegin : Token::Kind::kBlockBegin, "");
    advance(controlled ? 3 : 2);
    inside(variable);
  }

  void comment() {
    const size_t end = s_.find("#}", at_ + 2);
    if (end == std::string_view::npos) fail(line_, "a comment {# is not closed");
    const char control = end > at_ + 2 ? s_[end - 1] : '\0';
    advance(end + 2 - at_);
    after_tag(control, false);
  }

  // What follows a closed tag.
  void after_tag(char control, bool variable) {
    if (control == '-') {
      while (at_ < s_.size() && is_space_byte(peek())) advance(1);
    } else if (!variable && control != '+') {
      line_begins_ = peek() == '\n';
      if (line_begins_) advance(1);
    }
  }

  void inside(bool variable) {
    const std::string_view close = variable ? "}}" : "%}";
    int open = 0;
    while (true) {
      while (at_ < s_.size() && is_space_byte(peek())) advance(1);
      if (at_ >= s_.size()) fail(line_, variable ? "{{ is not closed" : "{% is not closed");
      const std::string_view rest = s_.substr(at_);
      const bool controlled = peek() == '-' || (peek() == '+' && !variable);
      if (open == 0 && (rest.starts_with(close) || (controlled && rest.substr(1).starts_with(close)))) {
        const char control = controlled ? peek() : '\0';
        add(variable ? Token::Kind::kOutputEnd : Token::Kind::kBlockEnd, "");
        advance(controlled ? 3 : 2);
        return after_tag(control, variable);
      }
      if (peek() == '{' || peek() == '[' || peek() == '(') ++open;
      if (peek() == '}' || peek() == ']' || peek() == ')') --open;
      token();
    }
  }

  void token() {
    const char c = peek();
    if (c == '"' || c == '\'') return string(c);
    size_t n = 0;
    if (is_name_start(c)) {
      while (is_name_start(peek(n)) || is_digit(peek(n))) ++n;
      return take(Token::Kind::kName, n);
    }
    if (is_digit(c)) {
      while (is_digit(peek(n)) || peek(n) == '_') ++n;
      bool real = false;
      if (peek(n) == '.' && is_digit(peek(n + 1))) {
        real = true;
        for (++n; is_digit(peek(n));) ++n;
      }
      const size_t sign = peek(n + 1) == '+' || peek(n + 1) == '-' ? 1 : 0;
      if ((peek(n) == 'e' || peek(n) == 'E') && is_digit(peek(n + 1 + sign))) {
        real = true;
        for (n += 1 + sign; is_digit(peek(n));) ++n;
      }
      return take(real ? Token::Kind::kFloat : Token::Kind::kInt, n);
    }
    constexpr std::string_view kPairs[] = {"==", "!=", "<=", ">=", "//", "**"};
    for (const std::string_view pair : kPairs) {
      if (s_.substr(at_).starts_with(pair)) return take(Token::Kind::kOperator, 2);
    }
    if (std::string_view("+-*/%~<>=.,:|()[]{}").find(c) == std::string_view::npos) fail(line_, fmt::format("'{}' is not expected here", c));
    take(Token::Kind::kOperator, 1);
  }
  void take(Token::Kind kind, size_t n) {
    add(kind, std::string(s_.substr(at_, n)));
    advance(n);
  }

  // With Python's escapes.
  void string(char quote) {
    const int line = line_;
    std::string out;
    advance(1);
    while (peek() != quote || at_ >= s_.size()) {
      if (at_ >= s_.size()) fail(line, "a string is not closed");
      if (peek() != '\\') {
        out += peek();
        advance(1);
        continue;
      }
      constexpr std::string_view kFrom = "ntrbfav0\\'\"", kTo = {"\n\t\r\b\f\a\v\0\\'\"", 11};
      const char e = peek(1);
      const size_t digits = e == 'x' ? 2 : e == 'u' ? 4 : e == 'U' ? 8 : 0;
      if (const size_t i = kFrom.find(e); at_ + 1 < s_.size() && i != std::string_view::npos) {
        out += kTo[i];
      } else if (digits > 0) {
        append_utf8(out, hex(line, digits));
      } else {
        out += '\\';
        if (e != '\n') out += e;
        else out.pop_back();  // a line that goes on
      }
      advance(2 + digits);
    }
    advance(1);
    tokens_.push_back({Token::Kind::kString, line, std::move(out)});
  }
  int32_t hex(int line, size_t digits) const {
    int64_t v = 0;
    for (size_t i = 0; i < digits; ++i) {
      const char c = peek(2 + i);
      const int d = is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
      if (d < 0) fail(line, "a string has an escape that is not complete");
      v = v * 16 + d;
    }
    if (v > 0x10ffff || (v >= 0xd800 && v < 0xe000)) fail(line, "a string has an escape that is no character");
    return static_cast<int32_t>(v);
  }

  std::string lines_;  // the source with one kind of line end
  std::string_view s_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_begins_ = false;  // the line end before here went with a tag
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> lex(std::string_view source) { return Lexer(source).run(); }

}  // namespace bgl::text::jinja
