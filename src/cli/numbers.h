// What an option's number may be. CLI11's own checks let NaN pass and tell ranges of 300 digits.
#pragma once

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdlib>
#include <string>

namespace bgl::cli {

// Refuses all but a finite number that `good` takes; `what` says which, behind "is not a number".
template <typename Good>
CLI::Validator number(const std::string& name, const std::string& what, const Good& good) {
  return {[what, good](std::string& given) {
            char* end = nullptr;
            const double value = std::strtod(given.c_str(), &end);
            const bool whole = !given.empty() && *end == '\0';
            return whole && std::isfinite(value) && good(value) ? std::string() : given + " is not a number " + what;
          },
          name};
}

inline CLI::Validator positive() {
  return number("ABOVE 0", "above 0", [](double v) { return v > 0; });
}
inline CLI::Validator not_negative() {
  return number("0 OR MORE", "of 0 or more", [](double v) { return v >= 0; });
}
// `low` and `high` are whole, and allowed themselves.
inline CLI::Validator from_to(int low, int high) {
  const std::string to = " to " + std::to_string(high);
  return number(std::to_string(low) + to, "from " + std::to_string(low) + to, [low, high](double v) { return v >= low && v <= high; });
}

}  // namespace bgl::cli
