#include "compiler/graph.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace bgl::compiler {

// Program order, which the ids count, is a topological order.
std::vector<std::shared_ptr<ops::Node>> reachable(const std::vector<ops::Value>& outputs) {
  std::unordered_set<const ops::Node*> seen;
  std::vector<std::shared_ptr<ops::Node>> stack, found;
  auto visit = [&](const std::shared_ptr<ops::Node>& n) {
    if (seen.insert(n.get()).second) stack.push_back(n);
  };
  for (const ops::Value& v : outputs) visit(v.node);
  while (!stack.empty()) {
    std::shared_ptr<ops::Node> n = std::move(stack.back());
    stack.pop_back();
    if (!n->computed()) {
      for (const ops::Value& v : n->inputs) visit(v.node);
    }
    found.push_back(std::move(n));
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a->id < b->id; });
  return found;
}

namespace {

// Nodes that somebody may still ask for after this run has computed `outputs`, and what these would be computed from: a pending node
// that is held from outside, and everything that gradients of the outputs may look at. Their leaves must keep their bytes.
std::unordered_set<const ops::Node*> asked_for_later(const std::vector<std::shared_ptr<ops::Node>>& order,
                                                    const std::vector<ops::Value>& outputs,
                                                    const std::unordered_map<const ops::Node*, long>& known_refs) {
  std::unordered_set<const ops::Node*> results, later;
  for (const ops::Value& v : outputs) results.insert(v.node.get());
  for (size_t i = order.size(); i-- > 0;) {  // users before what they use
    const std::shared_ptr<ops::Node>& n = order[i];
    if (n->computed()) continue;
    const bool result = results.count(n.get()) != 0;
    if (!result && n.use_count() > known_refs.at(n.get())) later.insert(n.get());
    const bool uses_inputs_later = result ? n->requires_grad : later.count(n.get()) != 0;
    if (!uses_inputs_later) continue;
    for (const ops::Value& v : n->inputs) later.insert(v.node.get());
  }
  return later;
}

}  // namespace

Graph capture(const std::vector<ops::Value>& outputs) {
  const auto order = reachable(outputs);
  Graph g;
  std::unordered_map<const ops::Node*, int> index;
  // References held by this function and by the nodes of the graph: a leaf with no others is read by nobody else.
  std::unordered_map<const ops::Node*, long> known_refs;
  for (const auto& n : order) {
    known_refs[n.get()] += 1;  // `order`
    if (n->computed()) continue;
    for (const ops::Value& v : n->inputs) known_refs[v.node.get()] += 1;
  }
  for (const ops::Value& v : outputs) known_refs[v.node.get()] += 1;
  const auto later = asked_for_later(order, outputs, known_refs);
  for (const auto& n : order) {
    GraphNode node;
    node.op = n->op;
    node.outs = n->outs;
    if (n->computed()) {
      // One leaf an output: the buffers of a computed node are separate.
      node.leaf = static_cast<int>(g.leaves.size());
      const bool unseen = n.use_count() == known_refs[n.get()] && !later.count(n.get());
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
      for (const ops::Value& v : n->inputs) node.inputs.push_back({index.at(v.node.get()), v.index});
    }
    index[n.get()] = static_cast<int>(g.nodes.size());
    g.nodes.push_back(std::move(node));
  }
  for (const ops::Value& v : outputs) g.outputs.push_back({index.at(v.node.get()), v.index});
  // A leaf that is itself an output keeps its bytes.
  for (const Ref& r : g.outputs) {
    const int leaf = g.nodes[static_cast<size_t>(r.node)].leaf;
    if (leaf >= 0) g.donated[static_cast<size_t>(leaf + r.out)] = false;
  }
  return g;
}

std::string structure(const Graph& graph) {
  std::string s;
  auto number = [&](int64_t v) {
    s += std::to_string(v);
    s += ',';
  };
  for (const GraphNode& n : graph.nodes) {
    if (n.leaf >= 0) {
      s += 'L';
      for (size_t i = 0; i < n.outs.size(); ++i) s += graph.donated[static_cast<size_t>(n.leaf) + i] ? '!' : '.';
    } else {
      s += n.op->name;
      s += '(';
      for (const Ref& r : n.inputs) {
        number(r.node);
        if (r.out) {
          s += '#';
          number(r.out);
        }
      }
      s += ';';
      for (const int64_t v : n.source->attrs.ints) number(v);
      s += ';';
      for (const double v : n.source->attrs.numbers) s.append(reinterpret_cast<const char*>(&v), sizeof v);
      s += ')';
    }
    for (const ops::TensorMeta& m : n.outs) {
      s += static_cast<char>('a' + static_cast<int>(m.dtype));
      for (const int64_t d : m.shape) number(d);
      s += '|';
    }
  }
  s += "->";
  for (const Ref& r : graph.outputs) {
    number(r.node);
    number(r.out);
  }
  return s;
}

}  // namespace bgl::compiler
