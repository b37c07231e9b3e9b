// Reverse-mode differentiation on the graph: appends gradient nodes, computes nothing.
#pragma once

#include <span>
#include <vector>

#include "ops/node.h"

namespace bgl::compiler {

// Gradients of sum(output * seed) with respect to `wrt` (values whose nodes require gradients); an empty Value where none flows.
// Throws Error where a gradient would flow into an operator that has none: second derivatives stop at the kernels of first ones.
// An empty seed stands for ones. Gradients that meet are added in the order of the users' ids, latest first.
std::vector<ops::Value> differentiate(const ops::Value& output, std::span<const ops::Value> wrt, const ops::Value& seed = {});

// The leaves that require gradients and that `output` depends on, by id.
std::vector<ops::Value> differentiable_leaves(const ops::Value& output);

}  // namespace bgl::compiler
