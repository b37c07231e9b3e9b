// Where every value of the graph lives: leaves and outputs have memory of their own, the rest shares one arena by lifetimes.
#pragma once

#include <map>
#include <vector>

#include "compiler/executable.h"
#include "compiler/passes.h"

namespace bgl::compiler {

// A stretch of the arena while groups begin <= g < end run.
struct ArenaValue {
  int64_t begin = 0, end = 0;
  int64_t bytes = 0;  // aligned
  int64_t offset = 0;
  Ref ref;  // the root value; no node: scratch memory of group `begin`
};

// One use of the arena or of outside memory by the lowered groups.
struct Values {
  std::map<Ref, Place> places;  // of every root value
  std::vector<std::vector<Place>> temps;  // of every group
  std::vector<ArenaValue> arena;
};

// The lowered groups, in order.
struct Lowered {
  Group group;
  std::vector<Ref> inputs;    // root values read
  std::vector<Ref> outputs;   // root values written
  std::vector<int64_t> temp_bytes;
  std::vector<std::pair<int, int>> in_place;  // (position in outputs, position in inputs) that may share memory
};

// Fills executable.outputs and executable.memory too.
Values plan_places(const Graph& graph, const std::vector<Lowered>& lowered, Executable& executable);

}  // namespace bgl::compiler
