#include "compiler/graph.h"

#include <algorithm>

namespace bgl::compiler {

using Order = std::vector<std::shared_ptr<ops::Node>>;

// Ids count in program order: a node's inputs have smaller ones than the node. So taking the largest id that waits finds users before
// what they use, and a node that is used many times just once.
Order reachable(const std::vector<ops::Value>& outputs) {
  using Waiting = const std::shared_ptr<ops::Node>*;
  const auto earlier = [](Waiting a, Waiting b) { return (*a)->id < (*b)->id; };
  std::vector<Waiting> waiting;
  auto visit = [&](const std::shared_ptr<ops::Node>& n) {
    waiting.push_back(&n);
    std::push_heap(waiting.begin(), waiting.end(), earlier);
  };
  for (const ops::Value& v : outputs) visit(v.node);
  Order found;
  while (!waiting.empty()) {
    std::pop_heap(waiting.begin(), waiting.end(), earlier);
    const std::shared_ptr<ops::Node>& n = *waiting.back();
    waiting.pop_back();
    if (!found.empty() && found.back() == n) continue;
    if (!n->computed()) {
      for (const ops::Value& v : n->inputs) visit(v.node);
    }
    found.push_back(n);
  }
  std::reverse(found.begin(), found.end());
  return found;
}

namespace {

// Where a node stands in the order.
size_t position(const Order& order, const ops::Node& node) {
  const auto at = std::lower_bound(order.begin(), order.end(), node.id, [](const auto& n, uint64_t id) { return n->id < id; });
  return static_cast<size_t>(at - order.begin());
}

// Nodes that somebody may still ask for after this run has computed `outputs`, and what these would be computed from: a pending node
// that is held from outside, and everything that gradients of the outputs may look at. Their leaves must keep their bytes.
std::vector<bool> asked_for_later(const Order& order, const std::vector<ops::Value>& outputs, const std::vector<long>& known_refs) {
  std::vector<bool> results(order.size()), later(order.size());
  for (const ops::Value& v : outputs) results[position(order, *v.node)] = true;
  for (size_t i = order.size(); i-- > 0;) {  // users before what they use
    const std::shared_ptr<ops::Node>& n = order[i];
    if (n->computed()) continue;
    if (!results[i] && n.use_count() > known_refs[i]) later[i] = true;
    const bool uses_inputs_later = results[i] ? n->requires_grad : later[i];
    if (!uses_inputs_later) continue;
    for (const ops::Value& v : n->inputs) later[position(order, *v.node)] = true;
  }
  return later;
}

}  // namespace

Graph capture(const std::vector<ops::Value>& outputs) {
  const Order order = reachable(outputs);
  Graph g;
  g.nodes.reserve(order.size());
  // References held by this function and by the nodes of the graph: a leaf with no others is read by nobody else.
  std::vector<long> known_refs(order.size(), 1);  // `order`
  for (const auto& n : order) {
    if (n->computed()) continue;
    for (const ops::Value& v : n->inputs) known_refs[position(order, *v.node)] += 1;
  }
  for (const ops::Value& v : outputs) known_refs[position(order, *v.node)] += 1;
  const std::vector<bool> later = asked_for_later(order, outputs, known_refs);
  const auto ref = [&](const ops::Value& v) { return Ref{static_cast<int>(position(order, *v.node)), v.index}; };
  for (size_t at = 0; at < order.size(); ++at) {
    const auto& n = order[at];
    GraphNode node;
    node.op = n->op;
    node.outs = n->outs;
    if (n->computed()) {
      // One leaf an output: the buffers of a computed node are separate.
      node.leaf = static_cast<int>(g.leaves.size());
      const bool unseen = n.use_count() == known_refs[at] && !later[at];
      for (size_t i = 0; i < n->outs.size(); ++i) {
        const bool only_ours = unseen && n->buffers[i].use_count() == 1 && n->buffers[i]->writable();
        g.leaves.push_back({n, static_cast<int>(i)});
        g.donated.push_back(only_ours);
      }
    } else {
      if (n->op->op_class == ops::OpClass::kScalar) {
        node.scalar = static_cast<int>(g.scalars.size());
        g.scalars.push_back(n);
      }
      node.source = n;
      node.inputs.reserve(n->inputs.size());
      for (const ops::Value& v : n->inputs) node.inputs.push_back(ref(v));
    }
    g.nodes.push_back(std::move(node));
  }
  for (const ops::Value& v : outputs) g.outputs.push_back(ref(v));
  // A leaf that is itself an output keeps its bytes.
  for (const Ref& r : g.outputs) {
    const int leaf = g.nodes[static_cast<size_t>(r.node)].leaf;
    if (leaf >= 0) g.donated[static_cast<size_t>(leaf + r.out)] = false;
  }
  return g;
}

std::string structure(const Graph& graph) {
  std::string s;
  s.reserve(128 * graph.nodes.size());
  auto number = [&](auto v) { s.append(reinterpret_cast<const char*>(&v), sizeof v); };
  // Every list begins with its length, so that no two graphs run into the same bytes.
  auto list = [&](const auto& of, const auto& item) {
    number(static_cast<uint32_t>(of.size()));
    for (const auto& i : of) item(i);
  };
  auto ref = [&](const Ref& r) { number(r.node), number(r.out); };
  for (const GraphNode& n : graph.nodes) {
    if (n.leaf >= 0) {
      s += "leaf(";
      for (size_t i = 0; i < n.outs.size(); ++i) s += graph.donated[static_cast<size_t>(n.leaf) + i] ? '!' : '.';
    } else {
      s += n.op->name;
      s += '(';
      list(n.inputs, ref);
      list(n.source->attrs.ints, number);
      list(n.source->attrs.numbers, number);
    }
    list(n.outs, [&](const ops::TensorMeta& m) {
      number(m.dtype);
      list(m.shape, number);
    });
  }
  s += "->(";
  list(graph.outputs, ref);
  return s;
}

}  // namespace bgl::compiler
