#include <algorithm>
#include <cmath>
#include <ctime>

#include "text/chat/internal/jinja.h"

namespace bgl::text::jinja {
namespace {

using Kind = Value::Kind;

constexpr int64_t kMostSteps = 2'000'000;
constexpr size_t kMostBytes = size_t{256} << 20;  // of everything that is made on the way
constexpr size_t kMostOut = size_t{16} << 20;

std::string undefined_name(const Value& v) { return v.text.empty() ? std::string("a value") : "'" + v.text + "'"; }

bool is_function(std::string_view name) {
  constexpr std::string_view kNames[] = {"raise_exception", "namespace", "dict", "strftime_now", "range"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

// Python's index: from the end where it is negative.
bool place(int64_t index, size_t size, size_t& out) {
  const auto n = static_cast<int64_t>(size);
  if (index < 0) index += n;
  out = static_cast<size_t>(index);
  return index >= 0 && index < n;
}

Value whole_numbers(int line, const std::string& op, int64_t a, int64_t b) {
  int64_t r = 0;
  const auto unless = [&](bool overflow) {
    if (overflow) fail(line, "an integer is too large");
    return Value::of(r);
  };
  if (op == "+") return unless(__builtin_add_overflow(a, b, &r));
  if (op == "-") return unless(__builtin_sub_overflow(a, b, &r));
  if (op == "*") return unless(__builtin_mul_overflow(a, b, &r));
  if (op == "**") {
    if (b < 0) return Value::of(std::pow(static_cast<double>(a), static_cast<double>(b)));
    r = 1;
    if (a == 0 || a == 1 || a == -1) return Value::of(b == 0 ? int64_t{1} : a == -1 ? (b % 2 ? int64_t{-1} : int64_t{1}) : a);
    bool over = false;
    for (int64_t i = 0; i < b && !over; ++i) over = __builtin_mul_overflow(r, a, &r);  // ends within 63 turns
    return unless(over);
  }
  if (b == 0) fail(line, "division by zero");
  if (op == "/") return Value::of(static_cast<double>(a) / static_cast<double>(b));
  if (a == INT64_MIN && b == -1) fail(line, "an integer is too large");
  const int64_t floor = a / b - (a % b != 0 && (a % b < 0) != (b < 0));
  return Value::of(op == "//" ? floor : a - floor * b);
}
Value real_numbers(int line, const std::string& op, double a, double b) {
  if (op == "+") return Value::of(a + b);
  if (op == "-") return Value::of(a - b);
  if (op == "*") return Value::of(a * b);
  if (op == "**") return Value::of(std::pow(a, b));
  if (b == 0) fail(line, "division by zero");
  if (op == "/") return Value::of(a / b);
  return Value::of(op == "//" ? std::floor(a / b) : a - std::floor(a / b) * b);
}

}  // namespace

const Value* Run::Arguments::get(size_t i, const char* name) const {
  if (i < values.size()) return &values[i];
  const auto at = named.find(name);
  return at == named.end() ? nullptr : &at->second;
}

Run::Run(std::map<std::string, Value> variables) { scopes_.push_back(std::move(variables)); }

std::string Run::render(const std::vector<NodePtr>& list) {
  statements(list);
  return std::move(out_);
}

void Run::spend(int line, size_t bytes) {
  bytes_ += bytes;
  if (++steps_ > kMostSteps) fail(line, fmt::format("the template takes more than {} steps", kMostSteps));
  if (bytes_ > kMostBytes) fail(line, fmt::format("the template makes more than {} bytes", kMostBytes));
}

void Run::put(const Node& n, const std::string& text) {
  spend(n.line, text.size());
  out_ += text;
  if (out_.size() > kMostOut) fail(n.line, fmt::format("the text is longer than {} bytes", kMostOut));
}

Run::Flow Run::statements(const std::vector<NodePtr>& list) {
  for (const NodePtr& n : list) {
    if (const Flow f = statement(*n); f != Flow::kGoOn) return f;
  }
  return Flow::kGoOn;
}

Run::Flow Run::statement(const Node& n) {
  switch (n.kind) {
    case Node::Kind::kText: put(n, n.text); break;
    case Node::Kind::kOutput: put(n, evaluate(*n.parts[0]).str()); break;
    case Node::Kind::kIf: return statements(evaluate(*n.parts[0]).truth() ? n.body : n.otherwise);
    case Node::Kind::kFor: return loop(n);
    case Node::Kind::kBreak: return Flow::kBreak;
    case Node::Kind::kContinue: return Flow::kContinue;
    case Node::Kind::kSet: assign(n, evaluate(*n.parts[0])); break;
    case Node::Kind::kSetBlock: {
      std::string outer = std::move(out_);
      out_.clear();
      const Flow f = statements(n.body);
      Value v = Value::of(std::move(out_));
      out_ = std::move(outer);
      assign(n, v);
      return f;
    }
    default: fail(n.line, "an expression stands where a statement is expected");
  }
  return Flow::kGoOn;
}

void Run::assign(const Node& n, const Value& v) {
  const bool in_space = n.kind != Node::Kind::kFor && !n.text.empty();
  if (in_space) {
    Node name{Node::Kind::kName, n.line, n.names[0]};
    const Value space = this->name(name);
    if (!space.is(Kind::kNamespace)) fail(n.line, fmt::format("'{}' is not a namespace: only those have names that can be set", n.names[0]));
    if (v.is(Kind::kNamespace)) fail(n.line, "a namespace cannot be put into another");
    (*space.space)[n.text] = v;
    return;
  }
  if (n.names.size() == 1) {
    scopes_.back()[n.names[0]] = v;
    return;
  }
  const List parts = items_of(n.line, v);
  if (parts.size() != n.names.size()) fail(n.line, fmt::format("{} names cannot take {} values", n.names.size(), parts.size()));
  for (size_t i = 0; i < parts.size(); ++i) scopes_.back()[n.names[i]] = parts[i];
}

Run::Flow Run::loop(const Node& n) {
  List all = items_of(n.line, evaluate(*n.parts[0]));
  spend(n.line, all.size() * sizeof(Value));
  if (n.parts[1]) {
    List kept;
    for (const Value& v : all) {
      scopes_.emplace_back();
      assign(n, v);
      if (evaluate(*n.parts[1]).truth()) kept.push_back(v);
      scopes_.pop_back();
    }
    all = std::move(kept);
  }
  if (all.empty()) return statements(n.otherwise);
  const auto count = static_cast<int64_t>(all.size());
  for (int64_t i = 0; i < count; ++i) {
    spend(n.line, 0);
    scopes_.emplace_back();
    Dict about = {{"index0", Value::of(i)}, {"index", Value::of(i + 1)}, {"revindex", Value::of(count - i)}, {"revindex0", Value::of(count - i - 1)},
                  {"first", Value::of(i == 0)}, {"last", Value::of(i + 1 == count)}, {"length", Value::of(count)}};
    if (i > 0) about.emplace_back("previtem", all[static_cast<size_t>(i - 1)]);
    if (i + 1 < count) about.emplace_back("nextitem", all[static_cast<size_t>(i + 1)]);
    scopes_.back()["loop"] = Value::of(std::move(about));
    assign(n, all[static_cast<size_t>(i)]);
    const Flow f = statements(n.body);
    scopes_.pop_back();
    if (f == Flow::kBreak) break;
  }
  return Flow::kGoOn;
}

Value Run::evaluate(const Node& n) {
  spend(n.line, 0);
  switch (n.kind) {
    case Node::Kind::kLiteral: return n.literal;
    case Node::Kind::kName: return name(n);
    case Node::Kind::kAttribute: return attribute(n);
    case Node::Kind::kItem: return item(n);
    case Node::Kind::kSlice: return slice(n);
    case Node::Kind::kCall: return call(n);
    case Node::Kind::kBinary: return binary(n);
    case Node::Kind::kCompare: return compare(n);
    case Node::Kind::kFilter: {
      // `default` is what an undefined value may meet.
      const Value v = evaluate(*n.parts[0]);
      return filter(n.text, v, arguments(n, 1));
    }
    case Node::Kind::kTest: {
      const bool asks = n.text == "defined" || n.text == "undefined", named = n.parts[0]->kind == Node::Kind::kName;
      if (asks && named && name(*n.parts[0]).is(Kind::kUndefined) && is_function(n.parts[0]->text)) return Value::of((n.text == "defined") != n.negated);
      const Value v = evaluate(*n.parts[0]);
      return Value::of(test(n.text, v, arguments(n, 1)) != n.negated);
    }
    case Node::Kind::kUnary: {
      const Value v = evaluate(*n.parts[0]);
      if (!v.is_number()) fail(n.line, fmt::format("'{}' needs a number, got {}", n.text, v.type_name()));
      if (n.text == "+") return v;
      return v.is(Kind::kFloat) ? Value::of(-v.real) : whole_numbers(n.line, "-", 0, v.whole());
    }
    case Node::Kind::kAnd: {
      Value left = evaluate(*n.parts[0]);
      return left.truth() ? evaluate(*n.parts[1]) : left;
    }
    case Node::Kind::kOr: {
      Value left = evaluate(*n.parts[0]);
      return left.truth() ? left : evaluate(*n.parts[1]);
    }
    case Node::Kind::kNot: return Value::of(!evaluate(*n.parts[0]).truth());
    case Node::Kind::kIfElse:
      if (evaluate(*n.parts[0]).truth()) return evaluate(*n.parts[1]);
      return n.parts[2] ? evaluate(*n.parts[2]) : Value::undefined("");
    case Node::Kind::kList: {
      List list;
      for (const NodePtr& p : n.parts) list.push_back(evaluate(*p));
      for (const Value& v : list) {
        if (v.is(Kind::kNamespace)) fail(n.line, "a namespace cannot be put into a list");
      }
      return Value::of(std::move(list));
    }
    case Node::Kind::kDict: {
      Dict dict;
      for (size_t i = 0; i < n.parts.size(); i += 2) {
        const Value key = evaluate(*n.parts[i]);
        if (!key.is(Kind::kString)) fail(n.line, fmt::format("keys must be strings, got {}", key.type_name()));
        Value v = evaluate(*n.parts[i + 1]);
        if (v.is(Kind::kNamespace)) fail(n.line, "a namespace cannot be put into a dict");
        const auto known = std::find_if(dict.begin(), dict.end(), [&](const auto& e) { return e.first == key.text; });
        if (known != dict.end()) known->second = std::move(v);
        else dict.emplace_back(key.text, std::move(v));
      }
      return Value::of(std::move(dict));
    }
    default: fail(n.line, "a statement stands where an expression is expected");
  }
}

Value Run::name(const Node& n) const {
  for (size_t i = scopes_.size(); i-- > 0;) {
    const auto at = scopes_[i].find(n.text);
    if (at != scopes_[i].end()) return at->second;
  }
  return Value::undefined(n.text);
}

Value Run::attribute(const Node& n) {
  const Value object = evaluate(*n.parts[0]);
  if (object.is(Kind::kUndefined)) fail(n.line, fmt::format("{} is undefined: it has no '{}'", undefined_name(object), n.text));
  const Value* v = object.find(n.text);
  return v ? *v : Value::undefined(n.text);
}

Value Run::item(const Node& n) {
  const Value object = evaluate(*n.parts[0]), key = evaluate(*n.parts[1]);
  if (object.is(Kind::kUndefined)) fail(n.line, fmt::format("{} is undefined: it has no items", undefined_name(object)));
  if (key.is(Kind::kString)) {
    const Value* v = object.find(key.text);
    return v ? *v : Value::undefined(key.text);
  }
  if (!key.is(Kind::kInt) && !key.is(Kind::kBool)) return Value::undefined("");
  size_t at = 0;
  if (object.is(Kind::kList)) return place(key.whole(), object.list->size(), at) ? (*object.list)[at] : Value::undefined("");
  if (object.is(Kind::kString)) {
    spend(n.line, object.text.size());
    const auto all = characters_of(object.text);
    return place(key.whole(), all.size(), at) ? Value::of(all[at]) : Value::undefined("");
  }
  return Value::undefined("");
}

Value Run::slice(const Node& n) {
  const Value object = evaluate(*n.parts[0]);
  if (!object.is(Kind::kList) && !object.is(Kind::kString)) fail(n.line, fmt::format("{} has no slices", object.type_name()));
  const List all = items_of(n.line, object);
  spend(n.line, all.size() * sizeof(Value));
  const auto part = [&](size_t i, int64_t otherwise) {
    if (!n.parts[i]) return otherwise;
    const Value v = evaluate(*n.parts[i]);
    if (v.is(Kind::kNone)) return otherwise;
    if (!v.is(Kind::kInt) && !v.is(Kind::kBool)) fail(n.line, fmt::format("a slice needs integers, got {}", v.type_name()));
    return v.whole();
  };
  const auto size = static_cast<int64_t>(all.size());
  const int64_t step = part(3, 1);
  if (step == 0) fail(n.line, "a slice's step is zero");
  const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
  const auto bound = [&](int64_t v) { return std::clamp(v < 0 ? v + size : v, low, high); };
  const bool begins = n.parts[1] != nullptr, ends = n.parts[2] != nullptr;
  const int64_t from = begins ? bound(part(1, step > 0 ? 0 : size - 1)) : step > 0 ? low : high;
  const int64_t to = ends ? bound(part(2, step > 0 ? size : -size - 1)) : step > 0 ? high : low;
  List out;
  for (int64_t i = from; step > 0 ? i < to : i > to;) {
    out.push_back(all[static_cast<size_t>(i)]);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  if (object.is(Kind::kList)) return Value::of(std::move(out));
  std::string text;
  for (const Value& v : out) text += v.text;
  return Value::of(std::move(text));
}

Run::Arguments Run::arguments(const Node& n, size_t first) {
  Arguments out{n.line, {}, {}};
  for (size_t i = first; i < n.parts.size(); ++i) out.values.push_back(evaluate(*n.parts[i]));
  for (const auto& [name, value] : n.named) out.named[name] = evaluate(*value);
  return out;
}

Value Run::call(const Node& n) {
  const Node& callee = *n.parts[0];
  if (callee.kind == Node::Kind::kAttribute) {
    const Value object = evaluate(*callee.parts[0]);
    if (object.is(Kind::kUndefined)) fail(n.line, fmt::format("{} is undefined: it has no '{}'", undefined_name(object), callee.text));
    return method(object, callee.text, arguments(n, 1));
  }
  if (callee.kind != Node::Kind::kName) fail(n.line, "only functions and methods can be called");
  const Arguments a = arguments(n, 1);
  const std::string& f = callee.text;
  if (f == "raise_exception") throw Error(invalid_argument("{}", a.values.empty() ? std::string("the template refuses") : a.values[0].str()));
  if (f == "namespace") {
    Value v;
    v.kind = Kind::kNamespace;
    v.space = std::make_shared<std::map<std::string, Value>>(a.named);
    return v;
  }
  if (f == "dict") {
    Dict dict;
    for (const auto& [key, value] : n.named) dict.emplace_back(key, a.named.at(key));
    return Value::of(std::move(dict));
  }
  if (f == "strftime_now") {
    const std::time_t t = std::time(nullptr);
    std::tm local{};
    localtime_r(&t, &local);
    char text[256];
    const size_t size = std::strftime(text, sizeof text, a.values.empty() ? "%Y-%m-%d" : a.values[0].str().c_str(), &local);
    return Value::of(std::string(text, size));
  }
  if (f == "range") {
    int64_t part[3] = {0, 0, 1};
    if (a.values.empty() || a.values.size() > 3) fail(n.line, "range takes one to three integers");
    for (size_t i = 0; i < a.values.size(); ++i) {
      if (!a.values[i].is(Kind::kInt)) fail(n.line, "range takes one to three integers");
      part[a.values.size() == 1 ? 1 : i] = a.values[i].integer;
    }
    if (part[2] == 0) fail(n.line, "range takes no step of zero");
    List out;
    for (int64_t i = part[0]; part[2] > 0 ? i < part[1] : i > part[1];) {
      if (out.size() >= 100000) fail(n.line, "range gives more than 100000 numbers");
      out.push_back(Value::of(i));
      if (__builtin_add_overflow(i, part[2], &i)) break;
    }
    return Value::of(std::move(out));
  }
  fail(n.line, fmt::format("there is no function '{}'", f));
}

Value Run::binary(const Node& n) {
  const Value a = evaluate(*n.parts[0]), b = evaluate(*n.parts[1]);
  if (n.text == "~") {
    std::string text = a.str() + b.str();
    spend(n.line, text.size());
    return Value::of(std::move(text));
  }
  for (const Value* v : {&a, &b}) {
    if (v->is(Kind::kUndefined)) fail(n.line, fmt::format("{} is undefined", undefined_name(*v)));
  }
  if (n.text == "+" && a.is(Kind::kString) && b.is(Kind::kString)) {
    spend(n.line, a.text.size() + b.text.size());
    return Value::of(a.text + b.text);
  }
  if (n.text == "+" && a.is(Kind::kList) && b.is(Kind::kList)) {
    spend(n.line, (a.list->size() + b.list->size()) * sizeof(Value));
    List list = *a.list;
    list.insert(list.end(), b.list->begin(), b.list->end());
    return Value::of(std::move(list));
  }
  if (n.text == "*" && a.is(Kind::kString) && b.is(Kind::kInt)) {
    std::string out;
    if (b.integer > 0) spend(n.line, static_cast<size_t>(std::min<int64_t>(b.integer, int64_t{1} << 30)) * a.text.size());
    for (int64_t i = 0; i < b.integer && !a.text.empty(); ++i) out += a.text;
    return Value::of(std::move(out));
  }
  if (!a.is_number() || !b.is_number()) fail(n.line, fmt::format("'{}' does not go with {} and {}", n.text, a.type_name(), b.type_name()));
  return a.is(Kind::kFloat) || b.is(Kind::kFloat) ? real_numbers(n.line, n.text, a.number(), b.number()) : whole_numbers(n.line, n.text, a.whole(), b.whole());
}

Value Run::compare(const Node& n) {
  Value left = evaluate(*n.parts[0]);
  for (size_t i = 0; i < n.names.size(); ++i) {
    Value right = evaluate(*n.parts[i + 1]);
    const std::string& op = n.names[i];
    bool holds = false;
    try {
      if (op == "==") holds = equal(left, right);
      else if (op == "!=") holds = !equal(left, right);
      else if (op == "in") holds = contains(n.line, right, left);
      else if (op == "not in") holds = !contains(n.line, right, left);
      else if (op == "<") holds = less(left, right);
      else if (op == ">") holds = less(right, left);
      else if (op == "<=") holds = !less(right, left);
      else holds = !less(left, right);
    } catch (const Error& e) {
      const std::string what = e.what();
      if (what.starts_with("line ")) throw;
      fail(n.line, what);
    }
    if (!holds) return Value::of(false);
    left = std::move(right);
  }
  return Value::of(true);
}

}  // namespace bgl::text::jinja
