// A compiled graph: a flat list of launches over leaves, outputs and offsets into one arena. It holds no tensor and may be run
// again with other leaves of the same shapes.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "ops/buffer.h"
#include "ops/lowering.h"

namespace bgl::lang {
class Choice;
class Kernel;
class LaterKernel;
}

namespace bgl::compiler {

// Where a piece of memory is found when the graph runs.
struct Place {
  enum class Kind : uint8_t { kLeaf, kOutput, kArena, kScalar } kind = Kind::kArena;
  int index = 0;       // of the leaf, output or scalar
  int64_t offset = 0;  // bytes
};

struct StepSlot {
  ops::Slot::Kind kind = ops::Slot::Kind::kI64;
  Place place;
  int64_t i64 = 0;
  float f32 = 0;
};

struct StepChoice;

struct Step {
  std::shared_ptr<const lang::Function> function;
  const lang::Kernel* kernel = nullptr;  // owned by the process's kernel cache; null: host code, or a kernel for later
  lang::LaterKernel* later = nullptr;    // of a step that may stand in for another
  std::array<int64_t, 3> grid{1, 1, 1};
  std::vector<StepSlot> slots;  // of the kernel; for host code one pointer an operand
  std::function<Status(const ops::HostCall&)> host;
  std::string name;   // "matmul", "add+mul+tanh"
  std::string where;  // the label of the (first) node
  std::shared_ptr<const StepChoice> choice;  // of the first of some steps that others may stand in for
};

// As ops::LaunchChoice.
struct StepChoice {
  lang::Choice* choice = nullptr;
  double work = 1;
  size_t count = 1;
  std::vector<std::vector<Step>> others;
};

struct MemoryReport {
  int64_t arena_bytes = 0;        // the plan's peak
  int64_t lower_bound_bytes = 0;  // most bytes alive at once
  int64_t output_bytes = 0;       // results that outlive the run and are not written into donated leaves
  int64_t leaf_bytes = 0;
};

struct Explanation;  // explanation.h

struct Executable {
  std::vector<Step> steps;
  size_t leaves = 0;
  size_t scalars = 0;
  // Per output: its size, and the leaf whose memory it takes (-1: fresh memory) or the leaf or output it simply is.
  struct Output {
    int64_t bytes = 0;
    int takes_leaf = -1;
    int is_leaf = -1;
    int same_as = -1;
    int scalar = -1;  // a run-time number that is a result itself
  };
  std::vector<Output> outputs;
  MemoryReport memory;
  std::shared_ptr<const Explanation> explanation;  // null unless it was asked for
};

// A step that has run; times in seconds of the clock that never goes back (Env::now_ns). Where others stood in for steps, the last of
// the steps counts for the last of the others, and so backwards; what is left over counts for the first.
struct StepEvent {
  const Executable& executable;
  size_t step = 0;
  double start = 0, seconds = 0;
};
// Called after each step, for profiles. Null: nobody listens, and no clock is read.
using StepListener = std::function<void(const StepEvent&)>;

// Runs every step in order. Returns one buffer an output. A failing step's Status names the operator and its label.
Result<std::vector<std::shared_ptr<ops::Buffer>>> run(const Executable& executable,
                                                     std::span<const std::shared_ptr<ops::Buffer>> leaves,
                                                     std::span<const double> scalars, std::span<const uint8_t> scalar_types,
                                                     const StepListener& listener = nullptr);

}  // namespace bgl::compiler
