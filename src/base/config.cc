#include "base/config.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <toml++/toml.h>

namespace bgl {
namespace {

Status convert_scalar(const toml::node& node, const std::string& key, Config::Value& out) {
  if (auto v = node.value_exact<bool>()) {
    out.items.emplace_back(*v);
  } else if (auto i = node.value_exact<int64_t>()) {
    out.items.emplace_back(*i);
  } else if (auto d = node.value_exact<double>()) {
    out.items.emplace_back(*d);
  } else if (auto s = node.value_exact<std::string>()) {
    out.items.emplace_back(*s);
  } else {
    return invalid_argument("key '{}' has a value of an unsupported kind (use text, a number, true or false)", key);
  }
  return {};
}

// Walks the tree and writes every leaf under its dotted key.
Status flatten(const toml::table& table, const std::string& prefix, std::map<std::string, Config::Value>& values,
               std::map<std::string, int64_t>& counts) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix.empty() ? std::string(name.str()) : prefix + "." + std::string(name.str());
    if (const auto* sub = node.as_table()) {
      BGL_TRY(flatten(*sub, key, values, counts));
      continue;
    }
    if (const auto* array = node.as_array(); array && !array->empty() && array->is_array_of_tables()) {
      counts[key] = static_cast<int64_t>(array->size());
      for (size_t i = 0; i < array->size(); ++i) {
        BGL_TRY(flatten(*(*array)[i].as_table(), fmt::format("{}.{}", key, i), values, counts));
      }
      continue;
    }
    Config::Value value;
    value.line = static_cast<int>(node.source().begin.line);
    if (const auto* array = node.as_array()) {
      value.is_array = true;
      for (const auto& item : *array) BGL_TRY(convert_scalar(item, key, value));
    } else {
      BGL_TRY(convert_scalar(node, key, value));
    }
    values[key] = std::move(value);
  }
  return {};
}

std::string toml_scalar(const Config::Scalar& s) {
  if (const auto* b = std::get_if<bool>(&s)) return *b ? "true" : "false";
  if (const auto* i = std::get_if<int64_t>(&s)) return fmt::format("{}", *i);
  if (const auto* d = std::get_if<double>(&s)) {
    std::string text = fmt::format("{}", *d);
    if (text.find_first_of(".enaif") == std::string::npos) text += ".0";
    return text;
  }
  std::string out = "\"";
  for (const char c : std::get<std::string>(s)) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04X}", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string toml_value(const Config::Value& v) {
  if (!v.is_array) return toml_scalar(v.items.at(0));
  std::string out = "[";
  for (size_t i = 0; i < v.items.size(); ++i) out += (i ? ", " : "") + toml_scalar(v.items[i]);
  return out + "]";
}

Status apply_set(const std::string& set, std::map<std::string, Config::Value>& values, std::map<std::string, int64_t>& counts) {
  const size_t eq = set.find('=');
  if (eq == std::string::npos || eq == 0) return invalid_argument("--set {}: expected key=value", set);
  const std::string key = set.substr(0, eq);
  const std::string text = set.substr(eq + 1);
  toml::table parsed;
  bool is_toml = true;
  try {
    parsed = toml::parse("v = " + text);
  } catch (const toml::parse_error&) {
    is_toml = false;
  }
  std::map<std::string, Config::Value> one;
  if (is_toml && parsed.size() == 1) {
    BGL_TRY(flatten(parsed, "", one, counts));
  }
  if (one.count("v") == 0) {
    one["v"].items = {Config::Scalar(text)};
  }
  one["v"].line = 0;
  values[key] = one["v"];
  return {};
}

}  // namespace

std::optional<std::string> nearest_word(const std::string& word, std::span<const std::string> candidates) {
  std::optional<std::string> best;
  size_t best_distance = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    std::vector<size_t> row(candidate.size() + 1);
    for (size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= word.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t j = 1; j < row.size(); ++j) {
        const size_t above = row[j];
        row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (word[i - 1] == candidate[j - 1] ? 0 : 1)});
        diagonal = above;
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

Result<Config> Config::load(const std::string& path, std::span<const std::string> sets) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return errno_status(errno, "cannot open configuration " + path);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in.good() && !in.eof()) return make_status(Code::kIo, "cannot read configuration {}", path);
  return parse(text.str(), path, sets);
}

Result<Config> Config::parse(std::string_view text, const std::string& name, std::span<const std::string> sets) {
  Config config;
  config.name_ = name;
  try {
    const toml::table table = toml::parse(text, name);
    if (Status s = flatten(table, "", config.values_, config.table_counts_); !s.ok()) return s.with_context(name);
  } catch (const toml::parse_error& e) {
    return invalid_argument("{}:{}:{}: {}", name, e.source().begin.line, e.source().begin.column, std::string(e.description()));
  }
  for (const std::string& set : sets) BGL_TRY(apply_set(set, config.values_, config.table_counts_));
  return config;
}

bool Config::has(const std::string& key) const { return values_.count(key) != 0; }

int64_t Config::table_count(const std::string& name) const {
  const auto it = table_counts_.find(name);
  return it == table_counts_.end() ? 0 : it->second;
}

std::string Config::where(const std::string& key) const {
  const auto it = values_.find(key);
  if (it == values_.end()) return name_;
  return it->second.line ? fmt::format("{}:{}", name_, it->second.line) : "--set";
}

const Config::Value* Config::find(const std::string& key) {
  const auto it = values_.find(key);
  return it == values_.end() ? nullptr : &it->second;
}

void Config::note(const std::string& key, Value value) { resolved_[key] = std::move(value); }

void Config::reject(const std::string& key, const std::string& why) {
  if (error_.ok()) error_ = invalid_argument("{}: key '{}': {}", where(key), key, why);
}

bool Config::get(const std::string& key, bool fallback) {
  bool out = fallback;
  if (const Value* v = find(key)) {
    if (!v->is_array && std::holds_alternative<bool>(v->items[0])) {
      out = std::get<bool>(v->items[0]);
    } else {
      reject(key, "expected true or false, got " + toml_value(*v));
    }
  }
  note(key, {{Scalar(out)}});
  return out;
}

int64_t Config::get(const std::string& key, int64_t fallback) {
  int64_t out = fallback;
  if (const Value* v = find(key)) {
    if (!v->is_array && std::holds_alternative<int64_t>(v->items[0])) {
      out = std::get<int64_t>(v->items[0]);
    } else {
      reject(key, "expected a whole number, got " + toml_value(*v));
    }
  }
  note(key, {{Scalar(out)}});
  return out;
}

double Config::get(const std::string& key, double fallback) {
  double out = fallback;
  if (const Value* v = find(key)) {
    if (!v->is_array && std::holds_alternative<double>(v->items[0])) {
      out = std::get<double>(v->items[0]);
    } else if (!v->is_array && std::holds_alternative<int64_t>(v->items[0])) {
      out = static_cast<double>(std::get<int64_t>(v->items[0]));
    } else {
      reject(key, "expected a number, got " + toml_value(*v));
    }
  }
  note(key, {{Scalar(out)}});
  return out;
}

std::string Config::get(const std::string& key, const char* fallback) {
  std::string out = fallback;
  if (const Value* v = find(key)) {
    if (!v->is_array && std::holds_alternative<std::string>(v->items[0])) {
      out = std::get<std::string>(v->items[0]);
    } else if (!v->is_array && v->line == 0) {
      out = toml_scalar(v->items[0]);  // --set path=123 means the text 123
    } else {
      reject(key, "expected text in quotes, got " + toml_value(*v));
    }
  }
  note(key, {{Scalar(out)}});
  return out;
}

std::vector<std::string> Config::get_strings(const std::string& key, std::vector<std::string> fallback) {
  std::vector<std::string> out = std::move(fallback);
  if (const Value* v = find(key)) {
    out.clear();
    for (const Scalar& item : v->items) {
      if (const auto* s = std::get_if<std::string>(&item)) {
        out.push_back(*s);
      } else {
        reject(key, "expected a list of texts, got " + toml_value(*v));
      }
    }
  }
  Value noted;
  noted.is_array = true;
  for (const std::string& s : out) noted.items.emplace_back(s);
  note(key, std::move(noted));
  return out;
}

std::vector<double> Config::get_numbers(const std::string& key, std::vector<double> fallback) {
  std::vector<double> out = std::move(fallback);
  if (const Value* v = find(key)) {
    out.clear();
    for (const Scalar& item : v->items) {
      if (const auto* d = std::get_if<double>(&item)) {
        out.push_back(*d);
      } else if (const auto* i = std::get_if<int64_t>(&item)) {
        out.push_back(static_cast<double>(*i));
      } else {
        reject(key, "expected a list of numbers, got " + toml_value(*v));
      }
    }
  }
  Value noted;
  noted.is_array = true;
  for (const double d : out) noted.items.emplace_back(d);
  note(key, std::move(noted));
  return out;
}

int64_t Config::get_int_in(const std::string& key, int64_t fallback, int64_t low, int64_t high) {
  const int64_t v = get(key, fallback);
  if (v < low || v > high) reject(key, fmt::format("{} is outside [{}, {}]", v, low, high));
  return v;
}

double Config::get_double_in(const std::string& key, double fallback, double low, double high) {
  const double v = get(key, fallback);
  if (!(v >= low && v <= high)) reject(key, fmt::format("{} is outside [{}, {}]", v, low, high));
  return v;
}

std::string Config::require(const std::string& key) {
  if (!has(key)) {
    reject(key, "is required and has no default");
    return {};
  }
  return get(key, "");
}

Status Config::finish() const {
  if (!error_.ok()) return error_;
  std::vector<std::string> known;
  for (const auto& [key, value] : resolved_) known.push_back(key);
  for (const auto& [key, value] : values_) {
    if (resolved_.count(key)) continue;
    for (const std::string& name : {key, key.substr(0, key.find('.') + 1)}) {
      const auto other = other_choices_.find(name);
      if (other != other_choices_.end()) return invalid_argument("{}: key '{}' is only for {}", where(key), key, other->second);
    }
    const auto near = nearest_word(key, known);
    return invalid_argument("{}: unknown key '{}'{}", where(key), key,
                            near ? fmt::format(" (did you mean '{}'?)", *near) : std::string());
  }
  return {};
}

std::string Config::resolved() const {
  // A key "a.b.c" is written in table [a.b]; array-of-tables indexes become [[a]] headers, which sort in order of index.
  std::map<std::string, std::string> tables;
  for (const auto& [key, value] : resolved_) {
    const size_t dot = key.rfind('.');
    const std::string table = dot == std::string::npos ? "" : key.substr(0, dot);
    tables[table] += (dot == std::string::npos ? key : key.substr(dot + 1)) + " = " + toml_value(value) + "\n";
  }
  std::string out;
  for (const auto& [table, body] : tables) {
    if (table.empty()) {
      out = body + out;
      continue;
    }
    const size_t dot = table.rfind('.');
    const bool indexed = dot != std::string::npos && table_counts_.count(table.substr(0, dot));
    out += indexed ? "\n[[" + table.substr(0, dot) + "]]\n" : "\n[" + table + "]\n";
    out += body;
  }
  return out;
}

}  // namespace bgl
