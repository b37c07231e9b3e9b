// Computes values in double precision through the references of their operators: the meaning of a graph, for tests.
#pragma once

#include <vector>

#include "ops/node.h"
#include "ops/op_def.h"

namespace bgl::compiler {

// `leaves` stand for what the graph reads instead of its bytes, where given: for finite differences.
struct LeafValue {
  const ops::Node* leaf;
  ops::RefTensor value;
};
std::vector<ops::RefTensor> double_run(const std::vector<ops::Value>& values, const std::vector<LeafValue>& leaves = {});

// The elements of a row-major buffer as doubles.
ops::RefTensor elements(const ops::Buffer& buffer, const ops::TensorMeta& meta);

}  // namespace bgl::compiler
