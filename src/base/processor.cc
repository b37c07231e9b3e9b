#include "base/processor.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace bgl {
namespace {

std::string name_of_processor() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

}  // namespace

const Processor& processor() {
  static const Processor found{name_of_processor(), std::max<int64_t>(0, sysconf(_SC_LEVEL2_CACHE_SIZE)),
                               std::max<int64_t>(0, sysconf(_SC_LEVEL3_CACHE_SIZE))};
  return found;
}

}  // namespace bgl
