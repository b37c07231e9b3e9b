// What this process holds of the machine's memory, as the kernel counts it.
#pragma once

#include <cstdint>

namespace bgl {

struct ProcessMemory {
  int64_t anonymous_bytes = 0;          // now, of no file: RssAnon
  int64_t anonymous_bytes_at_most = 0;  // the most at once, and some pages of files: VmHWM less RssFile
};
// Zeros where there is no /proc/self/status.
ProcessMemory process_memory();

}  // namespace bgl
