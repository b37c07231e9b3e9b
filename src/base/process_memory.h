// What this process holds of the machine's memory, and how much more it may take, as the kernel counts it.
#pragma once

#include <cstdint>
#include <string>

#include "base/env.h"

namespace bgl {

struct ProcessMemory {
  int64_t anonymous_bytes = 0;          // now, of no file: RssAnon
  int64_t anonymous_bytes_at_most = 0;  // the most at once, and some pages of files: VmHWM less RssFile
};
// Zeros where there is no /proc/self/status.
ProcessMemory process_memory();

// The least of MemAvailable; what the control groups of this process, version 1 or 2, leave it (their caches of files count as free);
// and BGL_MEMORY_BYTES, the most that it is to hold, less what it holds.
struct AvailableMemory {
  int64_t bytes = 0;
  std::string says;  // which of them: "MemAvailable", "the control group's limit", "BGL_MEMORY_BYTES"
};
// INT64_MAX bytes where nothing is known. `env` has /proc and /sys; `root` stands before their paths.
AvailableMemory available_memory(Env& env = real_env(), const std::string& root = "");

}  // namespace bgl
