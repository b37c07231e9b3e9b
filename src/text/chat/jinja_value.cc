#include <cmath>
#include <nlohmann/json.hpp>

#include "text/chat/internal/jinja.h"
#include "text/unicode.h"

namespace bgl::text::jinja {
namespace {

constexpr int kDeepest = 100;

// Of a number as Python prints it: the shortest that reads back the same, with a point or an exponent.
std::string float_text(double v) {
  if (std::isnan(v)) return "nan";
  if (std::isinf(v)) return v > 0 ? "inf" : "-inf";
  std::string s = fmt::format("{}", v);
  if (s.find_first_of(".e") == std::string::npos) s += ".0";
  return s;
}

std::string quoted(const std::string& text) {
  const char quote = text.find('\'') != std::string::npos && text.find('"') == std::string::npos ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\') out += '\\';
    if (c == '\n') out += "\\n";
    else if (c == '\t') out += "\\t";
    else if (c == '\r') out += "\\r";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else out += c;
  }
  return out + quote;
}

std::string json_string(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
        else out += c;
    }
  }
  return out + "\"";
}

int deepest(int so_far, const Value& v) { return std::max(so_far, v.depth); }
void check_depth(int depth) {
  if (depth > kDeepest) throw Error(invalid_argument("lists are nested deeper than {} levels", kDeepest));
}
void append_json(const Value& v, int indent, int level, std::string& out) {
  const bool list = v.is(Value::Kind::kList), dict = v.is(Value::Kind::kDict);
  if (!list && !dict) {
    switch (v.kind) {
      case Value::Kind::kNone: out += "null"; return;
      case Value::Kind::kBool: out += v.flag ? "true" : "false"; return;
      case Value::Kind::kFloat: out += std::isnan(v.real) ? "NaN" : std::isinf(v.real) ? (v.real > 0 ? "Infinity" : "-Infinity") : float_text(v.real); return;
      case Value::Kind::kString: out += json_string(v.text); return;
      case Value::Kind::kInt: out += std::to_string(v.integer); return;
      default: throw Error(invalid_argument("tojson: {} has no JSON", v.type_name()));
    }
  }
  const size_t n = list ? v.list->size() : v.dict->size();
  out += list ? '[' : '{';
  const auto line = [&](int l) {
    if (indent >= 0) out += "\n" + std::string(static_cast<size_t>(indent * l), ' ');
  };
  for (size_t i = 0; i < n; ++i) {
    if (i > 0) out += indent >= 0 ? "," : ", ";
    line(level + 1);
    if (dict) out += json_string((*v.dict)[i].first) + ": ";
    append_json(list ? (*v.list)[i] : (*v.dict)[i].second, indent, level + 1, out);
  }
  if (n > 0) line(level);
  out += list ? ']' : '}';
}

}  // namespace

void fail(int line, const std::string& what) { throw Error(invalid_argument("line {}: {}", line, what)); }

Value Value::undefined(std::string name) {
  Value v;
  v.text = std::move(name);
  return v;
}
Value Value::none() {
  Value v;
  v.kind = Kind::kNone;
  return v;
}
Value Value::of(bool b) {
  Value v;
  v.kind = Kind::kBool;
  v.flag = b;
  return v;
}
Value Value::of(int64_t i) {
  Value v;
  v.kind = Kind::kInt;
  v.integer = i;
  return v;
}
Value Value::of(double d) {
  Value v;
  v.kind = Kind::kFloat;
  v.real = d;
  return v;
}
Value Value::of(std::string s) {
  Value v;
  v.kind = Kind::kString;
  v.text = std::move(s);
  return v;
}
Value Value::of(List l) {
  Value v;
  v.kind = Kind::kList;
  for (const Value& x : l) v.depth = deepest(v.depth, x);
  check_depth(++v.depth);
  v.list = std::make_shared<const List>(std::move(l));
  return v;
}
Value Value::of(Dict d) {
  Value v;
  v.kind = Kind::kDict;
  for (const auto& [key, x] : d) v.depth = deepest(v.depth, x);
  check_depth(++v.depth);
  v.dict = std::make_shared<const Dict>(std::move(d));
  return v;
}

Value Value::from_json(const nlohmann::ordered_json& j) {
  if (j.is_boolean()) return of(j.get<bool>());
  if (j.is_number_unsigned() && j.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) return of(j.get<double>());
  if (j.is_number_integer()) return of(j.get<int64_t>());
  if (j.is_number()) return of(j.get<double>());
  if (j.is_string()) return of(j.get<std::string>());
  if (j.is_array()) {
    List list;
    for (const auto& x : j) list.push_back(from_json(x));
    return of(std::move(list));
  }
  if (j.is_object()) {
    Dict dict;
    for (const auto& [key, x] : j.items()) dict.emplace_back(key, from_json(x));
    return of(std::move(dict));
  }
  return none();
}

bool Value::truth() const {
  switch (kind) {
    case Kind::kUndefined:
    case Kind::kNone: return false;
    case Kind::kString: return !text.empty();
    case Kind::kList: return !list->empty();
    case Kind::kDict: return !dict->empty();
    case Kind::kNamespace: return true;
    default: return number() != 0;
  }
}

std::string Value::str() const {
  if (kind == Kind::kString) return text;
  if (kind == Kind::kUndefined) return {};
  return repr();
}
std::string Value::repr() const {
  switch (kind) {
    case Kind::kUndefined: return "Undefined";
    case Kind::kNone: return "None";
    case Kind::kBool: return flag ? "True" : "False";
    case Kind::kInt: return std::to_string(integer);
    case Kind::kFloat: return float_text(real);
    case Kind::kString: return quoted(text);
    case Kind::kNamespace: return "<Namespace>";
    default: break;
  }
  std::string out = kind == Kind::kList ? "[" : "{";
  if (kind == Kind::kList) {
    for (size_t i = 0; i < list->size(); ++i) out += (i ? ", " : "") + (*list)[i].repr();
    return out + "]";
  }
  for (size_t i = 0; i < dict->size(); ++i) out += (i ? ", " : "") + quoted((*dict)[i].first) + ": " + (*dict)[i].second.repr();
  return out + "}";
}
std::string Value::json(int indent) const {
  std::string out;
  append_json(*this, indent, 0, out);
  return out;
}

const Value* Value::find(std::string_view key) const {
  if (kind == Kind::kNamespace) {
    const auto at = space->find(std::string(key));
    return at == space->end() ? nullptr : &at->second;
  }
  if (kind != Kind::kDict) return nullptr;
  for (const auto& [k, v] : *dict) {
    if (k == key) return &v;
  }
  return nullptr;
}

const char* Value::type_name() const {
  constexpr const char* kNames[] = {"an undefined value", "none", "a boolean", "an integer", "a number", "a string", "a list", "a dict", "a namespace"};
  return kNames[static_cast<size_t>(kind)];
}

bool equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return a.kind != Value::Kind::kFloat && b.kind != Value::Kind::kFloat ? a.whole() == b.whole() : a.number() == b.number();
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Value::Kind::kString: return a.text == b.text;
    case Value::Kind::kList: return std::equal(a.list->begin(), a.list->end(), b.list->begin(), b.list->end(), equal);
    case Value::Kind::kDict:
      if (a.dict->size() != b.dict->size()) return false;
      for (const auto& [key, v] : *a.dict) {
        const Value* other = b.find(key);
        if (!other || !equal(v, *other)) return false;
      }
      return true;
    case Value::Kind::kNamespace: return a.space == b.space;
    default: return true;
  }
}

bool less(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return a.number() < b.number();
  if (a.is(Value::Kind::kString) && b.is(Value::Kind::kString)) return a.text < b.text;
  throw Error(invalid_argument("{} and {} have no order", a.type_name(), b.type_name()));
}

std::vector<std::string> characters_of(std::string_view text) {
  std::vector<std::string> out;
  for (size_t at = 0; at < text.size();) {
    const uint32_t n = decode_utf8(text, at).bytes;
    out.emplace_back(text.substr(at, n));
    at += n;
  }
  return out;
}

List items_of(int line, const Value& v) {
  List out;
  switch (v.kind) {
    case Value::Kind::kUndefined: return out;
    case Value::Kind::kList: return *v.list;
    case Value::Kind::kDict:
      for (const auto& [key, x] : *v.dict) out.push_back(Value::of(key));
      return out;
    case Value::Kind::kString:
      for (std::string& c : characters_of(v.text)) out.push_back(Value::of(std::move(c)));
      return out;
    default: fail(line, fmt::format("{} cannot be gone through", v.type_name()));
  }
}

bool contains(int line, const Value& container, const Value& item) {
  if (container.is(Value::Kind::kString)) {
    if (!item.is(Value::Kind::kString)) fail(line, fmt::format("'in' of a string needs a string, got {}", item.type_name()));
    return container.text.find(item.text) != std::string::npos;
  }
  if (container.is(Value::Kind::kDict)) return item.is(Value::Kind::kString) && container.find(item.text);
  for (const Value& v : items_of(line, container)) {
    if (equal(v, item)) return true;
  }
  return false;
}

}  // namespace bgl::text::jinja
