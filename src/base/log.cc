#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <string_view>

namespace bgl {
namespace {

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = spdlog::stderr_color_mt("bgl");
    made->set_pattern("bgl: %^%l%$: %v");
    spdlog::level::level_enum level = spdlog::level::warn;
    if (const char* text = std::getenv("BGL_LOG")) level = spdlog::level::from_str(text);
    made->set_level(level);
    return made;
  }();
  return *instance;
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarn: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

void log_message(LogLevel level, const std::string& message) { logger().log(spdlog_level(level), "{}", message); }
bool log_enabled(LogLevel level) { return logger().should_log(spdlog_level(level)); }

}  // namespace bgl
