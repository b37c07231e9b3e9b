// What the processor is called and how large its caches are: for people, and for keeping apart what was measured on different ones.
#pragma once

#include <cstdint>
#include <string>

namespace bgl {

struct Processor {
  std::string name = "unknown";
  int64_t second_cache = 0, last_cache = 0;  // bytes; 0: unknown
};
const Processor& processor();

}  // namespace bgl
