// The parser of the text form: one pass, one statement a line, names resolved as they are met.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <map>
#include <mutex>
#include <set>

#include "lang/text.h"
#include "lang/verify.h"

namespace bgl::lang {
namespace {

constexpr int kMaxDepth = 64;
constexpr size_t kMaxValues = 1 << 20;

// File names live as long as the process: an Inst holds them as literals.
const char* intern(std::string_view name) {
  static std::mutex mutex;
  static std::set<std::string, std::less<>> names;
  const std::lock_guard lock(mutex);
  const auto at = names.find(name);
  return (at != names.end() ? at : names.emplace(name).first)->c_str();
}

const std::map<std::string, Op, std::less<>>& operations() {
  static const auto table = [] {
    std::map<std::string, Op, std::less<>> t;
    for (int op = 0; op <= static_cast<int>(Op::kIf); ++op) t.emplace(name_of(static_cast<Op>(op)), static_cast<Op>(op));
    return t;
  }();
  return table;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}
  Result<Function> parse();

 private:
  template <typename... A>
  Status fault(fmt::format_string<A...> f, A&&... a) const {
    return invalid_argument("tile text line {}: {}", line_, fmt::format(f, std::forward<A>(a)...));
  }
  bool next_line();  // false at the end of the text
  void skip() {
    while (!now_.empty() && (now_[0] == ' ' || now_[0] == '\t' || now_[0] == '\r')) now_.remove_prefix(1);
  }
  bool take(std::string_view word) {
    skip();
    if (!now_.starts_with(word)) return false;
    now_.remove_prefix(word.size());
    return true;
  }
  std::string_view word() {  // letters, digits and what numbers are made of
    skip();
    size_t n = 0;
    while (n < now_.size() && (std::isalnum(static_cast<unsigned char>(now_[n])) || now_[n] == '_' || now_[n] == '.' ||
                               now_[n] == '-' || now_[n] == '+'))
      ++n;
    const std::string_view out = now_.substr(0, n);
    now_.remove_prefix(n);
    return out;
  }
  Status expect(std::string_view what) {
    if (take(what)) return {};
    return fault("expected '{}' before '{}'", what, now_.substr(0, 20));
  }
  Status integer(int64_t& out) {
    const std::string_view w = word();
    const auto [end, error] = std::from_chars(w.data(), w.data() + w.size(), out);
    return error == std::errc() && end == w.data() + w.size() ? Status() : fault("expected an integer, got '{}'", w);
  }
  Status real(double& out) {
    const std::string_view w = word();
    float v = 0;
    const auto [end, error] = std::from_chars(w.data(), w.data() + w.size(), v);
    out = v;
    return error == std::errc() && end == w.data() + w.size() ? Status() : fault("expected a number, got '{}'", w);
  }
  Status type(Type& out);
  Status new_name(int& number);
  Status use(int& id);
  Status add(Inst inst, int number, std::vector<int>& body);
  Status header();
  Status body(std::vector<int>& list, std::vector<int>* yields, int depth);
  Status statement(std::vector<int>& list, int depth);
  Status loop(int number, std::vector<int>& list, int depth);
  Status branch(std::vector<int>& list, int depth);
  Status details(Inst& i);
  void place(Inst& i) const {
    i.line = source_line_;
    i.file = source_file_;
  }

  std::string_view rest_, now_;
  int line_ = 0;
  int source_line_ = 0;
  const char* source_file_ = "";
  bool closed_by_else_ = false;
  Function fn_;
  std::map<int64_t, int> values_;  // the number in the text -> index
};

bool Parser::next_line() {
  while (!rest_.empty()) {
    const size_t end = rest_.find('\n');
    now_ = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view() : rest_.substr(end + 1);
    ++line_;
    source_line_ = 0, source_file_ = "";
    const size_t comment = now_.find('#');
    if (comment != std::string_view::npos) {
      std::string_view note = now_.substr(comment + 1);
      now_ = now_.substr(0, comment);
      const size_t at = note.find("@ "), colon = note.rfind(':');
      if (at != std::string_view::npos && colon != std::string_view::npos && colon > at + 2) {
        std::from_chars(note.data() + colon + 1, note.data() + note.size(), source_line_);
        source_file_ = intern(note.substr(at + 2, colon - at - 2));
      }
    }
    skip();
    if (!now_.empty()) return true;
  }
  return false;
}

Status Parser::type(Type& out) {
  out = {};
  if (take("*")) {
    const std::string_view name = word();
    for (const Mem m : {Mem::i8, Mem::u8, Mem::i32, Mem::i64, Mem::bf16, Mem::f16, Mem::f32}) {
      if (name == name_of(m)) {
        out = {register_type(m), 1, 1, true, m};
        return {};
      }
    }
    return fault("'{}' is no memory type", name);
  }
  const std::string_view whole = word();
  std::string_view name = whole;
  const size_t first = name.find('x'), second = first == std::string_view::npos ? first : name.find('x', first + 1);
  if (second != std::string_view::npos) {
    std::from_chars(name.data(), name.data() + first, out.rows);
    std::from_chars(name.data() + first + 1, name.data() + second, out.cols);
    name = name.substr(second + 1);
  }
  for (const Elem e : {Elem::i1, Elem::i32, Elem::i64, Elem::f32}) {
    if (name == name_of(e)) {
      out.elem = e;
      return {};
    }
  }
  return fault("'{}' is no type", whole);
}

Status Parser::new_name(int& number) {
  BGL_TRY(expect("%"));
  int64_t n = 0;
  BGL_TRY(integer(n));
  if (n < 0 || n > static_cast<int64_t>(kMaxValues) || values_.count(n)) return fault("%{} is given twice, or out of range", n);
  number = static_cast<int>(n);
  return {};
}
Status Parser::use(int& id) {
  if (take("_")) return id = -1, Status();
  BGL_TRY(expect("%"));
  int64_t n = 0;
  BGL_TRY(integer(n));
  const auto at = values_.find(n);
  if (at == values_.end()) return fault("%{} is not defined before its use", n);
  id = at->second;
  return {};
}
Status Parser::add(Inst inst, int number, std::vector<int>& body) {
  if (fn_.insts.size() >= kMaxValues) return fault("more than {} values", kMaxValues);
  const int id = static_cast<int>(fn_.insts.size());
  if (number >= 0) values_[number] = id;
  body.push_back(id);
  place(inst);
  fn_.insts.push_back(std::move(inst));
  return {};
}

Status Parser::header() {
  if (!next_line()) return fault("there is no kernel");
  BGL_TRY(expect("kernel"));
  fn_.name = word();
  BGL_TRY(expect("("));
  while (!take(")")) {
    if (!fn_.params.empty()) BGL_TRY(expect(","));
    Param p;
    p.name = word();
    BGL_TRY(expect(":"));
    BGL_TRY(type(p.type));
    const auto index = static_cast<int64_t>(fn_.params.size());
    values_[index] = static_cast<int>(fn_.insts.size());
    fn_.insts.push_back({.op = Op::kParam, .type = p.type, .imm = index});
    fn_.params.push_back(std::move(p));
  }
  return expect("{");
}

Status Parser::body(std::vector<int>& list, std::vector<int>* yields, int depth) {
  if (depth > kMaxDepth) return fault("nested more than {} deep", kMaxDepth);
  while (next_line()) {
    if (take("}")) {
      closed_by_else_ = take("else");
      if (closed_by_else_) BGL_TRY(expect("{"));
      skip();
      return now_.empty() ? Status() : fault("'{}' after the brace", now_);
    }
    if (take("yield")) {
      if (!yields || !yields->empty()) return fault("a yield that ends no loop");
      do {
        BGL_TRY(use(yields->emplace_back()));
      } while (take(","));
      continue;
    }
    BGL_TRY(statement(list, depth));
  }
  return fault("the text ends inside a body");
}

Status Parser::statement(std::vector<int>& list, int depth) {
  int number = -1;
  if (now_.starts_with("%")) {
    BGL_TRY(new_name(number));
    BGL_TRY(expect("="));
  }
  const std::string_view name = word();
  const auto op = operations().find(name);
  if (op == operations().end() || op->second == Op::kParam || op->second == Op::kArg)
    return fault("'{}' is no operation", name);
  if (op->second == Op::kFor) return loop(number, list, depth);
  if (op->second == Op::kIf) return branch(list, depth);
  const bool gives = gives_value(op->second);
  if (gives != (number >= 0)) return fault("{} {} a value", name, gives ? "gives" : "does not give");
  Inst i{.op = op->second};
  skip();
  while (now_.starts_with("%") || now_.starts_with("_")) {
    BGL_TRY(use(i.in.emplace_back()));
    if (!take(",")) break;
    skip();
  }
  std::string_view before_details = now_;
  const size_t colon = now_.find(':');
  if (colon == std::string_view::npos) return fault("no ' : type' at the end of '{}'", now_);
  now_ = now_.substr(colon + 1);
  BGL_TRY(type(i.type));
  skip();
  if (!now_.empty()) return fault("'{}' after the type", now_);
  now_ = before_details.substr(0, colon);
  BGL_TRY(details(i));
  skip();
  if (!now_.empty()) return fault("'{}' is not expected here", now_);
  return add(std::move(i), number, list);
}

// What stands between the operands and the type.
Status Parser::details(Inst& i) {
  switch (i.op) {
    case Op::kConst:
      if (i.type.elem == Elem::f32) return real(i.fimm);
      return integer(i.imm);
    case Op::kProgramId:
    case Op::kScratch:
    case Op::kResult:
      return integer(i.imm);
    case Op::kReduce: {
      const std::string_view kind = word();
      if (kind != "sum" && kind != "max" && kind != "min") return fault("'{}' is no reduction", kind);
      i.reduce = kind == "sum" ? ReduceKind::kSum : kind == "max" ? ReduceKind::kMax : ReduceKind::kMin;
      BGL_TRY(expect("axis"));
      return integer(i.imm);
    }
    case Op::kLoad:
    case Op::kStore:
      i.imm = (i.in.size() > 4 && i.in[4] >= 0 ? 1 : 0) | (i.in.size() > 5 && i.in[5] >= 0 ? 2 : 0);
      if (i.op == Op::kStore) return {};
      [[fallthrough]];
    case Op::kGather:
      BGL_TRY(expect("other"));
      return real(i.fimm);
    default:
      return {};
  }
}

Status Parser::loop(int number, std::vector<int>& list, int depth) {
  if (number < 0) return fault("a loop has a name");
  Inst i{.op = Op::kFor};
  std::vector<int> numbers(1);
  BGL_TRY(new_name(numbers[0]));
  BGL_TRY(expect("in"));
  for (int k = 0; k < 3; ++k) {
    if (k > 0) BGL_TRY(expect(","));
    BGL_TRY(use(i.in.emplace_back()));
  }
  if (take("carry")) {
    do {
      BGL_TRY(new_name(numbers.emplace_back()));
      BGL_TRY(expect("="));
      BGL_TRY(use(i.in.emplace_back()));
      if (i.in.back() < 0) return fault("a loop carries nothing absent");
    } while (take(","));
  }
  BGL_TRY(expect("{"));
  const auto id = static_cast<int>(fn_.insts.size());
  place(i);
  fn_.insts.push_back(i);
  for (size_t c = 0; c < numbers.size(); ++c) {
    const Type t = c == 0 ? Type{Elem::i64} : fn_.at(i.in[c + 2]).type;
    const int arg = static_cast<int>(fn_.insts.size());
    if (values_.count(numbers[c])) return fault("%{} is given twice", numbers[c]);
    values_[numbers[c]] = arg;
    i.args.push_back(arg);
    fn_.insts.push_back({.op = Op::kArg, .type = t});
  }
  const int source_line = source_line_;
  const char* source_file = source_file_;
  BGL_TRY(body(i.body, &i.yields, depth + 1));
  if (closed_by_else_) return fault("an else that follows no if");
  i.line = source_line, i.file = source_file;
  fn_.insts[static_cast<size_t>(id)] = std::move(i);
  values_[number] = id;
  list.push_back(id);
  return {};
}

Status Parser::branch(std::vector<int>& list, int depth) {
  Inst i{.op = Op::kIf};
  place(i);
  BGL_TRY(use(i.in.emplace_back()));
  BGL_TRY(expect("{"));
  BGL_TRY(body(i.body, nullptr, depth + 1));
  if (closed_by_else_) {
    BGL_TRY(body(i.other_body, nullptr, depth + 1));
    if (closed_by_else_) return fault("a second else");
  }
  const int id = static_cast<int>(fn_.insts.size());
  fn_.insts.push_back(std::move(i));
  list.push_back(id);
  return {};
}

Result<Function> Parser::parse() {
  BGL_TRY(header());
  BGL_TRY(body(fn_.body, nullptr, 0));
  if (closed_by_else_) return fault("an else that follows no if");
  if (next_line()) return fault("'{}' after the kernel", now_);
  BGL_TRY(verify(fn_));
  return std::move(fn_);
}

}  // namespace

Result<Function> parse_text(std::string_view text) { return Parser(text).parse(); }

}  // namespace bgl::lang
