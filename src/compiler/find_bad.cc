#include <cmath>

#include "compiler/compile.h"
#include "ops/op_def.h"

namespace bgl::compiler {
namespace {

// The first element of the node's float32 outputs that is no finite number, in words; empty when all are.
std::string bad_element(const ops::Node& node) {
  for (size_t o = 0; o < node.outs.size(); ++o) {
    if (node.outs[o].dtype != ops::DType::kF32) continue;
    const float* data = node.buffers[o]->as<float>();
    for (int64_t i = 0; i < ops::numel(node.outs[o].shape); ++i) {
      if (!std::isfinite(data[i])) return fmt::format("{} at element {} of {}", data[i], i, ops::shape_text(node.outs[o].shape));
    }
  }
  return {};
}

}  // namespace

std::string first_non_finite(const std::vector<ops::Value>& values) {
  for (const auto& node : reachable(values)) {
    if (!node->computed()) {
      if (node->op->op_class == ops::OpClass::kView || node->op->op_class == ops::OpClass::kScalar) continue;
      if (Status s = evaluate({{node, 0}}); !s.ok()) return s.message();
    }
    const std::string bad = bad_element(*node);
    if (bad.empty()) continue;
    const std::string where = node->where.empty() ? "" : " at " + node->where;
    if (node->op->op_class == ops::OpClass::kLeaf) return fmt::format("an input or parameter{} holds {}", where, bad);
    return fmt::format("{}{} made {}", node->op->name, where, bad);
  }
  return {};
}

}  // namespace bgl::compiler
