#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/chat/internal/jinja.h"
#include "text/unicode.h"

namespace bgl::text::jinja {
namespace {

using Kind = Value::Kind;
using Arguments = Run::Arguments;

// Python's str.strip(): white space, or any of `set`.
std::string strip(std::string_view text, const Value* set, bool left, bool right) {
  const auto all = characters_of(text);
  std::vector<std::string> wanted;
  if (set && !set->is(Kind::kNone)) wanted = characters_of(set->str());
  const auto goes = [&](const std::string& c) {
    if (set && !set->is(Kind::kNone)) return std::find(wanted.begin(), wanted.end(), c) != wanted.end();
    const int32_t p = decode_utf8(c, 0).codepoint;
    return (p >= 0x1c && p <= 0x1f) || is_space(char_class(p));
  };
  size_t from = 0, to = all.size();
  while (left && from < to && goes(all[from])) ++from;
  while (right && to > from && goes(all[to - 1])) --to;
  std::string out;
  for (size_t i = from; i < to; ++i) out += all[i];
  return out;
}

std::string upper(const std::string& text) {
  std::string out = text;
  for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return out;
}
std::string capital(const std::string& text, bool every_word) {
  std::string out = to_lower(text);
  bool begins = true;
  for (char& c : out) {
    const bool letter = (c >= 'a' && c <= 'z') || static_cast<unsigned char>(c) >= 0x80;
    if (begins && c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    begins = every_word && !letter;
  }
  return out;
}

std::string replaced(const std::string& text, const std::string& from, const std::string& to) {
  std::string out;
  if (from.empty()) {
    for (const std::string& c : characters_of(text)) out += to + c;
    return out + to;
  }
  size_t at = 0;
  for (size_t hit; (hit = text.find(from, at)) != std::string::npos; at = hit + from.size()) out += text.substr(at, hit - at) + to;
  return out + text.substr(at);
}

List split(const std::string& text, const Value* separator, int64_t most, int line) {
  List out;
  if (separator && !separator->is(Kind::kNone)) {
    const std::string by = separator->str();
    if (by.empty()) fail(line, "split needs a separator that is not empty");
    size_t at = 0;
    for (size_t hit; most != 0 && (hit = text.find(by, at)) != std::string::npos; at = hit + by.size(), --most) out.push_back(Value::of(text.substr(at, hit - at)));
    out.push_back(Value::of(text.substr(at)));
    return out;
  }
  std::string word, rest = strip(text, nullptr, true, false);
  for (const std::string& c : characters_of(rest)) {
    const bool space = is_space(char_class(decode_utf8(c, 0).codepoint)) && most != 0;
    if (!space) {
      word += c;
    } else if (!word.empty()) {
      out.push_back(Value::of(std::exchange(word, {})));
      --most;
    }
  }
  if (!word.empty()) out.push_back(Value::of(word));
  return out;
}

int64_t count_of(int line, const Value& v) {
  if (v.is(Kind::kUndefined)) return 0;
  if (v.is(Kind::kString)) return static_cast<int64_t>(characters_of(v.text).size());
  if (v.is(Kind::kList)) return static_cast<int64_t>(v.list->size());
  if (v.is(Kind::kDict)) return static_cast<int64_t>(v.dict->size());
  fail(line, fmt::format("{} has no length", v.type_name()));
}

Value as_integer(const Value& v, const Arguments& a) {
  const Value* otherwise = a.get(0, "default");
  if (v.is(Kind::kFloat) && std::abs(v.real) < 9e18) return Value::of(static_cast<int64_t>(v.real));
  if (v.is(Kind::kInt) || v.is(Kind::kBool)) return Value::of(v.whole());
  const std::string text = strip(v.str(), nullptr, true, true);
  int64_t i = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), i);
  if (ec == std::errc() && end == text.data() + text.size() && !text.empty()) return Value::of(i);
  return otherwise ? *otherwise : Value::of(int64_t{0});
}

// The value under "a.b" of each item.
Value deep(const Value& v, const std::string& path) {
  const size_t dot = path.find('.');
  const Value* inner = v.find(path.substr(0, dot));
  if (!inner) return Value::undefined(path);
  return dot == std::string::npos ? *inner : deep(*inner, path.substr(dot + 1));
}
Arguments without(const Arguments& a, size_t n) {
  Arguments out = a;
  out.values.erase(out.values.begin(), out.values.begin() + static_cast<ptrdiff_t>(std::min(n, out.values.size())));
  return out;
}

List sorted(const Arguments& a, List list, const std::string& attribute, bool reverse, bool cased) {
  const auto key = [&](const Value& v) {
    Value k = attribute.empty() ? v : deep(v, attribute);
    if (!cased && k.is(Kind::kString)) k.text = to_lower(k.text);
    return k;
  };
  try {
    std::stable_sort(list.begin(), list.end(), [&](const Value& x, const Value& y) { return reverse ? less(key(y), key(x)) : less(key(x), key(y)); });
  } catch (const Error& e) {
    fail(a.line, e.what());
  }
  return list;
}

List pairs_of(int line, const Value& v) {
  List out;
  if (v.is(Kind::kUndefined)) return out;
  if (!v.is(Kind::kDict)) fail(line, fmt::format("{} has no items", v.type_name()));
  for (const auto& [key, x] : *v.dict) out.push_back(Value::of(List{Value::of(key), x}));
  return out;
}

std::string text_argument(const Arguments& a, size_t i, const char* name, const char* otherwise) {
  const Value* v = a.get(i, name);
  return v ? v->str() : otherwise;
}

}  // namespace

// A list of filters, each a line or a few: splitting it would only hide it.
Value Run::filter(const std::string& name, const Value& v, const Arguments& a) {
  const int line = a.line;
  if (name == "default" || name == "d") {
    const Value* strict = a.get(1, "boolean");
    const bool missing = v.is(Kind::kUndefined) || (strict && strict->truth() && !v.truth());
    const Value* other = a.get(0, "default_value");
    return !missing ? v : other ? *other : Value::of(std::string());
  }
  if (v.is(Kind::kNamespace)) fail(line, fmt::format("the filter '{}' does not go with a namespace", name));
  if (v.is(Kind::kString)) spend(line, v.text.size());
  if (v.is(Kind::kList)) spend(line, v.list->size() * sizeof(Value));
  const auto text = [&] { return v.str(); };
  if (name == "trim") return Value::of(strip(text(), a.get(0, "chars"), true, true));
  if (name == "length" || name == "count") return Value::of(count_of(line, v));
  if (name == "upper") return Value::of(upper(text()));
  if (name == "lower") return Value::of(to_lower(text()));
  if (name == "capitalize") return Value::of(capital(text(), false));
  if (name == "title") return Value::of(capital(text(), true));
  if (name == "string" || name == "safe") return Value::of(text());
  if (name == "int") return as_integer(v, a);
  if (name == "float") {
    if (v.is_number()) return Value::of(v.number());
    double d = 0;
    const std::string s = strip(text(), nullptr, true, true);
    return Value::of(std::from_chars(s.data(), s.data() + s.size(), d).ec == std::errc() ? d : 0.0);
  }
  if (name == "abs" && v.is_number()) return v.is(Kind::kFloat) ? Value::of(std::abs(v.real)) : Value::of(v.whole() < 0 && v.whole() > INT64_MIN ? -v.whole() : v.whole());
  if (name == "tojson") {
    const Value* indent = a.get(0, "indent");
    const int64_t n = indent && indent->is(Kind::kInt) ? std::clamp<int64_t>(indent->integer, 0, 16) : -1;
    try {
      std::string json = v.json(static_cast<int>(n));
      spend(line, json.size());
      return Value::of(std::move(json));
    } catch (const Error& e) {
      fail(line, e.what());
    }
  }
  if (name == "replace") {
    std::string out = replaced(text(), text_argument(a, 0, "old", ""), text_argument(a, 1, "new", ""));
    spend(line, out.size());
    return Value::of(std::move(out));
  }
  if (name == "indent") {
    const Value* first = a.get(1, "first");
    const Value* width = a.get(0, "width");
    const int64_t n = width && width->is(Kind::kInt) ? std::clamp<int64_t>(width->integer, 0, 100) : 4;
    const std::string blank(static_cast<size_t>(n), ' ');
    std::string out = first && first->truth() ? blank : "";
    const std::string s = text();
    for (size_t i = 0; i < s.size(); ++i) {
      out += s[i];
      if (s[i] == '\n' && i + 1 < s.size() && s[i + 1] != '\n') out += blank;
    }
    spend(line, out.size());
    return Value::of(std::move(out));
  }
  if (name == "items") return Value::of(pairs_of(line, v));
  if (name == "dictsort") return Value::of(sorted(a, pairs_of(line, v), "", false, false));
  List list = items_of(line, v);
  if (name == "list") return Value::of(std::move(list));
  if (name == "first") return list.empty() ? Value::undefined("") : list.front();
  if (name == "last") return list.empty() ? Value::undefined("") : list.back();
  if (name == "reverse") {
    std::reverse(list.begin(), list.end());
    if (!v.is(Kind::kString)) return Value::of(std::move(list));
  }
  if (name == "join" || name == "reverse") {
    const std::string by = name == "join" ? text_argument(a, 0, "d", "") : "", attribute = name == "join" ? text_argument(a, 1, "attribute", "") : "";
    std::string out;
    for (size_t i = 0; i < list.size(); ++i) {
      out += (i ? by : "") + (attribute.empty() ? list[i] : deep(list[i], attribute)).str();
      if (out.size() > (size_t{16} << 20)) fail(line, "join gives too long a text");
    }
    spend(line, out.size());
    return Value::of(std::move(out));
  }
  if (name == "sort") {
    const Value *reverse = a.get(0, "reverse"), *cased = a.get(1, "case_sensitive");
    return Value::of(sorted(a, std::move(list), text_argument(a, 2, "attribute", ""), reverse && reverse->truth(), cased && cased->truth()));
  }
  if (name == "map") {
    List out;
    const auto attribute = a.named.find("attribute");
    for (const Value& x : list) out.push_back(attribute != a.named.end() ? deep(x, attribute->second.str()) : filter(text_argument(a, 0, "filter", ""), x, without(a, 1)));
    return Value::of(std::move(out));
  }
  const bool by_attribute = name == "selectattr" || name == "rejectattr";
  if (by_attribute || name == "select" || name == "reject") {
    const bool keep = name.starts_with("select");
    const size_t first = by_attribute ? 1 : 0;
    List out;
    for (const Value& x : list) {
      const Value of = by_attribute ? deep(x, text_argument(a, 0, "attribute", "")) : x;
      const bool holds = a.values.size() > first ? test(a.values[first].str(), of, without(a, first + 1)) : of.truth();
      if (holds == keep) out.push_back(x);
    }
    return Value::of(std::move(out));
  }
  if (name == "unique") {
    List out;
    for (const Value& x : list) {
      spend(line, 0);
      if (std::none_of(out.begin(), out.end(), [&](const Value& y) { return equal(x, y); })) out.push_back(x);
    }
    return Value::of(std::move(out));
  }
  if ((name == "min" || name == "max") && !list.empty()) {
    const List order = sorted(a, std::move(list), "", false, false);
    return name == "min" ? order.front() : order.back();
  }
  fail(line, fmt::format("the filter '{}' is not supported for {}", name, v.type_name()));
}

bool Run::test(const std::string& name, const Value& v, const Arguments& a) {
  const auto other = [&]() -> const Value& {
    if (a.values.empty()) fail(a.line, fmt::format("the test '{}' needs a value", name));
    return a.values[0];
  };
  if (name == "defined") return !v.is(Kind::kUndefined);
  if (name == "undefined") return v.is(Kind::kUndefined);
  if (name == "none") return v.is(Kind::kNone);
  if (name == "string") return v.is(Kind::kString);
  if (name == "boolean") return v.is(Kind::kBool);
  if (name == "integer") return v.is(Kind::kInt);
  if (name == "float") return v.is(Kind::kFloat);
  if (name == "number") return v.is_number();
  if (name == "mapping") return v.is(Kind::kDict);
  if (name == "sequence" || name == "iterable") return v.is(Kind::kString) || v.is(Kind::kList) || v.is(Kind::kDict) || v.is(Kind::kUndefined);
  if (name == "callable") return false;
  if (name == "true" || name == "false") return v.is(Kind::kBool) && v.flag == (name == "true");
  if (name == "equalto" || name == "eq" || name == "sameas") return equal(v, other());
  if (name == "ne") return !equal(v, other());
  if (name == "in") return contains(a.line, other(), v);
  if (name == "odd" || name == "even") return v.is_number() && (v.whole() % 2 != 0) == (name == "odd");
  if (name == "divisibleby") {
    if (!v.is(Kind::kInt) || !other().is(Kind::kInt) || other().integer == 0) fail(a.line, "divisibleby needs integers");
    return other().integer == -1 || v.integer % other().integer == 0;
  }
  if (name == "lower" || name == "upper") return v.is(Kind::kString) && v.text == (name == "lower" ? to_lower(v.text) : upper(v.text));
  try {
    if (name == "lt" || name == "lessthan") return less(v, other());
    if (name == "gt" || name == "greaterthan") return less(other(), v);
    if (name == "le") return !less(other(), v);
    if (name == "ge") return !less(v, other());
  } catch (const Error& e) {
    fail(a.line, e.what());
  }
  fail(a.line, fmt::format("the test '{}' is not supported", name));
}

Value Run::method(const Value& object, const std::string& name, const Arguments& a) {
  spend(a.line, object.text.size());
  if (object.is(Kind::kDict)) {
    if (name == "items") return Value::of(pairs_of(a.line, object));
    if (name == "keys") return Value::of(items_of(a.line, object));
    if (name == "values") {
      List out;
      for (const auto& [key, v] : *object.dict) out.push_back(v);
      return Value::of(std::move(out));
    }
    if (name == "get") {
      const Value* v = a.values.empty() ? nullptr : object.find(a.values[0].str());
      const Value* other = a.get(1, "default");
      return v ? *v : other ? *other : Value::none();
    }
  }
  if (object.is(Kind::kString)) {
    const std::string& s = object.text;
    if (name == "strip" || name == "lstrip" || name == "rstrip") return Value::of(strip(s, a.get(0, "chars"), name != "rstrip", name != "lstrip"));
    if (name == "upper" || name == "lower" || name == "title" || name == "capitalize") return filter(name, object, {a.line, {}, {}});
    if (name == "replace") return filter(name, object, a);
    if (name == "split") {
      const Value* most = a.get(1, "maxsplit");
      return Value::of(split(s, a.get(0, "sep"), most && most->is(Kind::kInt) ? most->integer : -1, a.line));
    }
    if (name == "join") return filter("join", a.values.empty() ? Value::undefined("") : a.values[0], {a.line, {object}, {}});
    if ((name == "startswith" || name == "endswith") && !a.values.empty()) {
      const List any = a.values[0].is(Kind::kList) ? *a.values[0].list : List{a.values[0]};
      return Value::of(std::any_of(any.begin(), any.end(), [&](const Value& x) { return name == "startswith" ? s.starts_with(x.str()) : s.ends_with(x.str()); }));
    }
    if (name == "find" && !a.values.empty()) {
      const size_t at = s.find(a.values[0].str());
      return Value::of(at == std::string::npos ? int64_t{-1} : static_cast<int64_t>(characters_of(std::string_view(s).substr(0, at)).size()));
    }
    if (name == "count" && !a.values.empty()) return Value::of(static_cast<int64_t>(split(s, &a.values[0], -1, a.line).size()) - 1);
    if (name == "splitlines") {
      Value by = Value::of(std::string("\n"));
      List out = split(s, &by, -1, a.line);
      if (!out.empty() && out.back().text.empty()) out.pop_back();
      return Value::of(std::move(out));
    }
  }
  fail(a.line, fmt::format("{} has no method '{}' here", object.type_name(), name));
}

}  // namespace bgl::text::jinja
