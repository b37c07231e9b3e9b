#include "serve/schema_check.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/config.h"

namespace bgl::serve {
namespace {

using nlohmann::json;

bool has_type(const json& v, const std::string& type) {
  if (type == "integer") return v.is_number_integer() || (v.is_number_float() && std::floor(v.get<double>()) == v.get<double>());
  if (type == "number") return v.is_number();
  if (type == "null") return v.is_null();
  return type == v.type_name();
}
const char* with_article(const std::string& type) {
  if (type == "integer") return "an integer";
  if (type == "number") return "a number";
  if (type == "string") return "a string";
  if (type == "boolean") return "true or false";
  if (type == "array") return "a list";
  return "an object";
}
// The start of a message.
std::string subject(const std::string& name) { return name.empty() ? "the body" : "'" + name + "'"; }

std::optional<ApiError> check_number(const json& v, const json& schema, const std::string& name) {
  const double x = v.get<double>(), low = schema.value("minimum", -HUGE_VAL), high = schema.value("maximum", HUGE_VAL);
  if (x >= low && x <= high) return {};
  const auto text = [&](const json& n) { return n.is_number_integer() || std::abs(n.get<double>()) >= 1e6 ? n.dump() : fmt::format("{:g}", n.get<double>()); };
  if (!schema.contains("minimum")) return ApiError{fmt::format("{} must be at most {}, got {}", subject(name), text(schema["maximum"]), text(v)), name};
  if (!schema.contains("maximum")) return ApiError{fmt::format("{} must be at least {}, got {}", subject(name), text(schema["minimum"]), text(v)), name};
  return ApiError{fmt::format("{} must be between {} and {}, got {}", subject(name), text(schema["minimum"]), text(schema["maximum"]), text(v)), name};
}

std::optional<ApiError> check_list(const json& v, const json& schema, const std::string& name) {
  const auto least = schema.value("minItems", size_t{0}), most = schema.value("maxItems", SIZE_MAX);
  if (v.size() < least) return ApiError{fmt::format("{} must be a list that is not empty", subject(name)), name};
  if (v.size() > most) return ApiError{fmt::format("{} holds {} items, at most {} are possible", subject(name), v.size(), most), name};
  if (!schema.contains("items")) return {};
  for (size_t i = 0; i < v.size(); ++i) {
    if (auto e = check_schema(v[i], schema["items"], fmt::format("{}[{}]", name, i))) return e;
  }
  return {};
}

std::string unknown_field(const std::string& path, const std::string& key, const json& properties) {
  std::vector<std::string> known;
  for (const auto& [k, unused] : properties.items()) known.push_back(k);
  const auto near = nearest_word(key, known);
  return fmt::format("'{}' is not a field of this request{}", path, near ? fmt::format("; did you mean '{}'?", *near) : "");
}

std::optional<ApiError> check_object(const json& v, const json& schema, const std::string& name) {
  static const json none = json::object(), no_list = json::array();
  const json& properties = schema.contains("properties") ? schema["properties"] : none;
  const json& required = schema.contains("required") ? schema["required"] : no_list;
  const std::string prefix = name.empty() ? "" : name + ".";
  for (const json& key : required) {
    const auto& k = key.get_ref<const std::string&>();
    if (!v.contains(k) || v[k].is_null()) return ApiError{fmt::format("'{}' is required", prefix + k), prefix + k};
  }
  for (const auto& [key, inner] : v.items()) {
    const auto known = properties.find(key);
    if (known != properties.end()) {
      if (inner.is_null()) continue;
      if (auto e = check_schema(inner, *known, prefix + key)) return e;
    } else if (schema.contains("additionalProperties")) {
      const json& more = schema["additionalProperties"];
      if (more == json(false)) return ApiError{unknown_field(prefix + key, key, properties), prefix + key};
      if (auto e = check_schema(inner, more, prefix + key)) return e;
    }
  }
  return {};
}

std::optional<ApiError> check_kind(const json& v, const json& schema, const std::string& name) {
  if (schema.contains("anyOf")) {
    for (const json& one : schema["anyOf"]) {
      if (!check_schema(v, one, name)) return {};
    }
    return ApiError{fmt::format("{} must be {}", subject(name), schema.value("description", "something else")), name};
  }
  if (schema.contains("enum")) {
    for (const json& one : schema["enum"]) {
      if (one == v) return {};
    }
    return ApiError{fmt::format("{} must be {}", subject(name), schema.value("description", schema["enum"].dump())), name};
  }
  const std::string type = schema.value("type", "");
  if (type.empty()) return {};
  if (!has_type(v, type)) {
    return ApiError{fmt::format("{} must be {}, got {}", subject(name), with_article(type), v.is_number() && type == "integer" ? v.dump() : v.type_name()), name};
  }
  if (v.is_number()) return check_number(v, schema, name);
  if (v.is_string() && v.get_ref<const std::string&>().size() < schema.value("minLength", size_t{0})) return ApiError{fmt::format("{} must not be empty", subject(name)), name};
  if (v.is_array()) return check_list(v, schema, name);
  if (v.is_object()) return check_object(v, schema, name);
  return {};
}

}  // namespace

std::optional<ApiError> check_schema(const json& value, const json& schema, const std::string& name) {
  auto e = check_kind(value, schema, name);
  if (e && schema.value("x-unsupported", false)) return ApiError{fmt::format("'{}' is not supported by this server", name), name};
  return e;
}

std::optional<ApiError> parse_body(const std::string& body, json& out) {
  int depth = 0, deepest = 0;
  bool quoted = false;
  for (size_t i = 0; i < body.size(); ++i) {
    const char c = body[i];
    if (quoted) {
      if (c == '\\') ++i;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  if (deepest > 64) return ApiError{"the body is nested deeper than 64 levels", ""};
  try {
    out = json::parse(body);
  } catch (const json::parse_error& e) {
    return ApiError{fmt::format("the body is not valid JSON (near byte {})", e.byte), ""};
  } catch (const json::out_of_range&) {
    return ApiError{"the body holds a number beyond the range of a double", ""};
  }
  if (!out.is_object()) return ApiError{"the body must be a JSON object", ""};
  return {};
}

}  // namespace bgl::serve
