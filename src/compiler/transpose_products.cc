// A product that is only looked at transposed becomes the product of its transposed operands in the other order, so that what is
// read row by row lies row by row: the gradient of y = x w^T reaches w as (x^T dy)^T, which is dy^T x. Every output keeps its
// chain over k, and its bits.
#include <algorithm>

#include "compiler/passes.h"

namespace bgl::compiler {
namespace {

// Whether a node is a view that swaps the last two dims and keeps the others.
bool swaps_last_two(const Graph& graph, const GraphNode& n) {
  if (n.dead || n.leaf >= 0 || !n.op || n.op->op_class != ops::OpClass::kView || n.inputs.size() != 1) return false;
  const ops::Shape shape = graph.meta(n.inputs[0]).shape;
  const size_t rank = shape.size();
  if (rank < 2 || n.outs[0].shape.size() != rank) return false;
  const ops::Layout plain{shape, ops::contiguous_strides(shape), 0};
  ops::Layout swapped = plain, seen;
  std::swap(swapped.shape[rank - 2], swapped.shape[rank - 1]);
  std::swap(swapped.strides[rank - 2], swapped.strides[rank - 1]);
  return n.op->view(plain, *n.source, seen) && seen == swapped;
}

struct Uses {
  int all = 0, transposed = 0;
  int view = -1;  // one of those that transpose
};

bool same_rank(const Graph& graph, const GraphNode& product) {
  const size_t rank = product.outs[0].shape.size();
  return graph.meta(product.inputs[0]).shape.size() == rank && graph.meta(product.inputs[1]).shape.size() == rank;
}

// `like` with a result of another shape.
std::shared_ptr<const ops::Node> source_like(const ops::Node& like, const ops::TensorMeta& out) {
  auto node = std::make_shared<ops::Node>();
  node->op = like.op;
  node->inputs = like.inputs;
  node->attrs = like.attrs;
  node->outs = {out};
  node->where = like.where;
  return node;
}

}  // namespace

void transpose_products(Graph& graph) {
  std::vector<Uses> uses(graph.nodes.size());
  std::vector<bool> swaps(graph.nodes.size());
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const GraphNode& n = graph.nodes[i];
    if (n.dead) continue;
    swaps[i] = swaps_last_two(graph, n);
    for (const Ref& r : n.inputs) {
      Uses& u = uses[static_cast<size_t>(r.node)];
      ++u.all;
      if (swaps[i]) ++u.transposed, u.view = static_cast<int>(i);
    }
  }
  for (const Ref& r : graph.outputs) ++uses[static_cast<size_t>(r.node)].all;

  // Nodes are renumbered as the operands' views come in; a view that is gone is its product from then on.
  std::vector<GraphNode> nodes;
  std::vector<int> renumbered(graph.nodes.size(), -1);
  std::vector<bool> transposed(graph.nodes.size(), false);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    GraphNode n = graph.nodes[i];
    if (n.dead) continue;
    if (swaps[i] && transposed[static_cast<size_t>(n.inputs[0].node)]) {
      renumbered[i] = renumbered[static_cast<size_t>(n.inputs[0].node)];
      continue;
    }
    for (Ref& r : n.inputs) r.node = renumbered[static_cast<size_t>(r.node)];
    const Uses& u = uses[i];
    if (n.leaf < 0 && n.op && n.op->name == "matmul" && u.all > 0 && u.all == u.transposed && same_rank(graph, graph.nodes[i])) {
      const GraphNode& view = graph.nodes[static_cast<size_t>(u.view)];
      transposed[i] = true;
      n.outs = view.outs;
      n.source = source_like(*n.source, n.outs[0]);
      std::swap(n.inputs[0], n.inputs[1]);
      for (Ref& r : n.inputs) {
        ops::TensorMeta out = nodes[static_cast<size_t>(r.node)].outs[static_cast<size_t>(r.out)];
        std::swap(out.shape[out.shape.size() - 2], out.shape[out.shape.size() - 1]);
        GraphNode operand{.op = view.op, .source = source_like(*view.source, out), .inputs = {r}, .outs = {out}};
        r = {static_cast<int>(nodes.size()), 0};
        nodes.push_back(std::move(operand));
      }
    }
    renumbered[i] = static_cast<int>(nodes.size());
    nodes.push_back(std::move(n));
  }
  for (Ref& r : graph.outputs) r.node = renumbered[static_cast<size_t>(r.node)];
  graph.nodes = std::move(nodes);
}

}  // namespace bgl::compiler
