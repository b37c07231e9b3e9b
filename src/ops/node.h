// The graph. A Node is one application of an operator; a Value names one of its outputs. Nodes are immutable but for one thing:
// once a run has computed an output, the node holds its buffer and stands as a leaf from then on.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ops/buffer.h"
#include "ops/types.h"

namespace bgl::ops {

struct OpDef;
struct Node;

// Operands that are part of the structure: two graphs that differ in them are compiled apart. Numbers that change from step to
// step (a learning rate) are `scalar` nodes instead, which are run-time arguments.
struct Attrs {
  std::vector<int64_t> ints;
  std::vector<double> numbers;
  bool operator==(const Attrs&) const = default;
};

struct Value {
  std::shared_ptr<Node> node;
  int index = 0;

  explicit operator bool() const { return node != nullptr; }
  const TensorMeta& meta() const;
  const Shape& shape() const { return meta().shape; }
  DType dtype() const { return meta().dtype; }
  int64_t rank() const { return static_cast<int64_t>(shape().size()); }
  // The size of `dim`; negative counts from the last.
  int64_t size(int64_t dim) const;
  bool operator==(const Value&) const = default;
};

struct Node {
  Node();
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  const OpDef* op = nullptr;
  std::vector<Value> inputs;
  Attrs attrs;
  std::vector<TensorMeta> outs;
  double scalar = 0;  // of op `scalar`: its value, a run-time argument
  uint64_t id = 0;    // counts up in program order
  bool requires_grad = false;
  std::string where;                             // the label in force at the call, for run errors
  std::vector<std::shared_ptr<Buffer>> buffers;  // one an output once computed, else empty

  bool computed() const { return !buffers.empty(); }
};

// Nodes of this process that somebody holds: what says whether a program that never looks lets its graph grow.
int64_t nodes_alive();

// A new node of `op`: the shape rule runs now and throws Error at the call.
std::shared_ptr<Node> make_node(const OpDef& op, std::vector<Value> inputs, Attrs attrs = {});
// A leaf over existing bytes (row-major).
Value make_leaf(TensorMeta meta, std::shared_ptr<Buffer> buffer, bool requires_grad = false);

// While one lives on this thread, new nodes do not require gradients.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};
bool grad_enabled();

// While one lives on this thread, its text is part of `where` of new nodes: "blocks.3/attention".
class Label {
 public:
  explicit Label(const std::string& text);
  ~Label();
  Label(const Label&) = delete;
  Label& operator=(const Label&) = delete;

 private:
  size_t before_;
};

}  // namespace bgl::ops
