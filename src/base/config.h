// Configuration: a TOML file plus `--set key=value`. A reader asks for each key with its default; finish() then refuses keys that
// nobody asked for (naming the nearest one that exists) and resolved() gives the whole configuration as TOML, to be saved with
// the run. Tables are flattened: [train] steps = 5 is the key "train.steps"; the i-th [[source]] holds "source.<i>.name".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/status.h"

namespace bgl {

class Config {
 public:
  using Scalar = std::variant<bool, int64_t, double, std::string>;
  struct Value {
    std::vector<Scalar> items;  // one item unless is_array
    bool is_array = false;
    int line = 0;  // 0: given by --set
  };

  Config() = default;
  // Reads `path`, then applies each "key=value" of `sets`; a value is parsed as TOML and taken as a string where that fails.
  static Result<Config> load(const std::string& path, std::span<const std::string> sets = {});
  static Result<Config> parse(std::string_view text, const std::string& name, std::span<const std::string> sets = {});

  bool has(const std::string& key) const;
  // Number of tables in the array of tables [[name]].
  int64_t table_count(const std::string& name) const;
  // The value of `key`, or `fallback` when absent. A value of another type is an error kept for finish().
  bool get(const std::string& key, bool fallback);
  int64_t get(const std::string& key, int64_t fallback);
  int64_t get(const std::string& key, int fallback) { return get(key, static_cast<int64_t>(fallback)); }
  double get(const std::string& key, double fallback);
  std::string get(const std::string& key, const char* fallback);
  std::string get(const std::string& key, const std::string& fallback) { return get(key, fallback.c_str()); }
  std::vector<std::string> get_strings(const std::string& key, std::vector<std::string> fallback = {});
  std::vector<double> get_numbers(const std::string& key, std::vector<double> fallback = {});
  // As get(), and the value must lie in [low, high]. The type of the fallback decides: integer or double.
  template <typename T, typename L, typename H>
  auto get_in(const std::string& key, T fallback, L low, H high) {
    if constexpr (std::is_integral_v<T>) {
      return get_int_in(key, static_cast<int64_t>(fallback), static_cast<int64_t>(low), static_cast<int64_t>(high));
    } else {
      return get_double_in(key, static_cast<double>(fallback), static_cast<double>(low), static_cast<double>(high));
    }
  }
  // The value of a key that has no default; its absence is an error kept for finish().
  std::string require(const std::string& key);
  // Keeps an error of the caller's own about `key` for finish().
  void reject(const std::string& key, const std::string& why);

  // Says that `key` (or, when it ends with a dot, every key of that table) is one that goes with a choice that was not made: where it is given,
  // finish() tells "is only for CHOICE" instead of calling it unknown.
  void only_for(const std::string& key, const std::string& choice) { other_choices_[key] = choice; }

  // The first error met, or an error for a key that no get() asked for.
  Status finish() const;
  // Every key asked for with the value in force, as TOML that load() reads back.
  std::string resolved() const;
  const std::string& name() const { return name_; }

 private:
  int64_t get_int_in(const std::string& key, int64_t fallback, int64_t low, int64_t high);
  double get_double_in(const std::string& key, double fallback, double low, double high);
  const Value* find(const std::string& key);
  std::string where(const std::string& key) const;
  void note(const std::string& key, Value value);

  std::string name_;
  std::map<std::string, Value> values_;
  std::map<std::string, Value> resolved_;
  std::map<std::string, std::string> other_choices_;  // by key, or by table with its dot
  std::map<std::string, int64_t> table_counts_;
  Status error_;
};

// The candidate nearest to `word` by edit distance, if it is near enough to be meant.
std::optional<std::string> nearest_word(const std::string& word, std::span<const std::string> candidates);

}  // namespace bgl
