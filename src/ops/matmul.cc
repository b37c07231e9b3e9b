// Matrix products. Each output is one chain of fused multiply-adds over k in ascending order, whatever the tiles.
#include "ops/matmul.h"

#include <algorithm>

#include "ops/functions.h"
#include "ops/kernels/matmul_kernels.h"
#include "ops/lowering.h"

namespace bgl::ops {
namespace {

using Metas = std::span<const TensorMeta>;
using Grads = std::vector<Value>;

// a[..., M, K] x b[..., K, N], leading dims equal.
std::vector<TensorMeta> infer_matmul(Metas in, const Attrs&) {
  const Shape &a = in[0].shape, &b = in[1].shape;
  BGL_REQUIRE(in[0].dtype == DType::kF32 && in[1].dtype == DType::kF32, "[matmul] needs float32, got {} and {}: cast first",
              dtype_name(in[0].dtype), dtype_name(in[1].dtype));
  BGL_REQUIRE(a.size() >= 2 && a.size() == b.size(), "[matmul] got {} x {}", shape_text(a), shape_text(b));
  BGL_REQUIRE(std::equal(a.begin(), a.end() - 2, b.begin()), "[matmul] got {} x {}: leading dims differ", shape_text(a), shape_text(b));
  const int64_t k = a.back(), l = b[b.size() - 2];
  BGL_REQUIRE(k == l, "[matmul] got {} x {}: inner dims {} != {}", shape_text(a), shape_text(b), k, l);
  TensorMeta out = in[0];
  out.shape.back() = b.back();
  return {out};
}
std::vector<RefTensor> ref_matmul(std::span<const RefTensor> in, const Attrs&) {
  const Shape& a = in[0].shape;
  const int64_t m = a[a.size() - 2], k = a.back(), n = in[1].shape.back();
  RefTensor out{a, {}};
  out.shape.back() = n;
  out.data.assign(static_cast<size_t>(numel(out.shape)), 0);
  for (int64_t batch = 0; m * n > 0 && batch < numel(out.shape) / (m * n); ++batch) {
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double s = 0;
        for (int64_t p = 0; p < k; ++p) s += in[0].at((batch * m + i) * k + p) * in[1].at((batch * k + p) * n + j);
        out.at((batch * m + i) * n + j) = s;
      }
    }
  }
  return {out};
}
Grads grad_matmul(const Node& n, std::span<const Value>, std::span<const Value> g) {
  const Value &a = n.inputs[0], &b = n.inputs[1];
  return {matmul(g[0], transpose(b, -1, -2)), matmul(transpose(a, -1, -2), g[0])};
}
Cost cost_matmul(const Node& node) {
  Cost c;
  c.flops = 2.0 * static_cast<double>(numel(node.outs[0].shape)) * static_cast<double>(node.inputs[0].size(-1));
  for (const Value& v : node.inputs) c.bytes += static_cast<double>(v.meta().bytes());
  c.bytes += static_cast<double>(node.outs[0].bytes());
  return c;
}
std::vector<Sample> samples_matmul() {
  auto f32 = [](Shape s) { return Sample::Input{{DType::kF32, std::move(s)}}; };
  std::vector<Sample> out;
  for (const auto& [m, k, n] : {std::array<int64_t, 3>{1, 1, 1}, {2, 3, 5}, {7, 13, 17}, {37, 53, 71}, {1, 64, 33}, {64, 1, 16}, {6, 700, 16}, {5, 40, 70}, {11, 20, 300},
                                {3, 30, 65}, {20, 300, 330}, {2, 70, 33}, {0, 3, 4}, {3, 0, 4}, {3, 4, 0}, {130, 40, 9}}) {
    out.push_back({{f32({m, k}), f32({k, n})}, {}});
  }
  out.push_back({{f32({2, 3, 4, 5}), f32({2, 3, 5, 7})}, {}});
  out.push_back({{f32({3, 9, 16}), f32({3, 16, 9})}, {}});
  return out;
}

const std::vector<OpDef>& matmul_table() {
  static const std::vector<OpDef> table = [] {
    OpDef op;
    op.name = "matmul";
    op.signature = "matmul(a[..., M, K], b[..., K, N]) -> [..., M, N]";
    op.infer = infer_matmul;
    op.reference = ref_matmul;
    op.gradient = grad_matmul;
    op.lower = [](Lowering& l, const Node&) { kernels::lower_matmul(l); };
    op.cost = cost_matmul;
    op.sharding = "...mk,...kn->...mn";
    op.samples = samples_matmul;
    op.tolerance = 1e-4;  // one chain of 700 products of numbers up to 4
    return std::vector<OpDef>{op};
  }();
  return table;
}

}  // namespace

std::span<const OpDef> matmul_ops() { return matmul_table(); }

Value matmul(const Value& a, const Value& b) {
  BGL_REQUIRE(a.rank() >= 1 && b.rank() >= 1, "[matmul] got {} x {}: needs at least one dim each", shape_text(a.shape()),
              shape_text(b.shape()));
  if (a.rank() == 1) return select(matmul(reshape(a, {1, a.size(0)}), b), b.rank() == 1 ? 0 : -2, 0);
  if (b.rank() == 1) return select(matmul(a, reshape(b, {b.size(0), 1})), -1, 0);
  const int64_t k = a.size(-1), l = b.size(-2);
  BGL_REQUIRE(k == l, "[matmul] got {} x {}: inner dims {} != {}", shape_text(a.shape()), shape_text(b.shape()), k, l);
  if (a.rank() == 2 && b.rank() == 2) return {make_node(matmul_table()[0], {a, b}), 0};
  if (b.rank() == 2) {
    // One large product instead of a batch of small ones.
    Shape out = a.shape();
    out.back() = b.size(-1);
    const int64_t rows = k ? numel(a.shape()) / k : numel(Shape(a.shape().begin(), a.shape().end() - 1));
    return reshape(matmul(reshape(a, {rows, k}), b), out);
  }
  const Shape lead = broadcast_shapes({a.shape().begin(), a.shape().end() - 2}, {b.shape().begin(), b.shape().end() - 2}, "matmul");
  auto grow = [&](const Value& v) {
    Shape s = lead;
    s.push_back(v.size(-2));
    s.push_back(v.size(-1));
    return expand(v, s);
  };
  return {make_node(matmul_table()[0], {grow(a), grow(b)}), 0};
}

Value linear(const Value& x, const Value& weight, const Value& bias) {
  BGL_REQUIRE(weight.rank() == 2 && x.rank() >= 1 && x.size(-1) == weight.size(1), "[linear] got x {} and weight {}: the last dim of x must be {}",
              shape_text(x.shape()), shape_text(weight.shape()), weight.rank() == 2 ? weight.size(1) : -1);
  const Value y = matmul(x, transpose(weight, 0, 1));
  return bias ? add(y, bias) : y;
}

}  // namespace bgl::ops
