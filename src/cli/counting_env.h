// The real Env, counting what reaches the device: bytes written per kind of file, and reads of segments, which go past the page
// cache (O_DIRECT) where the file system allows it.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/env.h"

namespace bgl::cli {

struct IoCounts {
  std::atomic<int64_t> log_bytes = 0;
  std::atomic<int64_t> segment_bytes = 0;  // of segments and their names
  std::atomic<int64_t> manifest_bytes = 0;
  std::atomic<int64_t> segment_reads = 0;
  std::atomic<bool> direct_reads = false;
};

// `counts` must outlive the Env and its files.
std::unique_ptr<Env> make_counting_env(IoCounts& counts);

}  // namespace bgl::cli
