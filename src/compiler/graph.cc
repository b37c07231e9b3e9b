#include "compiler/graph.h"

#include <algorithm>

namespace bgl::compiler {

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
  waiting.reserve(outputs.size() + 8);  // most are small
  for (const ops::Value& v : outputs) visit(v.node);
  Order found;
  found.reserve(8);
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

Ref ref_of(const Order& order, const ops::Value& v) { return {static_cast<int>(position(order, *v.node)), v.index}; }

// Who holds a node.
struct Holders {
  long known = 1;        // the order, the outputs, and nodes of the graph
  bool result = false;   // it computes an output
  bool later = false;    // somebody may still ask for it, or for what it would be computed from, after the run
};

// A node with no other holder than these is read by nobody else. After the run somebody may ask for a pending node that is held from
// outside, and gradients of the outputs may look at all behind them: leaves that those come from must keep their bytes.
std::vector<Holders> holders_of(const Order& order, const std::vector<ops::Value>& outputs) {
  std::vector<Holders> holders(order.size());
  for (const auto& n : order) {
    if (n->computed()) continue;
    for (const ops::Value& v : n->inputs) holders[position(order, *v.node)].known += 1;
  }
  for (const ops::Value& v : outputs) {
    Holders& h = holders[position(order, *v.node)];
    h.known += 1, h.result = true;
  }
  for (size_t i = order.size(); i-- > 0;) {  // users before what they use
    const std::shared_ptr<ops::Node>& n = order[i];
    Holders& h = holders[i];
    if (n->computed()) continue;
    if (!h.result && n.use_count() > h.known) h.later = true;
    const bool uses_inputs_later = h.result ? n->requires_grad : h.later;
    if (!uses_inputs_later) continue;
    for (const ops::Value& v : n->inputs) holders[position(order, *v.node)].later = true;
  }
  return holders;
}

}  // namespace

Pending pending_behind(std::vector<ops::Value> outputs) {
  Pending p{reachable(outputs), std::move(outputs), {}};
  const std::vector<Holders> holders = holders_of(p.order, p.outputs);
  for (size_t at = 0; at < p.order.size(); ++at) {
    const std::shared_ptr<ops::Node>& n = p.order[at];
    if (!n->computed()) continue;
    // A leaf that is itself an output keeps its bytes. The buffers of a computed node are separate.
    const Holders& h = holders[at];
    const bool unseen = n.use_count() == h.known && !h.later && !h.result;
    for (const auto& buffer : n->buffers) p.donated.push_back(unseen && buffer.use_count() == 1 && buffer->writable());
  }
  return p;
}

Graph capture(const Pending& pending) {
  Graph g;
  g.nodes.reserve(pending.order.size());
  g.donated = pending.donated;
  const auto ref = [&](const ops::Value& v) { return ref_of(pending.order, v); };
  for (const auto& n : pending.order) {
    GraphNode node;
    node.op = n->op;
    node.outs = n->outs;
    if (n->computed()) {
      node.leaf = static_cast<int>(g.leaves.size());
      for (size_t i = 0; i < n->outs.size(); ++i) g.leaves.push_back({n, static_cast<int>(i)});
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
  for (const ops::Value& v : pending.outputs) g.outputs.push_back(ref(v));
  return g;
}

std::string structure(const Pending& pending) {
  std::string s;
  s.reserve(128 * pending.order.size());
  auto number = [&](auto v) { s.append(reinterpret_cast<const char*>(&v), sizeof v); };
  // Every list begins with its length, so that no two graphs run into the same bytes.
  auto list = [&](const auto& of, const auto& item) {
    number(static_cast<uint32_t>(of.size()));
    for (const auto& i : of) item(i);
  };
  auto ref = [&](const ops::Value& v) {
    const Ref r = ref_of(pending.order, v);
    number(r.node), number(r.out);
  };
  size_t leaf = 0;
  for (const auto& n : pending.order) {
    if (n->computed()) {
      s += "leaf(";
      for (size_t i = 0; i < n->outs.size(); ++i) s += pending.donated[leaf++] ? '!' : '.';
    } else {
      s += n->op->name;
      s += '(';
      list(n->inputs, ref);
      list(n->attrs.ints, number);
      list(n->attrs.numbers, number);
    }
    list(n->outs, [&](const ops::TensorMeta& m) {
      number(m.dtype);
      list(m.shape, number);
    });
  }
  s += "->(";
  list(pending.outputs, ref);
  return s;
}

}  // namespace bgl::compiler
