// What every pass may rely on and must leave behind. A broken rule is a mistake of the compiler, found where it was made rather
// than as wrong numbers: run_pass (pipeline.h) checks after every pass in debug builds and where BGL_VERIFY=1.
#pragma once

#include <span>

#include "compiler/passes.h"

namespace bgl::compiler {

// The rules of a graph:
//   - a node is a leaf, a run-time number, an operator with its source, or a copy, and only one of these;
//   - it reads values of as many dims as its source does, for its attributes name dims;
//   - it reads living nodes that stand before it, and outputs they have; graph outputs are such too;
//   - what computes is needed by a graph output;
//   - its results have the types and shapes that its operator's shape rule gives; a copy's are its operand's;
//   - a leaf's types are those of its values; a leaf that is an output is not donated;
//   - once the view pass has filled `access`: every value lies in a root that stands before it or is itself, within its
//     bytes, and only views lie elsewhere; graph outputs are roots.
// Errors (kInternal) name the node, the rule and both sides: "%3 = matmul: reads %7, which does not stand before it".
Status verify(const Graph& graph);

// The rules of groups: every node that computes is in exactly one; members ascend; a group of several is elementwise and of one
// shape; what a group reads was made by an earlier one, or within it without a view in between.
Status verify(const Graph& graph, std::span<const Group> groups);

}  // namespace bgl::compiler
