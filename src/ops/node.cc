#include "ops/node.h"

#include <atomic>

#include "ops/op_def.h"

namespace bgl::ops {
namespace {

std::atomic<uint64_t> next_node_id{1};
std::atomic<int64_t> alive{0};
thread_local bool node_grad_enabled = true;
thread_local std::string node_label;

}  // namespace

Node::Node() { alive.fetch_add(1, std::memory_order_relaxed); }
Node::~Node() { alive.fetch_sub(1, std::memory_order_relaxed); }
int64_t nodes_alive() { return alive.load(std::memory_order_relaxed); }

const TensorMeta& Value::meta() const {
  BGL_DCHECK(node);
  return node->outs[static_cast<size_t>(index)];
}

int64_t Value::size(int64_t dim) const {
  return shape()[static_cast<size_t>(normalize_dim(dim, rank(), "size"))];
}

std::shared_ptr<Node> make_node(const OpDef& op, std::vector<Value> inputs, Attrs attrs) {
  auto node = std::make_shared<Node>();
  node->op = &op;
  std::vector<TensorMeta> metas;
  metas.reserve(inputs.size());
  for (const Value& v : inputs) {
    BGL_REQUIRE(v.node, "[{}] got an undefined tensor", op.name);
    metas.push_back(v.meta());
  }
  node->outs = op.infer(metas, attrs);
  node->attrs = std::move(attrs);
  node->id = next_node_id.fetch_add(1);
  node->where = node_label;
  // An operator with real results and no gradient passes the mark on, so that backward() can refuse instead of losing a part.
  if (node_grad_enabled && (op.gradient || (!node->outs.empty() && is_float(node->outs[0].dtype)))) {
    for (const Value& v : inputs) node->requires_grad |= v.node->requires_grad;
  }
  node->inputs = std::move(inputs);
  return node;
}

Value make_leaf(TensorMeta meta, std::shared_ptr<Buffer> buffer, bool requires_grad) {
  BGL_CHECK(static_cast<int64_t>(buffer->bytes()) >= meta.bytes(), "leaf of {} in {} bytes", shape_text(meta.shape),
            buffer->bytes());
  auto node = std::make_shared<Node>();
  node->op = &leaf_op();
  node->outs = {std::move(meta)};
  node->id = next_node_id.fetch_add(1);
  node->requires_grad = requires_grad;
  node->where = node_label;
  node->buffers = {std::move(buffer)};
  return {std::move(node), 0};
}

NoGrad::NoGrad() : before_(node_grad_enabled) { node_grad_enabled = false; }
NoGrad::~NoGrad() { node_grad_enabled = before_; }
bool grad_enabled() { return node_grad_enabled; }

Label::Label(const std::string& text) : before_(node_label.size()) {
  if (!node_label.empty() && !text.empty()) node_label += '/';
  node_label += text;
}
Label::~Label() { node_label.resize(before_); }

}  // namespace bgl::ops
