#include <array>

#include "ops/attention.h"
#include "ops/creation.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/norm.h"
#include "ops/op_def.h"
#include "ops/optim.h"
#include "ops/packed.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/view.h"

namespace bgl::ops {
namespace {

std::vector<const OpDef*> all_ops() {
  std::vector<const OpDef*> out;
  for (const std::span<const OpDef> part : {creation_ops(), elementwise_ops(), view_ops(), movement_ops(), reduce_ops(), matmul_ops(), packed_ops(),
                                            norm_ops(), softmax_ops(), attention_ops(), optim_ops()}) {
    for (const OpDef& op : part) out.push_back(&op);
  }
  return out;
}

// The elements of a row-major tensor in the order a view shows them.
RefTensor look(const RefTensor& in, const Layout& layout) {
  RefTensor out{layout.shape, {}};
  const int64_t n = numel(layout.shape);
  for (int64_t i = 0; i < n; ++i) {
    int64_t at = layout.offset, rest = i;
    for (size_t d = layout.shape.size(); d-- > 0;) {
      at += rest % layout.shape[d] * layout.strides[d];
      rest /= layout.shape[d];
    }
    out.data.push_back(in.at(at));
  }
  return out;
}

}  // namespace

Cost streaming_cost(const Node& node, double per_element) {
  Cost c;
  for (const Value& v : node.inputs) c.bytes += static_cast<double>(v.meta().bytes());
  for (const TensorMeta& m : node.outs) c.bytes += static_cast<double>(m.bytes());
  c.flops = per_element * static_cast<double>(numel(node.inputs.empty() ? node.outs[0].shape : node.inputs[0].shape()));
  return c;
}

std::span<const OpDef* const> op_table() {
  static const std::vector<const OpDef*> table = all_ops();
  return table;
}

const OpDef* find_op(const std::string& name) {
  for (const OpDef* op : op_table()) {
    if (op->name == name) return op;
  }
  return nullptr;
}

std::vector<RefTensor> run_reference(const Node& node, std::span<const RefTensor> in) {
  const OpDef& op = *node.op;
  if (op.op_class == OpClass::kView) {
    const Layout row_major{in[0].shape, contiguous_strides(in[0].shape), 0};
    Layout out;
    BGL_CHECK(op.view(row_major, node, out), "view {} of a row-major tensor", op.name);
    return {look(in[0], out)};
  }
  if (op.op_class == OpClass::kScalar) return {RefTensor{{}, {node.scalar}}};
  if (!op.scalar_reference) return op.reference(in, node.attrs);
  RefTensor out{node.outs[0].shape, {}};
  const DType to = node.outs[0].dtype;
  std::vector<double> x(in.size());
  for (int64_t i = 0; i < numel(out.shape); ++i) {
    for (size_t k = 0; k < in.size(); ++k) x[k] = in[k].at(i);
    const double y = op.scalar_reference(x);
    out.data.push_back(is_float(to) ? y : to == DType::kBool ? y != 0 : static_cast<double>(static_cast<int64_t>(y)));
  }
  return {out};
}

}  // namespace bgl::ops
