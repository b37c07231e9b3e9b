#include <map>
#include <string>

#include "compiler/passes.h"

namespace bgl::compiler {

void eliminate_common(Graph& graph) {
  std::map<std::string, int> first;
  std::vector<int> replacement(graph.nodes.size());
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    GraphNode& n = graph.nodes[i];
    replacement[i] = static_cast<int>(i);
    for (Ref& r : n.inputs) r.node = replacement[static_cast<size_t>(r.node)];
    if (n.leaf >= 0) continue;
    std::string key = n.op->name;
    for (const Ref& r : n.inputs) key += " " + std::to_string(r.node) + "." + std::to_string(r.out);
    key += "|";
    for (const int64_t v : n.source->attrs.ints) key += std::to_string(v) + ",";
    key += "|";
    for (const double v : n.source->attrs.numbers) key.append(reinterpret_cast<const char*>(&v), sizeof v);
    // Two scalars with one number today may differ tomorrow: they are arguments, so only the very same node is the same.
    if (n.scalar >= 0) key += "|scalar" + std::to_string(n.scalar);
    for (const ops::TensorMeta& m : n.outs) key += "|" + std::to_string(static_cast<int>(m.dtype)) + ops::shape_text(m.shape);
    const auto [it, fresh] = first.emplace(std::move(key), static_cast<int>(i));
    if (!fresh) {
      replacement[i] = it->second;
      n.dead = true;
    }
  }
  for (Ref& r : graph.outputs) r.node = replacement[static_cast<size_t>(r.node)];
}

}  // namespace bgl::compiler
