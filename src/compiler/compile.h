// The AI compiler: from pending graph nodes to numbers. Read compile.cc first: it names every stage in order.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compiler/executable.h"
#include "compiler/graph.h"

namespace bgl::compiler {

struct Options {
  bool fuse = true;      // false: one kernel a node
  bool explain = false;  // fills Executable::explanation
};

// Turns a graph into an executable. Errors: an operator that cannot be lowered, a kernel that does not compile.
Result<std::shared_ptr<const Executable>> compile(Graph graph, const Options& options);

// BGL_EAGER=1 in the environment: one kernel a node, and tensors run each operator at its call (framework/tensor.h).
bool eager();

// Computes `values` and everything they wait for; afterwards their nodes hold buffers. Executables are cached by structure for the
// whole process. Thread-safe; one graph runs at a time.
Status evaluate(const std::vector<ops::Value>& values);

// Does what evaluate(values) does before it runs: plans memory and compiles the kernels, for evaluate() to find. Nothing is computed.
// Returns where the bytes will be; zeros when nothing waits.
Result<MemoryReport> prepare(const std::vector<ops::Value>& values);

// Runs what `values` wait for operator by operator and describes the first one whose result holds a NaN or an infinity ("exp at
// h.3/attention made inf at element 17"); empty when there is none. For finding out why a run went wrong: slow, keeps everything.
std::string first_non_finite(const std::vector<ops::Value>& values);

struct Counters {
  int64_t graphs_run = 0;
  int64_t graphs_compiled = 0;
  double compile_seconds = 0;
};
Counters counters();
// The executable that ran last in this process: for reports and `bgl explain`.
std::shared_ptr<const Executable> last_executable();
// While set, run() reports every step to it, and what runs has an explanation: what was compiled without one is compiled again.
void set_step_listener(StepListener listener);

}  // namespace bgl::compiler
