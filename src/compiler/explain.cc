#include "compiler/explain.h"

#include <algorithm>

#include "lang/ir.h"

namespace bgl::compiler {
namespace {

// float32 goes without saying.
std::string operand_text(const ops::TensorMeta& meta, const ops::Shape& shape) {
  return (meta.dtype == ops::DType::kF32 ? "" : ops::dtype_name(meta.dtype)) + ops::shape_text(shape);
}

std::string shapes_of(const Lowered& l, const Emission& e) {
  std::string text;
  const auto& operands = e.lowering->operands();
  const size_t named = e.inputs.size() + e.outputs.size();
  for (size_t i = 0; i < named; ++i) {
    const bool result = i >= e.inputs.size();
    if (!result && l.group.elementwise && i > 2) {
      text += i == 3 ? " x ..." : "";
      continue;
    }
    text += result ? (i == e.inputs.size() ? (i ? " -> " : "-> ") : ", ") : (i ? " x " : "");
    text += operand_text(operands[i].meta, operands[i].layout.shape);
  }
  return text;
}

// What a group must move when nothing between its nodes goes through memory. A broadcast operand is read once.
double operand_bytes(const Emission& e) {
  double bytes = 0;
  const auto& operands = e.lowering->operands();
  for (size_t i = 0; i < e.inputs.size() + e.outputs.size(); ++i) {
    const ops::Operand& o = operands[i];
    bytes += static_cast<double>(std::min(o.meta.bytes(), ops::numel(o.layout.shape) * ops::dtype_size(o.meta.dtype)));
  }
  return bytes;
}

ExplainedGroup explain_group(const Graph& graph, const Lowered& l, const Emission& e) {
  ExplainedGroup g;
  g.name = e.name;
  g.shapes = shapes_of(l, e);
  for (const int n : l.group.nodes) {
    const GraphNode& node = graph.nodes[static_cast<size_t>(n)];
    g.ops.push_back({node.op ? node.op->name : "copy", node.source ? node.source->where : ""});
    if (!node.op || !node.op->cost) continue;
    const ops::Cost c = node.op->cost(*node.source);
    g.flops += c.flops;
    g.bytes += c.bytes;
  }
  if (l.group.elementwise || g.bytes == 0) g.bytes = operand_bytes(e);
  return g;
}

ExplainedValue explain_value(const Graph& graph, const std::vector<ExplainedGroup>& groups, const ArenaValue& v) {
  ExplainedValue x{v.begin, v.end, v.offset, v.bytes, "", ""};
  if (v.ref.node < 0) {
    const ExplainedGroup& owner = groups[static_cast<size_t>(v.begin)];
    x.what = "scratch of " + owner.name;
    x.where = owner.ops[0].where;
    return x;
  }
  const GraphNode& n = graph.nodes[static_cast<size_t>(v.ref.node)];
  const ops::TensorMeta& meta = n.outs[static_cast<size_t>(v.ref.out)];
  x.what = fmt::format("{} {}{}", n.op ? n.op->name : "copy", ops::dtype_name(meta.dtype), ops::shape_text(meta.shape));
  if (n.source) x.where = n.source->where;
  return x;
}

}  // namespace

std::shared_ptr<const Explanation> explain(const PassState& state, const std::vector<Lowered>& lowered,
                                           const std::vector<Emission>& emissions, const Values& values,
                                           const Executable& executable) {
  auto out = std::make_shared<Explanation>();
  out->memory = executable.memory;
  for (size_t g = 0; g < lowered.size(); ++g) {
    out->groups.push_back(explain_group(state.graph, lowered[g], emissions[g]));
    for (const ops::Launch& launch : emissions[g].lowering->launches()) {
      out->launches.push_back({static_cast<int64_t>(g), launch.kernel ? launch.kernel->name : "host"});
    }
  }
  for (const ArenaValue& v : values.arena) {
    if (v.bytes > 0) out->values.push_back(explain_value(state.graph, out->groups, v));
  }
  return out;
}

std::vector<int64_t> bytes_alive(const Explanation& explanation) {
  std::vector<int64_t> change(explanation.groups.size() + 1, 0);
  for (const ExplainedValue& v : explanation.values) {
    change[static_cast<size_t>(v.begin)] += v.bytes;
    change[static_cast<size_t>(v.end)] -= v.bytes;
  }
  change.pop_back();
  int64_t alive = 0;
  for (int64_t& c : change) c = alive += c;
  return change;
}

}  // namespace bgl::compiler
