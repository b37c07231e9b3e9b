// Random graphs over the operators, for tests: a recipe is drawn from a seed, builds the same graph as often as one likes, and
// can be made smaller while it still fails.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ops/node.h"

namespace bgl::compiler {

// Applies operator `kind` (a row of the table in random_graph.cc) to earlier values. Where the operator refuses its operands
// the step stands for its first operand, so that any sublist of the steps is a recipe too.
struct GraphStep {
  int kind = 0;
  std::vector<int> operands;     // leaves first, then steps
  std::vector<int64_t> numbers;  // dims, starts, sizes, as the operator takes them
};

struct RandomGraph {
  uint64_t seed = 0;
  std::vector<ops::TensorMeta> leaves;  // float32, int64 and bool; sizes 0, 1 and primes
  std::vector<GraphStep> steps;
  bool gradients = false;  // the sum of the results is differentiated with respect to the leaves
};

RandomGraph random_graph(uint64_t seed);

// The last values of the recipe, and the gradients where asked for. Leaves hold the same numbers each time. `made` sees each
// value as it is made.
std::vector<ops::Value> build(const RandomGraph& graph, const std::function<void(const ops::Value&)>& made = {});

// Drops steps as long as `fails` says yes.
RandomGraph shrink(RandomGraph graph, const std::function<bool(const RandomGraph&)>& fails);

// One line a leaf and a step.
std::string to_text(const RandomGraph& graph);

// Whether every result depends continuously on the leaves: only then do float32 and double agree within a tolerance.
bool continuous(const RandomGraph& graph);

}  // namespace bgl::compiler
