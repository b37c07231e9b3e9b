// The compiler's own picture of what is to be computed: the pending nodes between computed leaves and the wanted outputs, copied
// into an array in program order. Passes rewrite this copy; the nodes themselves never change.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ops/node.h"
#include "ops/op_def.h"

namespace bgl::compiler {

// Output `out` of node `node` of a Graph.
struct Ref {
  int node = -1;
  int out = 0;
  auto operator<=>(const Ref&) const = default;
};

struct GraphNode {
  const ops::OpDef* op = nullptr;            // null: a copy into row-major memory, made by the view pass
  std::shared_ptr<const ops::Node> source;   // attributes; null for such a copy
  std::vector<Ref> inputs;
  std::vector<ops::TensorMeta> outs;
  int leaf = -1;    // index into Graph::leaves
  int scalar = -1;  // index into Graph::scalars
  bool dead = false;
};

// Where the bytes of a value lie: a root (no view) and how to look at it.
struct Access {
  Ref root;
  ops::Layout layout;
  bool operator==(const Access&) const = default;
};

struct Graph {
  std::vector<GraphNode> nodes;  // inputs before users
  std::vector<Ref> outputs;
  std::vector<ops::Value> leaves;                         // computed values read by the graph
  std::vector<std::shared_ptr<const ops::Node>> scalars;  // run-time numbers
  std::vector<bool> donated;                              // per leaf: its memory may be overwritten

  // Filled by the view pass: for every output of every node.
  std::vector<std::vector<Access>> access;

  const ops::TensorMeta& meta(Ref r) const {
    return nodes[static_cast<size_t>(r.node)].outs[static_cast<size_t>(r.out)];
  }
};

// Inputs before users.
using Order = std::vector<std::shared_ptr<ops::Node>>;

// The nodes behind `outputs`, down to computed ones.
Order reachable(const std::vector<ops::Value>& outputs);

// What is to be computed before it is copied: all that a run needs once its executable is there.
struct Pending {
  Order order;
  std::vector<ops::Value> outputs;
  // Per output of the computed nodes, in order: nobody outside of these nodes can read it any more.
  std::vector<bool> donated;
};
Pending pending_behind(std::vector<ops::Value> outputs);

// A string of bytes that two of them share exactly when one executable serves both: operators, attributes, wiring, shapes, types and
// donated leaves; not the numbers of scalar nodes and not the bytes of leaves.
std::string structure(const Pending& pending);

Graph capture(const Pending& pending);

}  // namespace bgl::compiler
