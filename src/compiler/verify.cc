#include "compiler/verify.h"

namespace bgl::compiler {
namespace {

template <typename... A>
Status internal_error(fmt::format_string<A...> f, A&&... a) {
  return make_status(Code::kInternal, f, std::forward<A>(a)...);
}

std::string node_name(const Graph& graph, int node) {
  const GraphNode& n = graph.nodes[static_cast<size_t>(node)];
  return fmt::format("%{} = {}", node, n.leaf >= 0 ? "leaf" : n.scalar >= 0 ? "scalar" : n.op ? n.op->name : "copy");
}

std::string meta_text(const ops::TensorMeta& m) { return ops::dtype_name(m.dtype) + ops::shape_text(m.shape); }

bool computes(const GraphNode& n) {
  return !n.dead && n.leaf < 0 && n.scalar < 0 && (!n.op || n.op->op_class != ops::OpClass::kView);
}

class Verifier {
 public:
  explicit Verifier(const Graph& graph) : graph_(graph) {}

  Status all() {
    if (graph_.donated.size() != graph_.leaves.size()) {
      return internal_error("the graph has {} leaves and says of {} whether they are donated", graph_.leaves.size(),
                            graph_.donated.size());
    }
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (graph_.nodes[i].dead) continue;
      BGL_TRY(node(static_cast<int>(i)));
    }
    for (const Ref& r : graph_.outputs) BGL_TRY(output(r));
    if (!graph_.access.empty()) BGL_TRY(accesses());
    return everything_is_needed();
  }

 private:
  template <typename... A>
  Status broken(int node, fmt::format_string<A...> f, A&&... a) const {
    return internal_error("{}: {}", node_name(graph_, node), fmt::format(f, std::forward<A>(a)...));
  }
  const GraphNode& at(int node) const { return graph_.nodes[static_cast<size_t>(node)]; }

  Status node(int i) const {
    const GraphNode& n = at(i);
    for (const Ref& r : n.inputs) {
      if (r.node < 0 || r.node >= i) return broken(i, "reads %{}, which does not stand before it", r.node);
      if (at(r.node).dead) return broken(i, "reads %{}, which is dead", r.node);
      if (r.out < 0 || r.out >= static_cast<int>(at(r.node).outs.size())) {
        return broken(i, "reads output {} of %{}, which has {}", r.out, r.node, at(r.node).outs.size());
      }
    }
    if (n.leaf >= 0 && n.scalar >= 0) return broken(i, "is number {} too", n.scalar);
    if (n.leaf >= 0) return leaf(i);
    const bool is_number = n.op && n.op->op_class == ops::OpClass::kScalar;
    if (is_number && n.scalar < 0) return broken(i, "is no number of the graph");
    if (!is_number && n.scalar >= 0) return broken(i, "is number {} of the graph", n.scalar);
    if (n.op && n.op->op_class == ops::OpClass::kLeaf) return broken(i, "is no leaf of the graph");
    if (n.scalar >= 0 && n.scalar >= static_cast<int>(graph_.scalars.size()))
      return broken(i, "number {} of {}", n.scalar, graph_.scalars.size());
    return n.op ? application(i) : copy(i);
  }

  Status leaf(int i) const {
    const GraphNode& n = at(i);
    if (!n.inputs.empty()) return broken(i, "a leaf that reads %{}", n.inputs[0].node);
    for (size_t o = 0; o < n.outs.size(); ++o) {
      const size_t value = static_cast<size_t>(n.leaf) + o;
      if (value >= graph_.leaves.size()) return broken(i, "leaf {} of {}", value, graph_.leaves.size());
      const ops::TensorMeta& meta = graph_.leaves[value].meta();
      if (meta != n.outs[o]) return broken(i, "says {}, its value is {}", meta_text(n.outs[o]), meta_text(meta));
    }
    return Status();
  }

  Status copy(int i) const {
    const GraphNode& n = at(i);
    if (n.inputs.size() != 1 || n.outs.size() != 1)
      return broken(i, "a copy of {} values into {}", n.inputs.size(), n.outs.size());
    if (n.outs[0] != graph_.meta(n.inputs[0]))
      return broken(i, "copies {} into {}", meta_text(graph_.meta(n.inputs[0])), meta_text(n.outs[0]));
    return Status();
  }

  Status application(int i) const {
    const GraphNode& n = at(i);
    if (!n.source || n.source->op != n.op) return broken(i, "its source is {}", n.source ? n.source->op->name : "missing");
    if (n.inputs.size() != n.source->inputs.size())
      return broken(i, "reads {} values, its source {}", n.inputs.size(), n.source->inputs.size());
    std::vector<ops::TensorMeta> in, outs;
    // Attributes name dims, so that a shape rule may rely on ranks.
    for (size_t k = 0; k < n.inputs.size(); ++k) {
      in.push_back(graph_.meta(n.inputs[k]));
      const ops::Shape &mine = in[k].shape, &meant = n.source->inputs[k].meta().shape;
      if (mine.size() != meant.size()) return broken(i, "operand {} is {}, for its source it was {}", k, ops::shape_text(mine), ops::shape_text(meant));
    }
    try {
      outs = n.op->infer(in, n.source->attrs);
    } catch (const Error& e) {
      return broken(i, "its shape rule refuses what it reads: {}", e.status().message());
    }
    if (outs.size() != n.outs.size() || outs.size() != n.source->outs.size()) return broken(i, "has {} outputs, its shape rule gives {}", n.outs.size(), outs.size());
    for (size_t o = 0; o < outs.size(); ++o) {
      if (outs[o] != n.outs[o])
        return broken(i, "output {} is {}, its shape rule gives {}", o, meta_text(n.outs[o]), meta_text(outs[o]));
      // Views and lowerings look at the source.
      if (outs[o] != n.source->outs[o]) return broken(i, "output {} is {}, its source's {}", o, meta_text(n.outs[o]), meta_text(n.source->outs[o]));
    }
    return Status();
  }

  Status output(Ref r) const {
    if (r.node < 0 || r.node >= static_cast<int>(graph_.nodes.size()))
      return internal_error("the graph returns %{}, of {} nodes", r.node, graph_.nodes.size());
    const GraphNode& n = at(r.node);
    if (n.dead) return broken(r.node, "is returned and dead");
    if (r.out < 0 || r.out >= static_cast<int>(n.outs.size()))
      return broken(r.node, "output {} is returned, of {}", r.out, n.outs.size());
    if (n.leaf >= 0 && graph_.donated[static_cast<size_t>(n.leaf + r.out)]) return broken(r.node, "is returned and donated");
    return Status();
  }

  Status everything_is_needed() const {
    std::vector<bool> needed(graph_.nodes.size(), false);
    for (const Ref& r : graph_.outputs) needed[static_cast<size_t>(r.node)] = true;
    for (size_t i = graph_.nodes.size(); i-- > 0;) {  // users before what they use
      const GraphNode& n = graph_.nodes[i];
      if (n.dead) continue;
      if (!needed[i] && computes(n)) return broken(static_cast<int>(i), "computes what no result needs");
      if (!needed[i]) continue;
      for (const Ref& r : n.inputs) {
        needed[static_cast<size_t>(r.node)] = true;
        if (!graph_.access.empty()) needed[static_cast<size_t>(root_of(r).node)] = true;  // what the bytes lie in may be a copy
      }
    }
    return Status();
  }

  Status accesses() const {
    if (graph_.access.size() != graph_.nodes.size())
      return internal_error("{} nodes, and layouts of {}", graph_.nodes.size(), graph_.access.size());
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const auto& mine = graph_.access[i];
      if (graph_.nodes[i].dead) continue;
      if (mine.size() != graph_.nodes[i].outs.size())
        return broken(static_cast<int>(i), "has {} outputs and {} layouts", graph_.nodes[i].outs.size(), mine.size());
      for (size_t o = 0; o < mine.size(); ++o) BGL_TRY(access({static_cast<int>(i), static_cast<int>(o)}));
    }
    for (const Ref& r : graph_.outputs) {
      if (root_of(r) != r) return broken(r.node, "is returned and lies in %{}", root_of(r).node);
    }
    return Status();
  }

  Ref root_of(Ref r) const { return graph_.access[static_cast<size_t>(r.node)][static_cast<size_t>(r.out)].root; }

  Status access(Ref self) const {
    const Access& a = graph_.access[static_cast<size_t>(self.node)][static_cast<size_t>(self.out)];
    const GraphNode& n = at(self.node);
    const bool is_view = n.leaf < 0 && n.op && n.op->op_class == ops::OpClass::kView;
    if (a.root != self) {
      if (!is_view) return broken(self.node, "is no view and lies in %{}", a.root.node);
      if (a.root.node < 0 || a.root.node >= self.node)
        return broken(self.node, "lies in %{}, which does not stand before it", a.root.node);
      if (at(a.root.node).dead) return broken(self.node, "lies in %{}, which is dead", a.root.node);
      if (a.root.out < 0 || a.root.out >= static_cast<int>(at(a.root.node).outs.size())) {
        return broken(self.node, "lies in output {} of %{}, which has {}", a.root.out, a.root.node, at(a.root.node).outs.size());
      }
      if (root_of(a.root) != a.root) return broken(self.node, "lies in %{}, which is a view itself", a.root.node);
    } else if (is_view) {
      return broken(self.node, "is a view of nothing");
    }
    if (a.layout.shape != graph_.meta(self).shape) {
      return broken(self.node, "is {}, its layout {}", ops::shape_text(graph_.meta(self).shape),
                    ops::shape_text(a.layout.shape));
    }
    if (a.layout.strides.size() != a.layout.shape.size())
      return broken(self.node, "its layout has {} sizes and {} strides", a.layout.shape.size(), a.layout.strides.size());
    if (ops::numel(a.layout.shape) == 0) return Status();
    int64_t low = a.layout.offset, high = a.layout.offset;
    for (size_t d = 0; d < a.layout.shape.size(); ++d) {
      (a.layout.strides[d] < 0 ? low : high) += a.layout.strides[d] * (a.layout.shape[d] - 1);
    }
    const int64_t elements = ops::numel(graph_.meta(a.root).shape);
    if (low < 0 || high >= elements)
      return broken(self.node, "its elements {} to {} lie outside the {} of %{}", low, high, elements, a.root.node);
    return Status();
  }

  const Graph& graph_;
};

// The members by themselves; fills `group_of`.
Status verify_members(const Graph& graph, std::span<const Group> groups, std::vector<int>& group_of) {
  for (size_t g = 0; g < groups.size(); ++g) {
    const std::vector<int>& members = groups[g].nodes;
    if (members.empty()) return internal_error("group {} is empty", g);
    if (members.size() > 1 && !groups[g].elementwise)
      return internal_error("group {} has {} nodes and is not elementwise", g, members.size());
    for (size_t k = 0; k < members.size(); ++k) {
      const int n = members[k];
      if (n < 0 || n >= static_cast<int>(graph.nodes.size()))
        return internal_error("group {} holds %{}, of {} nodes", g, n, graph.nodes.size());
      const GraphNode& node = graph.nodes[static_cast<size_t>(n)];
      if (!computes(node)) return internal_error("group {} holds {}, which computes nothing", g, node_name(graph, n));
      if (!groups[g].elementwise && (!node.op || node.op->op_class == ops::OpClass::kElementwise))
        return internal_error("group {} is not elementwise and holds {}", g, node_name(graph, n));
      if (k > 0 && members[k - 1] >= n) return internal_error("group {}: %{} stands before %{}", g, members[k - 1], n);
      if (group_of[static_cast<size_t>(n)] >= 0)
        return internal_error("{} is in groups {} and {}", node_name(graph, n), group_of[static_cast<size_t>(n)], g);
      if (groups[g].elementwise && node.op && node.op->op_class != ops::OpClass::kElementwise) {
        return internal_error("group {} is elementwise and holds {}", g, node_name(graph, n));
      }
      const ops::Shape& first = graph.nodes[static_cast<size_t>(members[0])].outs[0].shape;
      if (node.outs[0].shape != first) {
        return internal_error("group {}: {} is {}, the group {}", g, node_name(graph, n), ops::shape_text(node.outs[0].shape),
                              ops::shape_text(first));
      }
      group_of[static_cast<size_t>(n)] = static_cast<int>(g);
    }
  }
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (computes(graph.nodes[n]) && group_of[n] < 0)
      return internal_error("{} is in no group", node_name(graph, static_cast<int>(n)));
  }
  return Status();
}

}  // namespace

Status verify(const Graph& graph) { return Verifier(graph).all(); }

Status verify(const Graph& graph, std::span<const Group> groups) {
  std::vector<int> group_of(graph.nodes.size(), -1);
  BGL_TRY(verify_members(graph, groups, group_of));
  for (size_t g = 0; g < groups.size(); ++g) {
    for (const int n : groups[g].nodes) {
      for (const Ref& r : graph.nodes[static_cast<size_t>(n)].inputs) {
        const Ref root = graph.access[static_cast<size_t>(r.node)][static_cast<size_t>(r.out)].root;
        const int maker = group_of[static_cast<size_t>(root.node)];
        if (maker < static_cast<int>(g)) continue;
        if (maker > static_cast<int>(g))
          return internal_error("group {}: {} reads %{} of group {}, which runs later", g, node_name(graph, n), root.node,
                                maker);
        if (root != r)
          return internal_error("group {}: {} reads its own %{} through a view", g, node_name(graph, n), root.node);
      }
    }
  }
  return Status();
}

}  // namespace bgl::compiler
