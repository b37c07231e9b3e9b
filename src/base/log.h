// What the program tells its operator: one line on stderr each, with level; BGL_LOG=debug|info|warn|error chooses the least
// level shown (warn unless told). Results go to stdout, never here.
#pragma once

#include <fmt/core.h>

#include <string>
#include <utility>

namespace bgl {

enum class LogLevel : unsigned char { kDebug, kInfo, kWarn, kError };
void log_message(LogLevel level, const std::string& message);
bool log_enabled(LogLevel level);

template <typename... A>
void log_debug(fmt::format_string<A...> f, A&&... a) {
  if (log_enabled(LogLevel::kDebug)) log_message(LogLevel::kDebug, fmt::format(f, std::forward<A>(a)...));
}
template <typename... A>
void log_info(fmt::format_string<A...> f, A&&... a) {
  if (log_enabled(LogLevel::kInfo)) log_message(LogLevel::kInfo, fmt::format(f, std::forward<A>(a)...));
}
template <typename... A>
void log_warn(fmt::format_string<A...> f, A&&... a) {
  if (log_enabled(LogLevel::kWarn)) log_message(LogLevel::kWarn, fmt::format(f, std::forward<A>(a)...));
}
template <typename... A>
void log_error(fmt::format_string<A...> f, A&&... a) {
  log_message(LogLevel::kError, fmt::format(f, std::forward<A>(a)...));
}

}  // namespace bgl
