#include "serve/json_grammar.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

namespace bgl::serve {
namespace {

using nlohmann::ordered_json;
using Symbol = Grammar::Symbol;
using Symbols = std::vector<Symbol>;

constexpr size_t kMostSymbols = 400000;
constexpr int64_t kMostItems = 1000, kMostLetters = 4000;
constexpr size_t kMostProperties = 200, kMostValues = 4000;

ByteSet range(int from, int to) {
  ByteSet set;
  for (int b = from; b <= to; ++b) set.set(static_cast<size_t>(b));
  return set;
}
ByteSet any_of(std::string_view bytes) {
  ByteSet set;
  for (const char c : bytes) set.set(static_cast<unsigned char>(c));
  return set;
}

class Builder {
 public:
  Builder() : root_(g_.add_rule()) {
    const Symbol digit = g_.bytes(range('0', '9'));
    white_ = up_to(16, g_.bytes(any_of(" \n\t")));
    letter_ = make_letter();
    string_ = one({quote(), run(letter_), quote()});
    const Symbol whole = choice({{byte('0')}, {g_.bytes(range('1', '9')), up_to(14, digit)}});
    const Symbol minus = choice({{}, {byte('-')}});
    integer_ = one({minus, whole});
    const Symbol fraction = choice({{}, {byte('.'), digit, up_to(14, digit)}});
    const Symbol sign = choice({{}, {g_.bytes(any_of("+-"))}});
    const Symbol exponent = choice({{}, {g_.bytes(any_of("eE")), sign, digit, up_to(1, digit)}});
    number_ = one({minus, whole, fraction, exponent});
    value_ = Grammar::rule(g_.add_rule());
    object_ = map_of(value_);
    array_ = list_of(value_, 0, std::nullopt);
    for (const Symbol s : {object_, array_, string_, number_}) g_.add_alternative(value_.index, Symbols{s});
    for (const char* word : {"true", "false", "null"}) g_.add_alternative(value_.index, g_.literal(word));
  }

  std::shared_ptr<const Grammar> finish(Symbol top) {
    g_.add_alternative(root_, Symbols{white_, top});
    return std::make_shared<const Grammar>(std::move(g_));
  }
  Symbol object() const { return object_; }

  // A schema at `where`, as a rule.
  Result<Symbol> schema(const ordered_json& s, const std::string& where, int depth = 0) {
    if (s.is_boolean() && s.get<bool>()) return value_;
    if (!s.is_object()) return invalid_argument("{}: a schema must be an object", where);
    if (depth > 64) return invalid_argument("{}: the schema is nested deeper than 64 levels", where);
    if (g_.size() > kMostSymbols) return too_large(where);
    BGL_TRY(check_keywords(s, where));
    if (s.contains("$ref")) return reference(s["$ref"], where, depth);
    if (s.contains("const")) {
      BGL_ASSIGN(const Symbols text, literal(s["const"], where + ".const"));
      return one(text);
    }
    if (s.contains("enum")) return words(s["enum"], where);
    if (s.contains("allOf")) {
      if (!s["allOf"].is_array() || s["allOf"].size() != 1) return invalid_argument("{}.allOf: only a list of one schema is supported", where);
      return schema(s["allOf"][0], where + ".allOf[0]", depth + 1);
    }
    if (s.contains("anyOf")) return any_of_schemas(s["anyOf"], where + ".anyOf", depth);
    return typed(s, where, depth);
  }
  void set_document(const ordered_json& document) { document_ = &document; }

 private:
  static Status too_large(const std::string& where) { return invalid_argument("{}: the schema is too large: {} bytes of names, values and items are possible", where, kMostSymbols); }
  // A value as it is written.
  Result<Symbols> literal(const ordered_json& v, const std::string& where) {
    const std::string text = v.dump();
    if (g_.size() + text.size() > kMostSymbols) return too_large(where);
    return g_.literal(text);
  }
  Symbol byte(char c) { return g_.bytes(ByteSet().set(static_cast<unsigned char>(c))); }
  Symbol quote() { return byte('"'); }
  Symbol choice(const std::vector<Symbols>& alternatives) {
    const uint32_t r = g_.add_rule();
    for (const Symbols& a : alternatives) g_.add_alternative(r, a);
    return Grammar::rule(r);
  }
  Symbol one(const Symbols& symbols) { return choice({symbols}); }
  Symbol up_to(int64_t n, Symbol s) {
    Symbol rest = one({});
    for (int64_t i = 0; i < n; ++i) rest = choice({{}, {s, rest}});
    return rest;
  }
  Symbol run(Symbol s) {
    const Symbol r = Grammar::rule(g_.add_rule());
    g_.add_alternative(r.index, Symbols{});
    g_.add_alternative(r.index, Symbols{s, r});
    return r;
  }

  // A character of a string: well-formed UTF-8, or an escape; surrogates come in pairs.
  Symbol make_letter() {
    const auto set = [&](int from, int to) { return g_.bytes(range(from, to)); };
    const Symbol more = set(0x80, 0xbf);
    ByteSet plain = range(0x20, 0x7f);
    plain.reset('"').reset('\\').reset(0x7f);
    const Symbol hex = g_.bytes(any_of("0123456789abcdefABCDEF")), d = g_.bytes(any_of("dD")), u = byte('u'), back = byte('\\');
    const Symbol low = g_.bytes(any_of("cdefCDEF")), high = g_.bytes(any_of("89abAB")), small = g_.bytes(any_of("01234567"));
    return choice({{g_.bytes(plain)},
                   {set(0xc2, 0xdf), more},
                   {set(0xe0, 0xe0), set(0xa0, 0xbf), more},
                   {g_.bytes(range(0xe1, 0xec) | range(0xee, 0xef)), more, more},
                   {set(0xed, 0xed), set(0x80, 0x9f), more},
                   {set(0xf0, 0xf0), set(0x90, 0xbf), more, more},
                   {set(0xf1, 0xf3), more, more, more},
                   {set(0xf4, 0xf4), set(0x80, 0x8f), more, more},
                   {back, g_.bytes(any_of("\"\\/bfnrt"))},
                   {back, u, g_.bytes(any_of("0123456789abcefABCEF")), hex, hex, hex},
                   {back, u, d, small, hex, hex},
                   {back, u, d, high, hex, hex, back, u, d, low, hex, hex}});
  }

  // "{" pairs "}" with any keys.
  Symbol map_of(Symbol value) {
    const Symbol more = Grammar::rule(g_.add_rule());
    const Symbol pair = one({string_, white_, byte(':'), white_, value, white_});
    g_.add_alternative(more.index, Symbols{byte('}')});
    g_.add_alternative(more.index, Symbols{byte(','), white_, pair, more});
    return one({byte('{'), white_, choice({{byte('}')}, {pair, more}})});
  }
  Symbol list_of(Symbol item, int64_t least, std::optional<int64_t> most) {
    // after(k): what may follow k items.
    Symbol after{};
    if (!most) {
      after = Grammar::rule(g_.add_rule());
      g_.add_alternative(after.index, Symbols{byte(']')});
      g_.add_alternative(after.index, Symbols{byte(','), white_, item, white_, after});
    } else {
      after = one({byte(']')});
    }
    const int64_t last = most ? *most : std::max<int64_t>(least, 1);
    for (int64_t k = last - 1; k >= 0; --k) {
      std::vector<Symbols> next;
      if (k >= least) next.push_back({byte(']')});
      if (k == 0) {
        next.push_back({item, white_, after});
      } else {
        next.push_back({byte(','), white_, item, white_, after});
      }
      after = choice(next);
    }
    return one({byte('['), white_, after});
  }
  Symbol letters(int64_t least, std::optional<int64_t> most) {
    Symbol rest = most ? up_to(*most - least, letter_) : run(letter_);
    for (int64_t i = 0; i < least; ++i) rest = one({letter_, rest});
    return one({quote(), rest, quote()});
  }

  static Status check_keywords(const ordered_json& s, const std::string& where) {
    constexpr std::string_view kKnown[] = {"type", "enum", "const", "anyOf", "allOf", "$ref", "properties", "required", "additionalProperties", "items", "minItems",
                                           "maxItems", "minLength", "maxLength", "title", "description", "default", "examples", "deprecated", "$schema", "$id",
                                           "$comment", "$defs", "definitions"};
    for (const auto& [key, unused] : s.items()) {
      if (std::find(std::begin(kKnown), std::end(kKnown), key) == std::end(kKnown)) {
        return invalid_argument("{}: the keyword '{}' is not supported; leave it out, or check the answer for it yourself", where, key);
      }
    }
    return {};
  }

  Result<Symbol> reference(const ordered_json& ref, const std::string& where, int depth) {
    const std::string name = ref.is_string() ? ref.get<std::string>() : "";
    if (const auto at = references_.find(name); at != references_.end()) return at->second;
    if (!name.starts_with("#")) return invalid_argument("{}.$ref: only references inside the schema (\"#/$defs/NAME\") are supported", where);
    const ordered_json* target = nullptr;
    try {
      target = &document_->at(ordered_json::json_pointer(name.substr(1)));
    } catch (const ordered_json::exception&) {
      return invalid_argument("{}.$ref: there is no '{}' in the schema", where, name);
    }
    const Symbol r = references_[name] = Grammar::rule(g_.add_rule());
    BGL_ASSIGN(const Symbol made, schema(*target, name, depth + 1));
    g_.add_alternative(r.index, Symbols{made});
    return r;
  }
  Result<Symbol> words(const ordered_json& list, const std::string& where) {
    if (!list.is_array() || list.empty() || list.size() > kMostItems) return invalid_argument("{}.enum: must be a list of 1 to {} values", where, kMostItems);
    if ((values_ += list.size()) > kMostValues) return invalid_argument("{}.enum: more than {} values in all are not supported", where, kMostValues);
    std::vector<Symbols> alternatives;
    for (const ordered_json& v : list) {
      BGL_ASSIGN(alternatives.emplace_back(), literal(v, where + ".enum"));
    }
    return choice(alternatives);
  }
  Result<Symbol> any_of_schemas(const ordered_json& list, const std::string& where, int depth) {
    if (!list.is_array() || list.empty()) return invalid_argument("{}: must be a list that is not empty", where);
    std::vector<Symbols> alternatives;
    for (size_t i = 0; i < list.size(); ++i) {
      BGL_ASSIGN(const Symbol one, schema(list[i], fmt::format("{}[{}]", where, i), depth + 1));
      alternatives.push_back({one});
    }
    return choice(alternatives);
  }

  Result<Symbol> typed(const ordered_json& s, const std::string& where, int depth) {
    ordered_json types = s.contains("type") ? s["type"] : ordered_json();
    if (types.is_null()) {
      if (s.contains("properties") || s.contains("required") || s.contains("additionalProperties")) types = "object";
      else if (s.contains("items") || s.contains("minItems") || s.contains("maxItems")) types = "array";
      else if (s.contains("minLength") || s.contains("maxLength")) types = "string";
      else return value_;
    }
    if (types.is_string()) types = ordered_json::array({types});
    if (!types.is_array() || types.empty()) return invalid_argument("{}.type: must be a string or a list of strings", where);
    std::vector<Symbols> alternatives;
    for (const ordered_json& t : types) {
      BGL_ASSIGN(const Symbol one, of_type(t.is_string() ? t.get<std::string>() : t.dump(), s, where, depth));
      alternatives.push_back({one});
    }
    return choice(alternatives);
  }
  Result<Symbol> of_type(const std::string& type, const ordered_json& s, const std::string& where, int depth) {
    if (type == "object") return object_of(s, where, depth);
    if (type == "array") {
      BGL_ASSIGN(const auto least, count(s, "minItems", where, kMostItems));
      BGL_ASSIGN(const auto most, count(s, "maxItems", where, kMostItems));
      if (most && *most < least.value_or(0)) return invalid_argument("{}.maxItems: is less than minItems", where);
      Symbol item = value_;
      if (s.contains("items")) {
        BGL_ASSIGN(item, schema(s["items"], where + ".items", depth + 1));
      }
      return list_of(item, least.value_or(0), most);
    }
    if (type == "string") {
      BGL_ASSIGN(const auto least, count(s, "minLength", where, kMostLetters));
      BGL_ASSIGN(const auto most, count(s, "maxLength", where, kMostLetters));
      if (most && *most < least.value_or(0)) return invalid_argument("{}.maxLength: is less than minLength", where);
      return least || most ? letters(least.value_or(0), most) : string_;
    }
    if (type == "number") return number_;
    if (type == "integer") return integer_;
    if (type == "boolean") return choice({g_.literal("true"), g_.literal("false")});
    if (type == "null") return one(g_.literal("null"));
    return invalid_argument("{}.type: '{}' is not a type of JSON Schema", where, type);
  }
  static Result<std::optional<int64_t>> count(const ordered_json& s, const char* key, const std::string& where, int64_t most) {
    if (!s.contains(key)) return std::optional<int64_t>();
    const ordered_json& v = s[key];
    if (!v.is_number_integer() || v.get<double>() < 0 || v.get<double>() > static_cast<double>(most)) return invalid_argument("{}.{}: must be an integer between 0 and {}", where, key, most);
    return std::optional(v.get<int64_t>());
  }

  Result<Symbol> object_of(const ordered_json& s, const std::string& where, int depth) {
    const ordered_json properties = s.value("properties", ordered_json::object()), required = s.value("required", ordered_json::array());
    if (!properties.is_object()) return invalid_argument("{}.properties: must be an object", where);
    if (!required.is_array()) return invalid_argument("{}.required: must be a list of strings", where);
    std::set<std::string> needed, named;
    for (const ordered_json& name : required) {
      if (!name.is_string()) return invalid_argument("{}.required: must be a list of strings", where);
      needed.insert(name.get<std::string>());
    }
    if (std::max(properties.size(), needed.size()) > kMostProperties) return invalid_argument("{}.properties: at most {} are supported", where, kMostProperties);
    struct Property {
      Symbols pair;
      bool required = false;
    };
    std::vector<Property> list;
    const auto add = [&](const std::string& name, Symbol value) -> Status {
      BGL_ASSIGN(Symbols pair, literal(name, where + ".properties"));
      for (const Symbol x : {white_, byte(':'), white_, value, white_}) pair.push_back(x);
      list.push_back({std::move(pair), needed.contains(name)});
      named.insert(name);
      return {};
    };
    for (const auto& [name, inner] : properties.items()) {
      BGL_ASSIGN(const Symbol value, schema(inner, where + ".properties." + name, depth + 1));
      BGL_TRY(add(name, value));
    }
    for (const ordered_json& name : required) {
      if (!named.contains(name.get<std::string>())) BGL_TRY(add(name.get<std::string>(), value_));
    }
    const ordered_json more = s.value("additionalProperties", ordered_json(true));
    if (list.empty() && more != ordered_json(false)) {
      BGL_ASSIGN(const Symbol value, schema(more, where + ".additionalProperties", depth + 1));
      return map_of(value);
    }
    if (list.size() > kMostProperties) return invalid_argument("{}.properties: at most {} are supported", where, kMostProperties);
    // after[first][i]: what may follow where properties from i on may come; `first`: none has come yet.
    Symbol after[2] = {one({byte('}')}), one({byte('}')})};
    std::vector<std::pair<Symbol, Symbol>> from(list.size() + 1);
    from[list.size()] = {after[0], after[1]};
    for (size_t i = list.size(); i-- > 0;) {
      for (const bool first : {true, false}) {
        std::vector<Symbols> next;
        // Skipping an optional property is going on from the next one.
        Symbols taken;
        if (!first) taken = {byte(','), white_};
        taken.insert(taken.end(), list[i].pair.begin(), list[i].pair.end());
        taken.push_back(from[i + 1].second);
        next.push_back(std::move(taken));
        if (!list[i].required) next.push_back({first ? from[i + 1].first : from[i + 1].second});
        (first ? from[i].first : from[i].second) = choice(next);
      }
    }
    return one({byte('{'), white_, from[0].first});
  }

  Grammar g_;
  uint32_t root_;
  Symbol white_, letter_, string_, integer_, number_, value_, object_, array_;
  const ordered_json* document_ = nullptr;
  std::map<std::string, Symbol> references_;
  size_t values_ = 0;  // of all enums
};

}  // namespace

std::shared_ptr<const Grammar> json_object_grammar() {
  Builder b;
  return b.finish(b.object());
}

Result<std::shared_ptr<const Grammar>> json_schema_grammar(const ordered_json& schema) {
  Builder b;
  b.set_document(schema);
  BGL_ASSIGN(const Symbol top, b.schema(schema, "$"));
  auto grammar = b.finish(top);
  if (grammar->left_recursive()) return invalid_argument("$: a $ref leads back to itself with nothing written between");
  if (!grammar->finite()) return invalid_argument("$: no answer holds to the schema and comes to an end: what it requires needs itself again ($ref), without a way around");
  return grammar;
}

}  // namespace bgl::serve
