// Binding, from loose to tight: a if b else c; or; and; not; comparisons, in; + -; ~; * / // %; **; unary - +; then .name [key] (call)
// | filter, is test.
#include <algorithm>
#include <charconv>

#include "text/chat/internal/jinja.h"

namespace bgl::text::jinja {
namespace {

using TokenKind = Token::Kind;

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : t_(std::move(tokens)) {}

  std::vector<NodePtr> run() {
    auto out = statements({});
    return out;
  }

 private:
  const Token& now() const { return t_[at_]; }
  int line() const { return now().line; }
  bool is_op(std::string_view op) const { return now().kind == TokenKind::kOperator && now().text == op; }
  bool is_word(std::string_view word) const { return now().kind == TokenKind::kName && now().text == word; }
  bool skip_op(std::string_view op) { return is_op(op) && ++at_; }
  bool skip_word(std::string_view word) { return is_word(word) && ++at_; }
  void want_op(std::string_view op) {
    if (!skip_op(op)) fail(line(), fmt::format("'{}' is expected, got {}", op, shown()));
  }
  std::string want_name() {
    if (now().kind != TokenKind::kName) fail(line(), "a name is expected, got " + shown());
    return t_[at_++].text;
  }
  void want(TokenKind kind, const char* what) {
    if (now().kind != kind) fail(line(), fmt::format("{} is expected, got {}", what, shown()));
    ++at_;
  }
  std::string shown() const {
    switch (now().kind) {
      case TokenKind::kEnd: return "the end of the template";
      case TokenKind::kBlockEnd: return "'%}'";
      case TokenKind::kOutputEnd: return "'}}'";
      default: return "'" + now().text + "'";
    }
  }
  NodePtr make(Node::Kind kind, std::string text = "") const { return std::make_unique<Node>(Node{kind, line(), std::move(text)}); }
  static NodePtr with(NodePtr n, std::initializer_list<NodePtr*> parts) {
    for (NodePtr* p : parts) n->parts.push_back(std::move(*p));
    return n;
  }

  // Refuses what is nested so deep that reading it could exhaust the stack.
  struct Level {
    explicit Level(Parser& p) : parser(p) {
      if (++p.depth_ > 150) fail(p.line(), "the template is nested too deep");
    }
    ~Level() { --parser.depth_; }
    Parser& parser;
  };

  // Until a block whose first word is one of `ends`, which stays, or the end of the template.
  std::vector<NodePtr> statements(const std::vector<std::string_view>& ends) {
    const Level level(*this);
    std::vector<NodePtr> out;
    while (true) {
      if (now().kind == TokenKind::kEnd) {
        if (!ends.empty()) fail(line(), fmt::format("'{}' is missing", ends.back()));
        return out;
      }
      if (now().kind == TokenKind::kText) {
        out.push_back(make(Node::Kind::kText, now().text));
        ++at_;
      } else if (now().kind == TokenKind::kOutputBegin) {
        ++at_;
        NodePtr n = make(Node::Kind::kOutput), e = expression();
        want(TokenKind::kOutputEnd, "'}}'");
        out.push_back(with(std::move(n), {&e}));
      } else {
        ++at_;  // {%
        if (now().kind == TokenKind::kName && std::find(ends.begin(), ends.end(), now().text) != ends.end()) return out;
        statement(out);
      }
    }
  }
  void end_block(std::string_view word) {
    if (!skip_word(word)) fail(line(), fmt::format("'{}' is expected, got {}", word, shown()));
    want(TokenKind::kBlockEnd, "'%}'");
  }

  void statement(std::vector<NodePtr>& out) {
    const int at = line();
    const std::string word = want_name();
    if (word == "for") return out.push_back(for_statement());
    if (word == "if") return out.push_back(if_statement());
    if (word == "set") return out.push_back(set_statement());
    if (word == "break" || word == "continue") {
      if (loops_ == 0) fail(at, fmt::format("'{}' outside of a loop", word));
      out.push_back(make(word == "break" ? Node::Kind::kBreak : Node::Kind::kContinue));
      return want(TokenKind::kBlockEnd, "'%}'");
    }
    if (word == "generation") {  // a mark for training: its text is as any other
      want(TokenKind::kBlockEnd, "'%}'");
      for (NodePtr& n : statements({"endgeneration"})) out.push_back(std::move(n));
      return end_block("endgeneration");
    }
    constexpr std::string_view kElsewhere[] = {"macro", "call", "filter", "include", "import", "from", "extends", "block", "raw", "with", "autoescape", "do"};
    if (std::find(std::begin(kElsewhere), std::end(kElsewhere), word) != std::end(kElsewhere)) fail(at, fmt::format("the statement '{}' is not supported", word));
    fail(at, fmt::format("'{}' is not expected here", word));
  }

  NodePtr for_statement() {
    NodePtr n = make(Node::Kind::kFor);
    n->names = targets();
    if (!skip_word("in")) fail(line(), "'in' is expected, got " + shown());
    NodePtr over = choice_without_if(), condition;
    if (skip_word("if")) condition = expression();
    if (is_word("recursive")) fail(line(), "recursive loops are not supported");
    want(TokenKind::kBlockEnd, "'%}'");
    ++loops_;
    n->body = statements({"else", "endfor"});
    --loops_;
    if (skip_word("else")) {
      want(TokenKind::kBlockEnd, "'%}'");
      n->otherwise = statements({"endfor"});
    }
    end_block("endfor");
    return with(std::move(n), {&over, &condition});
  }

  NodePtr if_statement() {
    NodePtr n = make(Node::Kind::kIf), condition = expression();
    want(TokenKind::kBlockEnd, "'%}'");
    n->body = statements({"elif", "else", "endif"});
    if (skip_word("elif")) {
      const Level level(*this);
      n->otherwise.push_back(if_statement());
      return with(std::move(n), {&condition});
    }
    if (skip_word("else")) {
      want(TokenKind::kBlockEnd, "'%}'");
      n->otherwise = statements({"endif"});
    }
    end_block("endif");
    return with(std::move(n), {&condition});
  }

  NodePtr set_statement() {
    NodePtr n = make(Node::Kind::kSet);
    n->names = targets();
    if (n->names.size() == 1 && skip_op(".")) n->text = want_name();  // of a namespace
    if (skip_op("=")) {
      NodePtr value = expression_list();
      want(TokenKind::kBlockEnd, "'%}'");
      return with(std::move(n), {&value});
    }
    if (n->names.size() > 1) fail(line(), "'=' is expected, got " + shown());
    want(TokenKind::kBlockEnd, "'='");
    n->kind = Node::Kind::kSetBlock;
    n->body = statements({"endset"});
    end_block("endset");
    return n;
  }
  std::vector<std::string> targets() {
    const bool parenthesis = skip_op("(");
    std::vector<std::string> out;
    do out.push_back(want_name());
    while (skip_op(","));
    if (parenthesis) want_op(")");
    return out;
  }

  NodePtr expression_list() {
    NodePtr first = expression();
    if (!is_op(",")) return first;
    NodePtr list = make(Node::Kind::kList);
    list->parts.push_back(std::move(first));
    while (skip_op(",")) list->parts.push_back(expression());
    return list;
  }
  NodePtr expression() {
    const Level level(*this);
    NodePtr value = choice_without_if();
    while (is_word("if")) {
      NodePtr n = make(Node::Kind::kIfElse);
      ++at_;
      NodePtr condition = choice_without_if(), other;
      if (skip_word("else")) other = expression();
      value = with(std::move(n), {&condition, &value, &other});
    }
    return value;
  }
  NodePtr choice_without_if() {
    NodePtr left = both();
    while (is_word("or")) {
      NodePtr n = make(Node::Kind::kOr);
      ++at_;
      NodePtr right = both();
      left = with(std::move(n), {&left, &right});
    }
    return left;
  }
  NodePtr both() {
    NodePtr left = negation();
    while (is_word("and")) {
      NodePtr n = make(Node::Kind::kAnd);
      ++at_;
      NodePtr right = negation();
      left = with(std::move(n), {&left, &right});
    }
    return left;
  }
  NodePtr negation() {
    if (!is_word("not")) return comparison();
    const Level level(*this);
    NodePtr n = make(Node::Kind::kNot);
    ++at_;
    NodePtr inner = negation();
    return with(std::move(n), {&inner});
  }
  NodePtr comparison() {
    NodePtr n = make(Node::Kind::kCompare);
    n->parts.push_back(sum());
    constexpr std::string_view kOperators[] = {"==", "!=", "<", "<=", ">", ">="};
    while (true) {
      const bool symbol = now().kind == TokenKind::kOperator && std::find(std::begin(kOperators), std::end(kOperators), now().text) != std::end(kOperators);
      const bool not_in = is_word("not") && t_[at_ + 1].kind == TokenKind::kName && t_[at_ + 1].text == "in";
      if (!symbol && !not_in && !is_word("in")) break;
      n->names.push_back(not_in ? "not in" : now().text);
      at_ += not_in ? 2 : 1;
      n->parts.push_back(sum());
    }
    return n->parts.size() == 1 ? std::move(n->parts[0]) : std::move(n);
  }
  template <typename Next>
  NodePtr chain(std::initializer_list<std::string_view> operators, Next next) {
    NodePtr left = next();
    while (now().kind == TokenKind::kOperator && std::find(operators.begin(), operators.end(), now().text) != operators.end()) {
      NodePtr n = make(Node::Kind::kBinary, now().text);
      ++at_;
      NodePtr right = next();
      left = with(std::move(n), {&left, &right});
    }
    return left;
  }
  NodePtr sum() {
    return chain({"+", "-"}, [this] { return chain({"~"}, [this] { return chain({"*", "/", "//", "%"}, [this] { return chain({"**"}, [this] { return unary(true); }); }); }); });
  }
  NodePtr unary(bool filters) {
    const Level level(*this);
    NodePtr n;
    if (is_op("-") || is_op("+")) {
      n = make(Node::Kind::kUnary, now().text);
      ++at_;
      NodePtr inner = unary(false);
      n = with(std::move(n), {&inner});
    } else {
      n = primary();
    }
    n = postfix(std::move(n));
    return filters ? filter_and_test(std::move(n)) : std::move(n);
  }

  NodePtr primary() {
    NodePtr n = make(Node::Kind::kLiteral);
    const std::string text = now().text;
    switch (now().kind) {
      case TokenKind::kString:
        n->literal = Value::of(text);
        for (++at_; now().kind == TokenKind::kString; ++at_) n->literal.text += now().text;
        return n;
      case TokenKind::kInt:
      case TokenKind::kFloat: number(*n); return n;
      case TokenKind::kName:
        if (text == "true" || text == "True" || text == "false" || text == "False") n->literal = Value::of(text[0] == 't' || text[0] == 'T');
        else if (text == "none" || text == "None") n->literal = Value::none();
        else n->kind = Node::Kind::kName, n->text = text;
        ++at_;
        return n;
      default: break;
    }
    if (skip_op("(")) {
      if (skip_op(")")) return n->kind = Node::Kind::kList, std::move(n);
      NodePtr inner = expression();
      if (!is_op(",")) {
        want_op(")");
        return inner;
      }
      n->kind = Node::Kind::kList;
      n->parts.push_back(std::move(inner));
      while (skip_op(",") && !is_op(")")) n->parts.push_back(expression());
      want_op(")");
      return n;
    }
    if (skip_op("[")) {
      n->kind = Node::Kind::kList;
      while (!is_op("]")) {
        n->parts.push_back(expression());
        if (!skip_op(",")) break;
      }
      want_op("]");
      return n;
    }
    if (skip_op("{")) {
      n->kind = Node::Kind::kDict;
      while (!is_op("}")) {
        n->parts.push_back(expression());
        want_op(":");
        n->parts.push_back(expression());
        if (!skip_op(",")) break;
      }
      want_op("}");
      return n;
    }
    fail(line(), "an expression is expected, got " + shown());
  }
  void number(Node& n) {
    std::string text = now().text;
    std::erase(text, '_');
    const char *begin = text.data(), *end = begin + text.size();
    int64_t i = 0;
    double d = 0;
    const bool whole = now().kind == TokenKind::kInt;
    const auto [stop, ec] = whole ? std::from_chars(begin, end, i) : std::from_chars(begin, end, d);
    if (ec != std::errc() || stop != end) fail(line(), fmt::format("the number {} is too large", text));
    n.literal = whole ? Value::of(i) : Value::of(d);
    ++at_;
  }

  NodePtr postfix(NodePtr n) {
    while (true) {
      if (is_op(".")) {
        ++at_;
        NodePtr next = make(Node::Kind::kAttribute, now().text);
        if (now().kind != TokenKind::kName && now().kind != TokenKind::kInt) fail(line(), "a name is expected, got " + shown());
        ++at_;
        n = with(std::move(next), {&n});
      } else if (is_op("[")) {
        ++at_;
        n = subscript(std::move(n));
      } else if (is_op("(")) {
        NodePtr next = make(Node::Kind::kCall);
        next->parts.push_back(std::move(n));
        arguments(*next);
        n = std::move(next);
      } else {
        return n;
      }
    }
  }
  NodePtr subscript(NodePtr object) {
    NodePtr part[3];
    int colons = 0;
    NodePtr n = make(Node::Kind::kItem);
    while (!is_op("]")) {
      if (skip_op(":")) {
        if (++colons > 2) fail(line(), "a slice has at most three parts");
      } else {
        if (part[colons]) fail(line(), "']' is expected, got " + shown());
        part[colons] = expression();
      }
    }
    want_op("]");
    if (colons == 0 && !part[0]) fail(line(), "an expression is expected, got ']'");
    if (colons == 0) return with(std::move(n), {&object, &part[0]});
    n->kind = Node::Kind::kSlice;
    return with(std::move(n), {&object, &part[0], &part[1], &part[2]});
  }
  void arguments(Node& n) {
    want_op("(");
    while (!is_op(")")) {
      if (is_op("*") || is_op("**")) fail(line(), "unpacked arguments are not supported");
      const bool named = now().kind == TokenKind::kName && t_[at_ + 1].kind == TokenKind::kOperator && t_[at_ + 1].text == "=";
      if (named) {
        std::string name = want_name();
        ++at_;
        n.named.emplace_back(std::move(name), expression());
      } else {
        n.parts.push_back(expression());
      }
      if (!skip_op(",")) break;
    }
    want_op(")");
  }
  NodePtr filter_and_test(NodePtr n) {
    while (true) {
      if (is_op("|") || is_word("is")) {
        const bool filter = now().text == "|";
        ++at_;
        NodePtr next = make(filter ? Node::Kind::kFilter : Node::Kind::kTest);
        if (!filter) next->negated = skip_word("not");
        next->text = want_name();
        next->parts.push_back(std::move(n));
        if (is_op("(")) arguments(*next);
        else if (!filter && begins_argument()) next->parts.push_back(postfix(primary()));
        n = std::move(next);
      } else if (is_op("(") || is_op(".") || is_op("[")) {
        n = postfix(std::move(n));
      } else {
        return n;
      }
    }
  }
  // A test's one argument may stand without parentheses.
  bool begins_argument() const {
    if (now().kind == TokenKind::kString || now().kind == TokenKind::kInt || now().kind == TokenKind::kFloat) return true;
    if (now().kind == TokenKind::kOperator) return now().text == "[" || now().text == "{";
    constexpr std::string_view kWords[] = {"else", "or", "and", "is", "if", "in", "not", "recursive"};
    return now().kind == TokenKind::kName && std::find(std::begin(kWords), std::end(kWords), now().text) == std::end(kWords);
  }

  std::vector<Token> t_;
  size_t at_ = 0;
  int depth_ = 0, loops_ = 0;
};

}  // namespace

std::vector<NodePtr> parse(std::vector<Token> tokens) { return Parser(std::move(tokens)).run(); }

}  // namespace bgl::text::jinja
