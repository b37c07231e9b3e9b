// manifest.json: checksums beside files whose formats have none.
//
//   {"check":"<XXH3-128 of the file's other text: the same object without this key, as written>",
//    "files":{"a/b":{"bytes":12,"xxh3_128":"<32 hex digits>"},...},"format":"bgl files","version":1}
//
// Every file below the folder is in it, but itself; what is added later is told as well as what is gone or changed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/env.h"
#include "base/status.h"

namespace bgl::storage {

inline constexpr const char* kSidecarName = "manifest.json";

struct SidecarReport {
  int64_t files = 0;
  int64_t bytes = 0;
};
using SidecarProgress = std::function<void(int64_t done_bytes, int64_t total_bytes)>;

// Replaces the manifest of `dir`. kInvalidArgument for a file whose name is not UTF-8, which JSON cannot hold.
Result<SidecarReport> write_sidecar(Env& env, const std::string& dir, const SidecarProgress& progress = {});
// kDataLoss names the first file that is changed, gone, or not in the manifest.
Result<SidecarReport> verify_sidecar(Env& env, const std::string& dir, const SidecarProgress& progress = {});

}  // namespace bgl::storage
