// Operators that move elements: cat, slice_scatter, embedding and its gradient, arange.
#include "ops/movement.h"

#include <algorithm>

#include "ops/functions.h"
#include "ops/kernels/index_kernels.h"
#include "ops/lowering.h"

namespace bgl::ops {
namespace {

using Metas = std::span<const TensorMeta>;
using Grads = std::vector<Value>;

// --- cat: ints {dim} ---
std::vector<TensorMeta> infer_cat(Metas in, const Attrs& attrs) {
  TensorMeta out = in[0];
  const auto d = static_cast<size_t>(attrs.ints.at(0));
  BGL_REQUIRE(d < out.shape.size(), "[cat] dim {} of {}", d, shape_text(out.shape));
  out.shape[d] = 0;
  for (const TensorMeta& m : in) {
    Shape a = m.shape, b = in[0].shape;
    BGL_REQUIRE(a.size() == b.size() && m.dtype == in[0].dtype, "[cat] got {} {} and {} {}", dtype_name(in[0].dtype), shape_text(b),
                dtype_name(m.dtype), shape_text(a));
    out.shape[d] += a[d];
    a[d] = b[d] = 0;
    BGL_REQUIRE(a == b, "[cat] got {} and {}: only dim {} may differ", shape_text(in[0].shape), shape_text(m.shape), d);
  }
  return {out};
}
// Runs fn(index in the part, index in the whole) for a part that starts at `start` with `step` along dim.
template <typename F>
void for_part(const Shape& part, const Shape& whole, int64_t dim, int64_t start, int64_t step, F fn) {
  const auto d = static_cast<size_t>(dim);
  int64_t inner = 1;
  for (size_t i = d + 1; i < part.size(); ++i) inner *= part[i];
  for (int64_t i = 0; i < numel(part); ++i) {
    const int64_t o = i / (inner * part[d]), p = i / inner % part[d], q = i % inner;
    fn(i, (o * whole[d] + start + p * step) * inner + q);
  }
}
std::vector<RefTensor> ref_cat(std::span<const RefTensor> in, const Attrs& attrs) {
  RefTensor out{in[0].shape, {}};
  const auto d = static_cast<size_t>(attrs.ints[0]);
  out.shape[d] = 0;
  for (const RefTensor& t : in) out.shape[d] += t.shape[d];
  out.data.resize(static_cast<size_t>(numel(out.shape)));
  int64_t start = 0;
  for (const RefTensor& t : in) {
    for_part(t.shape, out.shape, attrs.ints[0], start, 1, [&](int64_t i, int64_t o) { out.at(o) = t.at(i); });
    start += t.shape[d];
  }
  return {out};
}
Grads grad_cat(const Node& n, std::span<const Value>, std::span<const Value> g) {
  Grads out;
  int64_t start = 0;
  for (const Value& v : n.inputs) {
    const int64_t size = v.size(n.attrs.ints[0]);
    out.push_back(slice(g[0], n.attrs.ints[0], start, start + size));
    start += size;
  }
  return out;
}
// The layout of the part of `whole` that starts at `start` along dim.
Layout part_layout(const Layout& whole, const Shape& part, int64_t dim, int64_t start, int64_t step) {
  const auto d = static_cast<size_t>(dim);
  Layout out = whole;
  out.shape = part;
  out.offset += start * whole.strides[d];
  out.strides[d] *= step;
  return out;
}
void lower_cat(Lowering& l, const Node& node) {
  int64_t start = 0;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const OperandId in = l.in(static_cast<int>(i));
    lower_copy(l, in, l.view(l.out(), part_layout(l.layout(l.out()), l.shape(in), node.attrs.ints[0], start, 1)));
    start += l.shape(in)[static_cast<size_t>(node.attrs.ints[0])];
  }
}

// --- slice_scatter: ints {dim, start, step} ---
std::vector<TensorMeta> infer_slice_scatter(Metas in, const Attrs& attrs) {
  const auto d = static_cast<size_t>(attrs.ints.at(0));
  BGL_REQUIRE(in[0].dtype == in[1].dtype && in[0].shape.size() == in[1].shape.size() && d < in[0].shape.size(),
              "[slice_scatter] got {} {} and {} {}", dtype_name(in[0].dtype), shape_text(in[0].shape), dtype_name(in[1].dtype),
              shape_text(in[1].shape));
  Shape a = in[0].shape, b = in[1].shape;
  const int64_t last = attrs.ints[1] + (b[d] - 1) * attrs.ints[2];
  BGL_REQUIRE(b[d] == 0 || (attrs.ints[1] >= 0 && last < a[d]), "[slice_scatter] the part ends at {} in a dim of size {}", last, a[d]);
  a[d] = b[d] = 0;
  BGL_REQUIRE(a == b, "[slice_scatter] got {} into {}", shape_text(in[1].shape), shape_text(in[0].shape));
  return {in[0]};
}
std::vector<RefTensor> ref_slice_scatter(std::span<const RefTensor> in, const Attrs& a) {
  RefTensor out = in[0];
  for_part(in[1].shape, out.shape, a.ints[0], a.ints[1], a.ints[2], [&](int64_t i, int64_t o) { out.at(o) = in[1].at(i); });
  return {out};
}
Grads grad_slice_scatter(const Node& n, std::span<const Value>, std::span<const Value> g) {
  const auto& a = n.attrs.ints;
  const Value& part = n.inputs[1];
  const int64_t end = a[1] + (part.size(a[0]) - 1) * a[2] + 1;
  return {slice_scatter(g[0], zeros_like(part), a[0], a[1], a[2]), slice(g[0], a[0], a[1], std::max(end, a[1]), a[2])};
}
void lower_slice_scatter(Lowering& l, const Node& node) {
  const auto& a = node.attrs.ints;
  lower_copy(l, l.in(0), l.out());
  lower_copy(l, l.in(1), l.view(l.out(), part_layout(l.layout(l.out()), l.shape(l.in(1)), a[0], a[1], a[2])));
}

// --- embedding(table[V, C], ids[...]) -> [..., C] ---
std::vector<TensorMeta> infer_embedding(Metas in, const Attrs&) {
  BGL_REQUIRE(in[0].shape.size() == 2 && in[1].dtype == DType::kI64, "[embedding] got table {} and ids {} {}: needs [V, C] and int64",
              shape_text(in[0].shape), dtype_name(in[1].dtype), shape_text(in[1].shape));
  TensorMeta out{in[0].dtype, in[1].shape};
  out.shape.push_back(in[0].shape[1]);
  return {out};
}
std::vector<RefTensor> ref_embedding(std::span<const RefTensor> in, const Attrs&) {
  const int64_t c = in[0].shape[1];
  RefTensor out{in[1].shape, {}};
  out.shape.push_back(c);
  for (const double id : in[1].data) {
    for (int64_t j = 0; j < c; ++j) out.data.push_back(in[0].at(static_cast<int64_t>(id) * c + j));
  }
  return {out};
}
Grads grad_embedding(const Node& n, std::span<const Value>, std::span<const Value> g);

// --- embedding_grad(g[..., C], ids[...]); ints {V}: adds the rows of g in the order of the ids, so the sum has one order ---
std::vector<TensorMeta> infer_embedding_grad(Metas in, const Attrs& attrs) {
  return {{in[0].dtype, {attrs.ints.at(0), in[0].shape.back()}}};
}
std::vector<RefTensor> ref_embedding_grad(std::span<const RefTensor> in, const Attrs& attrs) {
  const int64_t c = in[0].shape.back();
  RefTensor out{{attrs.ints[0], c}, std::vector<double>(static_cast<size_t>(attrs.ints[0] * c))};
  for (int64_t i = 0; i < numel(in[1].shape); ++i) {
    for (int64_t j = 0; j < c; ++j) out.at(static_cast<int64_t>(in[1].at(i)) * c + j) += in[0].at(i * c + j);
  }
  return {out};
}
Grads grad_embedding_grad(const Node& n, std::span<const Value>, std::span<const Value> g) {
  return {embedding(g[0], n.inputs[1]), Value{}};
}

std::vector<Sample> samples_cat() {
  auto f32 = [](Shape s) { return Sample::Input{{DType::kF32, std::move(s)}}; };
  return {{{f32({2, 3}), f32({1, 3})}, {{0}, {}}}, {{f32({2, 3}), f32({2, 0}), f32({2, 5})}, {{1}, {}}}, {{f32({1})}, {{0}, {}}}};
}
std::vector<Sample> samples_slice_scatter() {
  auto f32 = [](Shape s) { return Sample::Input{{DType::kF32, std::move(s)}}; };
  return {{{f32({4, 5}), f32({2, 5})}, {{0, 1, 1}, {}}}, {{f32({3, 7}), f32({3, 3})}, {{1, 1, 2}, {}}}, {{f32({3}), f32({0})}, {{0, 0, 1}, {}}}};
}
std::vector<Sample> samples_embedding() {
  return {{{{{DType::kF32, {7, 5}}}, {{DType::kI64, {2, 3}}, 0, 7}}, {}},
          {{{{DType::kF32, {3, 37}}}, {{DType::kI64, {}}, 0, 3}}, {}},
          {{{{DType::kF32, {3, 4}}}, {{DType::kI64, {0}}, 0, 3}}, {}}};
}
std::vector<Sample> samples_embedding_grad() {
  return {{{{{DType::kF32, {2, 9, 5}}}, {{DType::kI64, {2, 9}}, 0, 4}}, {{4}, {}}},
          {{{{DType::kF32, {1, 33}}}, {{DType::kI64, {1}}, 0, 3}}, {{3}, {}}}};
}

// Only the rows that are looked up move, not the table.
Cost cost_rows(const Node& node) {
  return {0, 2.0 * static_cast<double>(node.outs[0].bytes()) + static_cast<double>(node.inputs[1].meta().bytes())};
}

std::vector<OpDef> make_movement_table() {
  OpDef cat_op;
  cat_op.name = "cat";
  cat_op.signature = "cat(parts..., dim) -> y";
  cat_op.infer = infer_cat;
  cat_op.reference = ref_cat;
  cat_op.gradient = grad_cat;
  cat_op.lower = lower_cat;
  cat_op.cost = [](const Node& n) { return streaming_cost(n, 0); };
  cat_op.sharding = "cat";
  cat_op.samples = samples_cat;
  OpDef scatter_op;
  scatter_op.name = "slice_scatter";
  scatter_op.signature = "slice_scatter(base, part, dim, start, step) -> y";
  scatter_op.infer = infer_slice_scatter;
  scatter_op.reference = ref_slice_scatter;
  scatter_op.gradient = grad_slice_scatter;
  scatter_op.lower = lower_slice_scatter;
  scatter_op.cost = cat_op.cost;
  scatter_op.sharding = "slice";
  scatter_op.samples = samples_slice_scatter;
  OpDef embed_op;
  embed_op.name = "embedding";
  embed_op.signature = "embedding(table[V, C], ids[...]) -> [..., C]";
  embed_op.infer = infer_embedding;
  embed_op.reference = ref_embedding;
  embed_op.gradient = grad_embedding;
  embed_op.lower = [](Lowering& l, const Node&) { kernels::lower_embedding(l); };
  embed_op.cost = cost_rows;
  embed_op.sharding = "vc,...->...c";
  embed_op.samples = samples_embedding;
  OpDef embed_grad_op;
  embed_grad_op.name = "embedding_grad";
  embed_grad_op.signature = "embedding_grad(g[..., C], ids[...], V) -> [V, C]";
  embed_grad_op.infer = infer_embedding_grad;
  embed_grad_op.reference = ref_embedding_grad;
  embed_grad_op.gradient = grad_embedding_grad;
  embed_grad_op.lower = [](Lowering& l, const Node&) { kernels::lower_embedding_grad(l); };
  embed_grad_op.cost = [](const Node& n) { return streaming_cost(n, 1); };
  embed_grad_op.sharding = "...c,...->vc";
  embed_grad_op.samples = samples_embedding_grad;
  return {cat_op, scatter_op, embed_op, embed_grad_op};
}
const std::vector<OpDef>& movement_table() {
  static const std::vector<OpDef> table = make_movement_table();
  return table;
}

Grads grad_embedding(const Node& n, std::span<const Value>, std::span<const Value> g) {
  return {Value{make_node(movement_table()[3], {g[0], n.inputs[1]}, {{n.inputs[0].size(0)}, {}}), 0}, Value{}};
}

}  // namespace

std::span<const OpDef> movement_ops() { return movement_table(); }

Value cat(std::span<const Value> parts, int64_t dim) {
  BGL_REQUIRE(!parts.empty(), "[cat] no tensors");
  if (parts.size() == 1) return parts[0];
  const int64_t d = normalize_dim(dim, parts[0].rank(), "cat");
  return {make_node(movement_table()[0], {parts.begin(), parts.end()}, {{d}, {}}), 0};
}

Value slice_scatter(const Value& base, const Value& part, int64_t dim, int64_t start, int64_t step) {
  return {make_node(movement_table()[1], {base, part}, {{normalize_dim(dim, base.rank(), "slice_scatter"), start, step}, {}}), 0};
}

Value embedding(const Value& table, const Value& ids) { return {make_node(movement_table()[2], {table, ids}), 0}; }

}  // namespace bgl::ops
