#include "compiler/passes.h"

namespace bgl::compiler {
namespace {

ops::Layout row_major(const ops::Shape& shape) { return {shape, ops::contiguous_strides(shape), 0}; }

// Puts a copy of `from` at the end of `nodes` and returns it.
Ref add_copy(Graph& graph, std::vector<GraphNode>& nodes, std::vector<std::vector<Access>>& access, Ref from) {
  (void)graph;
  GraphNode copy;
  copy.inputs = {from};
  copy.outs = {nodes[static_cast<size_t>(from.node)].outs[static_cast<size_t>(from.out)]};
  const Ref ref{static_cast<int>(nodes.size()), 0};
  access.push_back({{ref, row_major(copy.outs[0].shape)}});
  nodes.push_back(std::move(copy));
  return ref;
}

}  // namespace

void resolve_views(Graph& graph) {
  // Nodes are renumbered as copies come in between.
  std::vector<GraphNode> nodes;
  std::vector<std::vector<Access>> access;
  std::vector<int> renumbered(graph.nodes.size(), -1);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    GraphNode n = std::move(graph.nodes[i]);
    if (n.dead) continue;
    for (Ref& r : n.inputs) r.node = renumbered[static_cast<size_t>(r.node)];
    std::vector<Access> mine;
    if (n.leaf < 0 && n.op->op_class == ops::OpClass::kView) {
      const Ref in = n.inputs[0];
      Access a = access[static_cast<size_t>(in.node)][static_cast<size_t>(in.out)];
      ops::Layout out;
      if (!n.op->view(a.layout, *n.source, out)) {
        a.root = add_copy(graph, nodes, access, in);
        const bool fits = n.op->view(row_major(nodes.back().outs[0].shape), *n.source, out);
        BGL_CHECK(fits, "view {} of a row-major tensor", n.op->name);
      }
      mine.push_back({a.root, std::move(out)});
    }
    const Ref self{static_cast<int>(nodes.size()), 0};
    if (mine.empty()) {
      for (size_t o = 0; o < n.outs.size(); ++o) mine.push_back({{self.node, static_cast<int>(o)}, row_major(n.outs[o].shape)});
    }
    renumbered[i] = self.node;
    nodes.push_back(std::move(n));
    access.push_back(std::move(mine));
  }
  for (Ref& r : graph.outputs) {
    r.node = renumbered[static_cast<size_t>(r.node)];
    const Access& a = access[static_cast<size_t>(r.node)][static_cast<size_t>(r.out)];
    const bool is_root = a.root == r;
    if (!is_root) r = add_copy(graph, nodes, access, r);
  }
  graph.nodes = std::move(nodes);
  graph.access = std::move(access);
}

}  // namespace bgl::compiler
