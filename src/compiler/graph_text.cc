#include "compiler/graph_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace bgl::compiler {
namespace {

std::string ref_text(Ref r) { return r.out ? fmt::format("%{}.{}", r.node, r.out) : fmt::format("%{}", r.node); }

std::string call_text(const Graph& graph, const GraphNode& n) {
  if (n.leaf >= 0) return fmt::format("leaf {}{}", n.leaf, graph.donated[static_cast<size_t>(n.leaf)] ? " donated" : "");
  if (n.scalar >= 0) return fmt::format("scalar {}", n.scalar);
  std::string operands;
  for (const Ref& r : n.inputs) operands += (operands.empty() ? "" : ", ") + ref_text(r);
  if (n.source) {
    const ops::Attrs& a = n.source->attrs;
    if (!a.ints.empty() || !a.numbers.empty()) operands += "; ";
    operands += fmt::format("{}", fmt::join(a.ints, ", "));
    if (!a.ints.empty() && !a.numbers.empty()) operands += ", ";
    operands += fmt::format("{}", fmt::join(a.numbers, ", "));
  }
  return fmt::format("{}({})", n.op ? n.op->name : "copy", operands);
}

std::string view_text(const Graph& graph, Ref self) {
  if (graph.access.empty()) return {};
  const Access& a = graph.access[static_cast<size_t>(self.node)][static_cast<size_t>(self.out)];
  if (a.root == self) return {};
  return fmt::format(" = view of {}, strides {}, offset {}", ref_text(a.root), ops::shape_text(a.layout.strides),
                     a.layout.offset);
}

}  // namespace

std::string graph_text(const Graph& graph, std::span<const Group> groups) {
  std::vector<std::string> notes(graph.nodes.size());
  for (size_t g = 0; g < groups.size(); ++g) {
    for (const int n : groups[g].nodes) notes[static_cast<size_t>(n)] = fmt::format("group {}", g);
  }
  std::string text;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const GraphNode& n = graph.nodes[i];
    if (n.dead) continue;
    std::string outs;
    for (size_t o = 0; o < n.outs.size(); ++o) {
      outs += fmt::format("{}{}{}", o ? ", " : "", ops::dtype_name(n.outs[o].dtype), ops::shape_text(n.outs[o].shape));
      outs += view_text(graph, {static_cast<int>(i), static_cast<int>(o)});
    }
    std::string note = notes[i];
    if (n.source && !n.source->where.empty()) note += (note.empty() ? "" : ", ") + n.source->where;
    text += fmt::format("%{} = {} : {}{}{}\n", i, call_text(graph, n), outs, note.empty() ? "" : "  # ", note);
  }
  text += "return ";
  for (size_t i = 0; i < graph.outputs.size(); ++i) text += (i ? ", " : "") + ref_text(graph.outputs[i]);
  return text + "\n";
}

}  // namespace bgl::compiler
