#include "compiler/differentiate.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "ops/functions.h"
#include "ops/op_def.h"

namespace bgl::compiler {
namespace {

using ops::Node;
using ops::Value;

// Nodes that require gradients behind `output`, by id. Computed nodes keep their inputs while they require gradients.
std::vector<std::shared_ptr<Node>> gradient_path(const Value& output) {
  std::unordered_set<const Node*> seen;
  std::vector<std::shared_ptr<Node>> stack, found;
  auto visit = [&](const std::shared_ptr<Node>& n) {
    if (n->requires_grad && seen.insert(n.get()).second) stack.push_back(n);
  };
  visit(output.node);
  while (!stack.empty()) {
    auto n = std::move(stack.back());
    stack.pop_back();
    for (const Value& v : n->inputs) visit(v.node);
    found.push_back(std::move(n));
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a->id < b->id; });
  return found;
}

}  // namespace

std::vector<Value> differentiable_leaves(const Value& output) {
  std::vector<Value> leaves;
  for (const auto& n : gradient_path(output)) {
    if (n->op->op_class == ops::OpClass::kLeaf) leaves.push_back({n, 0});
  }
  return leaves;
}

std::vector<Value> differentiate(const Value& output, std::span<const Value> wrt, const Value& seed) {
  BGL_REQUIRE(output.node->requires_grad, "[backward] the tensor does not depend on anything that requires a gradient");
  ops::Label label("backward");
  std::map<std::pair<uint64_t, int>, Value> grads;  // (node id, output) -> gradient
  auto accumulate = [&](const Value& v, const Value& g) {
    Value& slot = grads[{v.node->id, v.index}];
    slot = slot ? ops::add(slot, g) : g;
  };
  accumulate(output, seed ? seed : ops::full(output.shape(), 1.0, output.dtype()));
  const auto path = gradient_path(output);
  for (size_t i = path.size(); i-- > 0;) {
    const auto& n = path[i];
    if (n->op->op_class == ops::OpClass::kLeaf) continue;
    std::vector<Value> outs, gs;
    bool any = false;
    for (size_t o = 0; o < n->outs.size(); ++o) {
      outs.push_back({n, static_cast<int>(o)});
      const auto it = grads.find({n->id, static_cast<int>(o)});
      gs.push_back(it == grads.end() ? Value{} : it->second);
      any |= it != grads.end();
    }
    if (!any) continue;
    BGL_REQUIRE(n->op->gradient, "[backward] {}{}{} has no gradient of its own", n->op->name, n->where.empty() ? "" : " at ", n->where);
    if (!gs[0]) gs[0] = ops::zeros_like(outs[0]);  // a gradient flows only into a later output
    ops::Label where(n->where);
    const std::vector<Value> in = n->op->gradient(*n, outs, gs);
    for (size_t k = 0; k < in.size(); ++k) {
      const Value& to = n->inputs[k];
      if (!in[k] || !to.node->requires_grad) continue;
      BGL_CHECK(in[k].meta() == to.meta(), "gradient of {} input {}: {} for {}", n->op->name, k, ops::shape_text(in[k].shape()),
                ops::shape_text(to.shape()));
      accumulate(to, in[k]);
    }
  }
  std::vector<Value> out;
  for (const Value& w : wrt) {
    const auto it = grads.find({w.node->id, w.index});
    out.push_back(it == grads.end() ? Value{} : it->second);
  }
  return out;
}

}  // namespace bgl::compiler
