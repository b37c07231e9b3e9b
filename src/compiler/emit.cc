#include "compiler/emit.h"

#include <algorithm>

namespace bgl::compiler {
namespace {

ops::Operand operand_of(const Graph& graph, const Access& access) { return {graph.meta(access.root), access.layout}; }

const Access& access_of(const Graph& graph, Ref r) { return graph.access[static_cast<size_t>(r.node)][static_cast<size_t>(r.out)]; }

Emission emit_kernel_node(const Graph& graph, int index, const ops::Machine& machine) {
  const GraphNode& n = graph.nodes[static_cast<size_t>(index)];
  Emission e;
  e.name = n.op->name;
  std::vector<ops::Operand> ins, outs;
  for (const Ref& r : n.inputs) {
    const Access& a = access_of(graph, r);
    ins.push_back(operand_of(graph, a));
    e.inputs.push_back(a.root);
  }
  for (size_t o = 0; o < n.outs.size(); ++o) {
    const Ref self{index, static_cast<int>(o)};
    outs.push_back(operand_of(graph, access_of(graph, self)));
    e.outputs.push_back(self);
  }
  e.lowering = std::make_unique<ops::Lowering>(machine, std::move(ins), std::move(outs));
  n.op->lower(*e.lowering, *n.source);
  return e;
}

Emission emit_elementwise_group(const Graph& graph, const Group& group, const std::vector<bool>& wanted,
                                const ops::Machine& machine) {
  Emission e;
  std::vector<Access> inputs;
  std::vector<ops::Operand> ins, outs;
  std::vector<int> stored;
  for (const int i : group.nodes) {
    const GraphNode& n = graph.nodes[static_cast<size_t>(i)];
    e.name += (e.name.empty() ? "" : "+") + (n.op ? n.op->name : std::string("copy"));
    for (const Ref& r : n.inputs) {
      const Access& a = access_of(graph, r);
      const bool inside = std::binary_search(group.nodes.begin(), group.nodes.end(), r.node) && a.root == r;
      if (inside) continue;
      if (std::find(inputs.begin(), inputs.end(), a) != inputs.end()) continue;
      inputs.push_back(a);
      ins.push_back(operand_of(graph, a));
      e.inputs.push_back(a.root);
    }
    if (wanted[static_cast<size_t>(i)]) {
      stored.push_back(i);
      outs.push_back(operand_of(graph, access_of(graph, {i, 0})));
      e.outputs.push_back({i, 0});
    }
  }
  e.lowering = std::make_unique<ops::Lowering>(machine, std::move(ins), std::move(outs));
  emit_elementwise(graph, group, stored, std::move(inputs), *e.lowering);
  return e;
}

}  // namespace

std::vector<bool> wanted_nodes(const Graph& graph, const std::vector<Group>& groups) {
  std::vector<int> group_of(graph.nodes.size(), -1);
  for (size_t g = 0; g < groups.size(); ++g) {
    for (const int n : groups[g].nodes) group_of[static_cast<size_t>(n)] = static_cast<int>(g);
  }
  std::vector<bool> wanted(graph.nodes.size(), false);
  for (size_t g = 0; g < groups.size(); ++g) {
    for (const int n : groups[g].nodes) {
      for (const Ref& r : graph.nodes[static_cast<size_t>(n)].inputs) {
        const auto root = static_cast<size_t>(graph.access[static_cast<size_t>(r.node)][static_cast<size_t>(r.out)].root.node);
        if (group_of[root] != static_cast<int>(g)) wanted[root] = true;
      }
    }
  }
  for (const Ref& r : graph.outputs) wanted[static_cast<size_t>(r.node)] = true;
  return wanted;
}

Emission emit_group(const Graph& graph, const Group& group, const std::vector<bool>& wanted, const ops::Machine& machine) {
  if (group.elementwise) return emit_elementwise_group(graph, group, wanted, machine);
  return emit_kernel_node(graph, group.nodes[0], machine);
}

}  // namespace bgl::compiler
