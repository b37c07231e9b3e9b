// The passes of the compiler, in the order compile.cc runs them. Each takes a valid graph and leaves a valid graph.
#pragma once

#include <vector>

#include "compiler/graph.h"

namespace bgl::compiler {

// Merges nodes that compute the same thing from the same inputs: y * y twice becomes one. Random and leaf nodes stay apart.
void eliminate_common(Graph& graph);

// A product of which only the transpose is looked at becomes the product of its transposed operands, so that no copy or strided
// reading follows. Its bits stay.
void transpose_products(Graph& graph);

// Fills Graph::access: views become layouts of their roots. Where a layout cannot be expressed, or an output is a view, a copy
// node is put in.
void resolve_views(Graph& graph);

// What runs as one kernel: one node, or elementwise nodes of one shape. Groups come in an order in which every input is ready.
struct Group {
  std::vector<int> nodes;  // ascending
  bool elementwise = false;
};
// A group never both feeds and waits for another group. `fuse` false keeps every node apart.
std::vector<Group> form_groups(const Graph& graph, bool fuse);

}  // namespace bgl::compiler
