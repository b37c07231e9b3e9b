#include "base/process_memory.h"

#include <cstdlib>

#include "base/env.h"

namespace bgl {

ProcessMemory process_memory() {
  const auto status = real_env().read_file("/proc/self/status");
  if (!status.ok()) return {};
  const auto bytes_of = [&](const std::string& key) {
    const size_t at = status->find(key);
    return at == std::string::npos ? int64_t{0} : 1024 * std::atoll(status->c_str() + at + key.size());
  };
  return {bytes_of("RssAnon:"), bytes_of("VmHWM:") - bytes_of("RssFile:")};
}

}  // namespace bgl
