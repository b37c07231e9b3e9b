// What a compiled graph is made of, told for people and profiles: which operators became which launches, what each costs at
// least, and how long every value of the arena lives. Made only where Options::explain asks for it; a run does not need it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/executable.h"

namespace bgl::compiler {

struct ExplainedOp {
  std::string name;   // of the operator
  std::string where;  // the module that applied it: "backward/h.3/attention"
  bool operator==(const ExplainedOp&) const = default;
};

// One operator, or elementwise operators fused into one kernel.
struct ExplainedGroup {
  std::string name;    // "matmul", "add+mul+tanh"
  std::string shapes;  // of operands and results: "[64, 128] x [128, 384] -> [64, 384]"
  std::vector<ExplainedOp> ops;
  double flops = 0;
  double bytes = 0;  // that must be read and written at least once: of a fused group what enters and leaves it
  bool operator==(const ExplainedGroup&) const = default;
};

struct ExplainedLaunch {
  int64_t group = 0;
  std::string kernel;  // its name, or "host"
  bool operator==(const ExplainedLaunch&) const = default;
};

// Something that has room in the arena while groups begin <= g < end run.
struct ExplainedValue {
  int64_t begin = 0, end = 0;
  int64_t offset = 0;
  int64_t bytes = 0;  // aligned as the plan does
  std::string what;   // "matmul float32[64, 384]", "scratch of matmul"
  std::string where;  // the module that made it
  bool operator==(const ExplainedValue&) const = default;
};

struct Explanation {
  MemoryReport memory;
  std::vector<ExplainedGroup> groups;
  std::vector<ExplainedLaunch> launches;  // one a step of the executable
  std::vector<ExplainedValue> values;
};

// The bytes of the arena that hold something while each group runs; the most of them is the plan's lower bound.
std::vector<int64_t> bytes_alive(const Explanation& explanation);

}  // namespace bgl::compiler
