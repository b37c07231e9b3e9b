// Where the time of a measured step went. A kernel here is an operator, or elementwise operators fused into one, with its
// shapes: all its launches together, those that pack its operands too. Its floor is the time in which this machine could have
// done it, max(flops / peak, bytes / bandwidth), with bytes that must go through memory at least once. A share of the floor
// above 100 % means that the bytes came from a cache. Ref: Williams, Waterman, Patterson, Roofline, CACM 52(4), 2009.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "profile/profile.h"

namespace bgl::profile {

// All numbers are of one step, the mean over the measured ones.
struct KernelRow {
  std::string name, shapes;
  std::vector<std::string> ops;      // the fused operators with their modules: "tanh at h.*/mlp"; layers' numbers become *
  std::vector<std::string> modules;  // of all of them, each once
  std::vector<std::pair<std::string, double>> launches;  // tile kernels with their seconds, most first
  double count = 0;                                      // times it ran
  double seconds = 0, flops = 0, bytes = 0;
  double floor_seconds = 0;
  bool bound_by_flops = false;  // else by bytes
};

struct Analysis {
  std::vector<KernelRow> kernels;  // most time first
  double step_seconds = 0;
  double kernel_seconds = 0;   // sum over `kernels`
  double between_seconds = 0;  // from a graph's first launch to its last, outside launches
  double outside_seconds = 0;  // the rest: building graphs, finding their executables, allocating, drawing the next batch
  double floor_seconds = 0;    // the step's own roofline: sum over `kernels`
  double flops = 0, bytes = 0;
};

Analysis analyse(const Profile& profile);

// "h.3/attention" -> "h.*/attention".
std::string without_numbers(const std::string& where);

}  // namespace bgl::profile
