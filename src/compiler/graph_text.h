// The text form of a graph, for people who look for a fault: one line a node, in order.
//
//   %0 = leaf 0 donated : float32[2, 3]
//   %1 = scalar 0 : float32[]
//   %2 = expand(%1; 2, 3) : float32[2, 3] = view of %1, strides [0, 0], offset 0
//   %3 = mul(%0, %2) : float32[2, 3]  # group 0, h.0/mlp
//   %4 = permute(%3; 1, 0) : float32[3, 2] = view of %3, strides [1, 3], offset 0
//   %5 = copy(%4) : float32[3, 2]  # group 1
//   return %5
//
// After ";" stand the attributes. ".1" behind a node is its second output. Dead nodes are left out.
#pragma once

#include <span>
#include <string>

#include "compiler/passes.h"

namespace bgl::compiler {

// `groups` may be empty: then no node says which it belongs to.
std::string graph_text(const Graph& graph, std::span<const Group> groups = {});

}  // namespace bgl::compiler
