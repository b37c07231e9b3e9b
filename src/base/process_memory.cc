#include "base/process_memory.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>

namespace bgl {
namespace {

// The number after `key`, which begins a line.
std::optional<int64_t> number_after(const std::string& text, const std::string& key) {
  const size_t at = text.rfind(key, 0) == 0 ? 0 : text.find("\n" + key);
  if (at == std::string::npos) return {};
  return std::atoll(text.c_str() + at + (at > 0 ? 1 : 0) + key.size());
}

std::optional<int64_t> number_in(Env& env, const std::string& path) {
  const auto text = env.read_file(path);
  if (!text.ok() || text->empty() || text->find_first_not_of("0123456789\n") != std::string::npos) return {};  // "max"
  return std::atoll(text->c_str());
}

struct GroupFiles {
  const char *limit, *used, *cache;  // the last is a key of memory.stat
};

// What is left in one group, if it has a limit.
std::optional<int64_t> left_in_group(Env& env, const std::string& dir, const GroupFiles& files) {
  const auto limit = number_in(env, join_path(dir, files.limit)), used = number_in(env, join_path(dir, files.used));
  if (!limit || !used) return {};
  const auto stat = env.read_file(join_path(dir, "memory.stat"));
  return std::max<int64_t>(0, *limit - *used + (stat.ok() ? number_after(*stat, files.cache).value_or(0) : 0));
}

// The least that any group above this process leaves. A line of /proc/self/cgroup is "number:controllers:/path"; in a container the
// path may not be seen, and the mounted root is the group itself.
int64_t left_in_groups(Env& env, const std::string& root) {
  int64_t least = std::numeric_limits<int64_t>::max();
  const auto groups = env.read_file(root + "/proc/self/cgroup");
  if (!groups.ok()) return least;
  for (size_t at = 0; at < groups->size();) {
    const size_t end = std::min(groups->find('\n', at), groups->size());
    const std::string line = groups->substr(at, end - at);
    at = end + 1;
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool unified = controllers == ",,";
    if (!unified && controllers.find(",memory,") == std::string::npos) continue;
    const std::string mount = root + (unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory");
    const GroupFiles files = unified ? GroupFiles{"memory.max", "memory.current", "inactive_file "}
                                     : GroupFiles{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "};
    for (std::string path = line.substr(second + 1);; path = path.substr(0, path.rfind('/'))) {
      least = std::min(least, left_in_group(env, mount + path, files).value_or(least));
      if (path.empty() || path == "/") break;
    }
  }
  return least;
}

// BGL_MEMORY_BYTES; a text that is no number bounds nothing, and a line says so.
std::optional<int64_t> own_limit() {
  const char* text = std::getenv("BGL_MEMORY_BYTES");
  if (!text || !*text) return {};
  int64_t bytes = 0;
  const char* end = text + std::strlen(text);
  if (const auto [at, error] = std::from_chars(text, end, bytes); at == end && error == std::errc() && bytes >= 0) return bytes;
  std::fprintf(stderr, "bgl: BGL_MEMORY_BYTES=%s is not a number of bytes, as 8000000000 is: no limit is set by it\n", text);
  return {};
}

}  // namespace

ProcessMemory process_memory() {
  const auto status = real_env().read_file("/proc/self/status");
  if (!status.ok()) return {};
  const auto bytes_of = [&](const char* key) { return 1024 * number_after(*status, key).value_or(0); };
  return {bytes_of("RssAnon:"), bytes_of("VmHWM:") - bytes_of("RssFile:")};
}

AvailableMemory available_memory(Env& env, const std::string& root) {
  AvailableMemory out{std::numeric_limits<int64_t>::max(), "nothing"};
  const auto at_most = [&](int64_t bytes, const char* says) {
    if (bytes < out.bytes) out = {bytes, says};
  };
  const auto machine = env.read_file(root + "/proc/meminfo");
  if (const auto kb = machine.ok() ? number_after(*machine, "MemAvailable:") : std::nullopt) at_most(1024 * *kb, "MemAvailable");
  at_most(left_in_groups(env, root), "the control group's limit");
  if (const auto own = own_limit()) at_most(std::max<int64_t>(0, *own - process_memory().anonymous_bytes), "BGL_MEMORY_BYTES");
  return out;
}

}  // namespace bgl
