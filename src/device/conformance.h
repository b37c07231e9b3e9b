// The conformance suite: what a plugin has to do right before anything above it can work. `bgl device check` prints its
// scorecard.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "device/device.h"

namespace bgl::device {

struct CheckResult {
  enum class Outcome : unsigned char { kPassed, kFailed, kSkipped };
  std::string name;
  Outcome outcome = Outcome::kPassed;
  std::string detail;  // why it failed or was skipped
};

// Opens the plugin (a path or a name) and runs every check, each on handles of its own. Fails only when it does not open.
// Kernels are written in tile text; `services.lower` turns them into the dialects that the plugin lists.
Result<std::vector<CheckResult>> check_device(const std::string& plugin, const LanguageServices& services);

}  // namespace bgl::device
