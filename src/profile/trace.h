// RUN/trace.json: the measured steps in Chrome's trace format, which Perfetto (ui.perfetto.dev) and chrome://tracing open.
//   one thread of the steps, and one a graph: its runs with their launches nested in them, each with shapes, modules, cost and
//   floor a counter "arena": the bytes alive in it, in force from a launch's start
// Times in microseconds from the first measured step. Ref: "Trace Event Format", Google, 2016.
#pragma once

#include <string>

#include "profile/profile.h"

namespace bgl::profile {

std::string to_trace(const Profile& profile);

}  // namespace bgl::profile
