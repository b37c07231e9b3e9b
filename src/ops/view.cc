// Operators that only change how bytes are looked at. Each says the new layout where strides can express it; where they cannot
// (a reshape of a transposed tensor) the compiler copies first.
#include "ops/view.h"

#include <algorithm>

#include "ops/functions.h"

namespace bgl::ops {
namespace {

using Metas = std::span<const TensorMeta>;
using Grads = std::vector<Value>;

// torch's rule: splits the old dims into runs that are contiguous among themselves and fits the new dims into them.
bool reshape_strides(const Layout& in, const Shape& shape, Shape& strides) {
  strides.assign(shape.size(), 1);
  if (numel(in.shape) == 0) {
    strides = contiguous_strides(shape);
    return true;
  }
  int64_t view_dim = static_cast<int64_t>(shape.size()) - 1;
  int64_t run_size = 1;    // elements of the current run of old dims
  int64_t fitted = 1;      // elements of new dims placed into it
  int64_t base_stride = in.shape.empty() ? 1 : in.strides.back();
  for (int64_t d = static_cast<int64_t>(in.shape.size()) - 1; d >= 0; --d) {
    const auto i = static_cast<size_t>(d);
    run_size *= in.shape[i];
    const bool run_ends = d == 0 || (in.shape[i - 1] != 1 && in.strides[i - 1] != run_size * base_stride);
    if (!run_ends) continue;
    while (view_dim >= 0 && (fitted < run_size || shape[static_cast<size_t>(view_dim)] == 1)) {
      strides[static_cast<size_t>(view_dim)] = fitted * base_stride;
      fitted *= shape[static_cast<size_t>(view_dim)];
      --view_dim;
    }
    if (fitted != run_size) return false;
    if (d > 0) {
      base_stride = in.strides[i - 1];
      run_size = 1;
      fitted = 1;
    }
  }
  while (view_dim >= 0) {
    if (shape[static_cast<size_t>(view_dim)] != 1) return false;
    --view_dim;
  }
  return true;
}

std::vector<TensorMeta> infer_reshape(Metas in, const Attrs& attrs) {
  Shape shape = attrs.ints;
  int64_t known = 1;
  int64_t open = -1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == -1) {
      BGL_REQUIRE(open < 0, "[reshape] only one size of {} may be -1", shape_text(attrs.ints));
      open = static_cast<int64_t>(i);
    } else {
      BGL_REQUIRE(shape[i] >= 0, "[reshape] size {} in {}", shape[i], shape_text(attrs.ints));
      known *= shape[i];
    }
  }
  const int64_t total = numel(in[0].shape);
  if (open >= 0) {
    BGL_REQUIRE(known > 0 && total % known == 0, "[reshape] {} does not fit {}", shape_text(in[0].shape), shape_text(attrs.ints));
    shape[static_cast<size_t>(open)] = total / known;
  }
  BGL_REQUIRE(numel(shape) == total, "[reshape] {} has {} elements, {} has {}", shape_text(in[0].shape), total,
              shape_text(attrs.ints), numel(shape));
  return {{in[0].dtype, shape}};
}
bool view_reshape(const Layout& in, const Node& node, Layout& out) {
  out.shape = node.outs[0].shape;
  out.offset = in.offset;
  return reshape_strides(in, out.shape, out.strides);
}
Grads grad_reshape(const Node& n, std::span<const Value>, std::span<const Value> g) {
  return {reshape(g[0], n.inputs[0].shape())};
}

std::vector<TensorMeta> infer_permute(Metas in, const Attrs& attrs) {
  const auto rank = static_cast<int64_t>(in[0].shape.size());
  BGL_REQUIRE(static_cast<int64_t>(attrs.ints.size()) == rank, "[permute] {} dims for a tensor of rank {}", attrs.ints.size(), rank);
  std::vector<bool> seen(attrs.ints.size());
  TensorMeta out{in[0].dtype, {}};
  for (const int64_t d : attrs.ints) {
    BGL_REQUIRE(d >= 0 && d < rank && !seen[static_cast<size_t>(d)], "[permute] {} is not an order of {} dims",
                shape_text(attrs.ints), rank);
    seen[static_cast<size_t>(d)] = true;
    out.shape.push_back(in[0].shape[static_cast<size_t>(d)]);
  }
  return {out};
}
bool view_permute(const Layout& in, const Node& node, Layout& out) {
  out = {node.outs[0].shape, {}, in.offset};
  for (const int64_t d : node.attrs.ints) out.strides.push_back(in.strides[static_cast<size_t>(d)]);
  return true;
}
Grads grad_permute(const Node& n, std::span<const Value>, std::span<const Value> g) {
  std::vector<int64_t> back(n.attrs.ints.size());
  for (size_t i = 0; i < back.size(); ++i) back[static_cast<size_t>(n.attrs.ints[i])] = static_cast<int64_t>(i);
  return {permute(g[0], back)};
}

std::vector<TensorMeta> infer_expand(Metas in, const Attrs& attrs) {
  const Shape& from = in[0].shape;
  const Shape& to = attrs.ints;
  BGL_REQUIRE(to.size() >= from.size(), "[expand] {} has more dims than {}", shape_text(from), shape_text(to));
  for (size_t i = 0; i < from.size(); ++i) {
    const int64_t a = from[from.size() - 1 - i];
    const int64_t b = to[to.size() - 1 - i];
    BGL_REQUIRE(a == b || a == 1, "[expand] {} does not expand to {}", shape_text(from), shape_text(to));
  }
  return {{in[0].dtype, to}};
}
bool view_expand(const Layout& in, const Node& node, Layout& out) {
  out = {node.outs[0].shape, Shape(node.outs[0].shape.size(), 0), in.offset};
  const size_t lead = out.shape.size() - in.shape.size();
  for (size_t i = 0; i < in.shape.size(); ++i) {
    out.strides[lead + i] = in.shape[i] == out.shape[lead + i] ? in.strides[i] : 0;
  }
  return true;
}
Grads grad_expand(const Node& n, std::span<const Value>, std::span<const Value> g) { return {sum_to(g[0], n.inputs[0].shape())}; }

// ints: dim, start, length, step.
std::vector<TensorMeta> infer_slice(Metas in, const Attrs& attrs) {
  const int64_t dim = attrs.ints.at(0), start = attrs.ints.at(1), length = attrs.ints.at(2), step = attrs.ints.at(3);
  BGL_REQUIRE(dim >= 0 && dim < static_cast<int64_t>(in[0].shape.size()), "[slice] dim {} of {}", dim, shape_text(in[0].shape));
  const int64_t size = in[0].shape[static_cast<size_t>(dim)];
  BGL_REQUIRE(step >= 1 && start >= 0 && length >= 0 && (length == 0 || start + (length - 1) * step < size),
              "[slice] start {} length {} step {} of a dim of size {}", start, length, step, size);
  TensorMeta out = in[0];
  out.shape[static_cast<size_t>(dim)] = length;
  return {out};
}
bool view_slice(const Layout& in, const Node& node, Layout& out) {
  const auto d = static_cast<size_t>(node.attrs.ints[0]);
  out = in;
  out.shape = node.outs[0].shape;
  out.offset += node.attrs.ints[1] * in.strides[d];
  out.strides[d] *= node.attrs.ints[3];
  return true;
}
Grads grad_slice(const Node& n, std::span<const Value>, std::span<const Value> g) {
  const auto& a = n.attrs.ints;
  return {slice_scatter(zeros_like(n.inputs[0]), g[0], a[0], a[1], a[3])};
}

std::vector<Sample> samples_reshape() {
  return {{{{{DType::kF32, {2, 6}}}}, {{3, 4}, {}}}, {{{{DType::kF32, {4}}}}, {{-1, 2}, {}}}, {{{{DType::kF32, {0, 3}}}}, {{3, 0}, {}}},
          {{{{DType::kF32, {1}}}}, {{}, {}}}};
}
std::vector<Sample> samples_permute() { return {{{{{DType::kF32, {2, 3, 5}}}}, {{2, 0, 1}, {}}}, {{{{DType::kF32, {1, 7}}}}, {{1, 0}, {}}}}; }
std::vector<Sample> samples_expand() {
  return {{{{{DType::kF32, {3, 1}}}}, {{2, 3, 5}, {}}}, {{{{DType::kF32, {}}}}, {{4}, {}}}, {{{{DType::kF32, {1, 7}}}}, {{0, 7}, {}}}};
}
std::vector<Sample> samples_slice() {
  return {{{{{DType::kF32, {5, 4}}}}, {{0, 1, 3, 1}, {}}}, {{{{DType::kF32, {3, 9}}}}, {{1, 2, 3, 2}, {}}},
          {{{{DType::kF32, {3, 4}}}}, {{1, 0, 0, 1}, {}}}};
}

OpDef view_op(const char* name, const char* signature, std::vector<TensorMeta> (*infer)(Metas, const Attrs&),
              bool (*view)(const Layout&, const Node&, Layout&),
              Grads (*gradient)(const Node&, std::span<const Value>, std::span<const Value>), std::vector<Sample> (*samples)()) {
  OpDef op;
  op.name = name;
  op.signature = signature;
  op.op_class = OpClass::kView;
  op.infer = infer;
  op.view = view;
  op.gradient = gradient;
  op.samples = samples;
  op.sharding = name;
  return op;
}

const std::vector<OpDef>& view_table() {
  static const std::vector<OpDef> table = {
      view_op("reshape", "reshape(x, shape) -> y", infer_reshape, view_reshape, grad_reshape, samples_reshape),
      view_op("permute", "permute(x, dims) -> y", infer_permute, view_permute, grad_permute, samples_permute),
      view_op("expand", "expand(x, shape) -> y", infer_expand, view_expand, grad_expand, samples_expand),
      view_op("slice", "slice(x, dim, start, length, step) -> y", infer_slice, view_slice, grad_slice, samples_slice),
  };
  return table;
}
const OpDef& reshape_op() { return view_table()[0]; }
const OpDef& permute_op() { return view_table()[1]; }
const OpDef& expand_op() { return view_table()[2]; }
const OpDef& slice_op() { return view_table()[3]; }

}  // namespace

std::span<const OpDef> view_ops() { return view_table(); }

Value reshape(const Value& a, Shape shape) {
  if (a.shape() == shape) return a;
  Attrs attrs{std::move(shape), {}};
  attrs.ints = infer_reshape(std::vector{a.meta()}, attrs)[0].shape;
  return {make_node(reshape_op(), {a}, std::move(attrs)), 0};
}

Value permute(const Value& a, const std::vector<int64_t>& dims) {
  std::vector<int64_t> order;
  for (const int64_t d : dims) order.push_back(normalize_dim(d, a.rank(), "permute"));
  return {make_node(permute_op(), {a}, {order, {}}), 0};
}

Value transpose(const Value& a, int64_t dim0, int64_t dim1) {
  std::vector<int64_t> order(static_cast<size_t>(a.rank()));
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  if (order.empty()) return a;
  std::swap(order[static_cast<size_t>(normalize_dim(dim0, a.rank(), "transpose"))],
            order[static_cast<size_t>(normalize_dim(dim1, a.rank(), "transpose"))]);
  return permute(a, order);
}

Value expand(const Value& a, const Shape& shape) {
  Shape to = shape;
  for (size_t i = 0; i < to.size(); ++i) {
    if (to[i] != -1) continue;
    const size_t lead = to.size() - a.shape().size();
    BGL_REQUIRE(to.size() >= a.shape().size() && i >= lead, "[expand] size -1 in {} names no dim of {}", shape_text(shape),
                shape_text(a.shape()));
    to[i] = a.shape()[i - lead];
  }
  if (to == a.shape()) return a;
  return {make_node(expand_op(), {a}, {to, {}}), 0};
}

Value slice(const Value& a, int64_t dim, int64_t start, int64_t end, int64_t step) {
  BGL_REQUIRE(a.rank() > 0, "[slice] a tensor of rank 0 has no dim to slice");
  BGL_REQUIRE(step > 0, "[slice] step {} must be positive", step);
  const int64_t d = normalize_dim(dim, a.rank(), "slice");
  const int64_t size = a.shape()[static_cast<size_t>(d)];
  if (start < 0) start += size;
  if (end < 0) end += size;
  start = std::clamp<int64_t>(start, 0, size);
  end = std::clamp<int64_t>(end, start, size);
  const int64_t length = (end - start + step - 1) / step;
  if (length == size) return a;
  return {make_node(slice_op(), {a}, {{d, start, length, step}, {}}), 0};
}

Value select(const Value& a, int64_t dim, int64_t index) {
  const int64_t d = normalize_dim(dim, a.rank(), "select");
  BGL_REQUIRE(a.rank() > 0, "[select] a tensor of rank 0 has no dim to select from");
  const int64_t size = a.shape()[static_cast<size_t>(d)];
  BGL_REQUIRE(index >= -size && index < size, "[select] index {} is outside dim {} of size {}", index, d, size);
  if (index < 0) index += size;
  Shape shape = a.shape();
  shape.erase(shape.begin() + d);
  return reshape(slice(a, d, index, index + 1), shape);
}

}  // namespace bgl::ops
