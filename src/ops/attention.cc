// Attention without the T x S matrix, its gradient, attention over a paged cache, and rotary positions. Keys are taken in blocks of
// 64 from key 0 on, per query an online softmax; that order never changes, so a query gives the same bits alone, in a batch, in a
// chunk and over pages. Ref: arXiv:2205.14135 (algorithm), 1805.02867 (online softmax).
#include "ops/attention.h"

#include <cmath>
#include <limits>

#include "ops/functions.h"
#include "ops/kernels/attention_kernels.h"
#include "ops/lowering.h"

namespace bgl::ops {
namespace {

using Metas = std::span<const TensorMeta>;
using Grads = std::vector<Value>;

// ints {causal}, numbers {scale}: q, k, v -> out, lse[B, H, T]
std::vector<TensorMeta> infer_attention(Metas in, const Attrs&) {
  const Shape &q = in[0].shape, &k = in[1].shape, &v = in[2].shape;
  for (const TensorMeta& m : in.first(3)) {
    BGL_REQUIRE(m.dtype == DType::kF32 && m.shape.size() == 4, "[attention] got {} {}: q, k and v are float32 of rank 4",
                dtype_name(m.dtype), shape_text(m.shape));
  }
  BGL_REQUIRE(k == v && k[0] == q[0] && k[3] == q[3] && k[1] > 0 && q[1] % k[1] == 0 && q[3] <= kernels::kMaxHeadWidth, "[attention] got q {}, k {}, v {}", shape_text(q),
              shape_text(k), shape_text(v));
  return {in[0], {DType::kF32, {q[0], q[1], q[2]}}};
}
struct RefDims {
  int64_t b, h, t, d, g, s;
  int64_t q(int64_t bi, int64_t hi, int64_t ti) const { return ((bi * h + hi) * t + ti) * d; }
  int64_t k(int64_t bi, int64_t hi, int64_t si) const { return ((bi * g + hi / (h / g)) * s + si) * d; }
};
RefDims ref_dims(std::span<const RefTensor> in) {
  return {in[0].shape[0], in[0].shape[1], in[0].shape[2], in[0].shape[3], in[1].shape[1], in[1].shape[2]};
}
double ref_dot(const RefTensor& a, int64_t i, const RefTensor& b, int64_t j, int64_t d) {
  double s = 0;
  for (int64_t x = 0; x < d; ++x) s += a.at(i + x) * b.at(j + x);
  return s;
}
std::vector<RefTensor> ref_attention(std::span<const RefTensor> in, const Attrs& attrs) {
  const RefDims n = ref_dims(in);
  RefTensor out{in[0].shape, std::vector<double>(in[0].data.size())}, lse{{n.b, n.h, n.t}, {}};
  for (int64_t b = 0; b < n.b; ++b) {
    for (int64_t h = 0; h < n.h; ++h) {
      for (int64_t t = 0; t < n.t; ++t) {
        const int64_t seen = attrs.ints.at(0) ? n.s - n.t + t + 1 : n.s;
        std::vector<double> p(static_cast<size_t>(seen));
        double m = -std::numeric_limits<double>::infinity(), l = 0;
        for (int64_t s = 0; s < seen; ++s) {
          p[static_cast<size_t>(s)] = attrs.numbers.at(0) * ref_dot(in[0], n.q(b, h, t), in[1], n.k(b, h, s), n.d);
          m = std::max(m, p[static_cast<size_t>(s)]);
        }
        for (double& x : p) l += x = std::exp(x - m);
        for (int64_t s = 0; s < seen; ++s) {
          for (int64_t d = 0; d < n.d; ++d) out.at(n.q(b, h, t) + d) += p[static_cast<size_t>(s)] / l * in[2].at(n.k(b, h, s) + d);
        }
        lse.data.push_back(m + std::log(l));
      }
    }
  }
  return {out, lse};
}
Grads grad_attention(const Node& n, std::span<const Value> out, std::span<const Value> g);

// q, k, v, lse, delta, dout -> dq, dk, dv; delta = rowsum(dout * out)
std::vector<TensorMeta> infer_attention_grad(Metas in, const Attrs&) { return {in[0], in[1], in[2]}; }
std::vector<RefTensor> ref_attention_grad(std::span<const RefTensor> in, const Attrs& attrs) {
  const RefDims n = ref_dims(in);
  std::vector<RefTensor> out = {in[0], in[1], in[2]};
  for (RefTensor& t : out) std::fill(t.data.begin(), t.data.end(), 0);
  const double scale = attrs.numbers.at(0);
  for (int64_t r = 0; r < n.b * n.h * n.t; ++r) {
    const int64_t b = r / (n.h * n.t), h = r / n.t % n.h, t = r % n.t;
    const int64_t seen = attrs.ints.at(0) ? n.s - n.t + t + 1 : n.s;
    const int64_t q = n.q(b, h, t);
    for (int64_t s = 0; s < seen; ++s) {
      const int64_t k = n.k(b, h, s);
      const double p = std::exp(scale * ref_dot(in[0], q, in[1], k, n.d) - in[3].at(r));
      const double ds = p * (ref_dot(in[5], q, in[2], k, n.d) - in[4].at(r)) * scale;
      for (int64_t d = 0; d < n.d; ++d) {
        out[0].at(q + d) += ds * in[1].at(k + d);
        out[1].at(k + d) += ds * in[0].at(q + d);
        out[2].at(k + d) += p * in[5].at(q + d);
      }
    }
  }
  return out;
}

// paged_attention(q[N,H,D], k_pages[P,G,D,64], v_pages[P,G,64,D], pages[N,M], lengths[N]); numbers {scale}
std::vector<TensorMeta> infer_paged(Metas in, const Attrs&) {
  const Shape &q = in[0].shape, &k = in[1].shape, &v = in[2].shape;
  BGL_REQUIRE(q.size() == 3 && k.size() == 4 && v == (Shape{k[0], k[1], k[3], k[2]}) && k[3] == kernels::kKeyBlock && k[2] == q[2] &&
                  q[1] % k[1] == 0 && q[2] <= kernels::kMaxHeadWidth && in[3].shape.size() == 2 && in[3].shape[0] == q[0] && in[4].shape == Shape{q[0]},
              "[paged_attention] got q {}, k_pages {}, v_pages {}, pages {}, lengths {}", shape_text(q), shape_text(k),
              shape_text(in[2].shape), shape_text(in[3].shape), shape_text(in[4].shape));
  return {in[0]};
}
std::vector<RefTensor> ref_paged(std::span<const RefTensor> in, const Attrs& attrs) {
  const Shape &q = in[0].shape, &k = in[1].shape;
  RefTensor out{q, {}};
  for (int64_t n = 0; n < q[0]; ++n) {
    const auto len = static_cast<int64_t>(in[4].at(n));
    for (int64_t h = 0; h < q[1]; ++h) {
      // The keys of this head, gathered, give a plain attention of one query.
      RefTensor q1{{1, 1, 1, q[2]}, {}}, k1{{1, 1, len, q[2]}, {}}, v1 = k1;
      for (int64_t d = 0; d < q[2]; ++d) q1.data.push_back(in[0].at((n * q[1] + h) * q[2] + d));
      for (int64_t s = 0; s < len; ++s) {
        const auto page = static_cast<int64_t>(in[3].at(n * in[3].shape[1] + s / k[3]));
        const int64_t base = (page * k[1] + h / (q[1] / k[1])) * k[2] * k[3];
        for (int64_t d = 0; d < q[2]; ++d) {
          k1.data.push_back(in[1].at(base + d * k[3] + s % k[3]));
          v1.data.push_back(in[2].at(base + s % k[3] * q[2] + d));
        }
      }
      const RefTensor one = ref_attention(std::vector<RefTensor>{q1, k1, v1}, {{0}, attrs.numbers})[0];
      out.data.insert(out.data.end(), one.data.begin(), one.data.end());
    }
  }
  return {out};
}

// write_pages(pages, x[N,G,D], slots[N]); ints {transposed}: pages[P,G,D,64] for keys, else [P,G,64,D]
std::vector<TensorMeta> infer_write_pages(Metas in, const Attrs& attrs) {
  const Shape &k = in[0].shape, &x = in[1].shape;
  const size_t width = attrs.ints.at(0) ? 2 : 3;
  BGL_REQUIRE(k.size() == 4 && x.size() == 3 && k[1] == x[1] && k[width] == x[2] && k[5 - width] == kernels::kKeyBlock &&
                  in[2].shape == Shape{x[0]} && in[2].dtype == DType::kI64,
              "[write_pages] got pages {}, rows {}, slots {}", shape_text(k), shape_text(x), shape_text(in[2].shape));
  return {in[0]};
}
std::vector<RefTensor> ref_write_pages(std::span<const RefTensor> in, const Attrs& attrs) {
  RefTensor out = in[0];
  const int64_t groups = in[1].shape[1], width = in[1].shape[2], places = kernels::kKeyBlock;
  for (int64_t i = 0; i < numel(in[1].shape); ++i) {
    const auto slot = static_cast<int64_t>(in[2].at(i / (groups * width)));
    const int64_t g = i / width % groups, d = i % width;
    const int64_t base = (slot / places * groups + g) * places * width;
    out.at(base + (attrs.ints.at(0) ? d * places + slot % places : slot % places * width + d)) = in[1].at(i);
  }
  return {out};
}

// rope(x[B,H,T,D], positions[B,T], cos[P,D/2], sin[P,D/2]); ints {interleaved}
std::vector<TensorMeta> infer_rope(Metas in, const Attrs&) {
  const Shape &x = in[0].shape, &p = in[1].shape, &c = in[2].shape;
  BGL_REQUIRE(x.size() == 4 && x[3] % 2 == 0 && p == (Shape{x[0], x[2]}) && in[1].dtype == DType::kI64 && c.size() == 2 &&
                  c[1] == x[3] / 2 && c == in[3].shape,
              "[rope] got x {}, positions {}, cos {}, sin {}", shape_text(x), shape_text(p), shape_text(c), shape_text(in[3].shape));
  return {in[0]};
}
std::vector<RefTensor> ref_rope(std::span<const RefTensor> in, const Attrs& attrs) {
  const Shape& x = in[0].shape;
  const int64_t half = x[3] / 2;
  RefTensor out = in[0];
  for (int64_t r = 0; r < x[0] * x[1] * x[2]; ++r) {
    const auto pos = static_cast<int64_t>(in[1].at(r / (x[1] * x[2]) * x[2] + r % x[2]));
    for (int64_t i = 0; i < half; ++i) {
      const int64_t a = r * x[3] + (attrs.ints.at(0) ? 2 * i : i);
      const int64_t b = attrs.ints[0] ? a + 1 : a + half;
      const double c = in[2].at(pos * half + i), s = in[3].at(pos * half + i);
      out.at(a) = in[0].at(a) * c - in[0].at(b) * s;
      out.at(b) = in[0].at(a) * s + in[0].at(b) * c;
    }
  }
  return {out};
}
Grads grad_rope(const Node& n, std::span<const Value>, std::span<const Value> g) {
  return {rope(g[0], n.inputs[1], n.inputs[2], neg(n.inputs[3]), n.attrs.ints[0] != 0), Value{}, Value{}, Value{}};
}

Sample::Input f32_in(Shape s) { return {{DType::kF32, std::move(s)}, -1, 1}; }
struct AttentionCase {
  int64_t b, h, g, t, s, d;
};
std::vector<Sample> attention_samples(std::initializer_list<AttentionCase> cases) {
  std::vector<Sample> out;
  for (const AttentionCase& c : cases) {
    for (const int64_t causal : {0, 1}) {
      out.push_back({{f32_in({c.b, c.h, c.t, c.d}), f32_in({c.b, c.g, c.s, c.d}), f32_in({c.b, c.g, c.s, c.d})}, {{causal}, {0.3}}});
    }
  }
  return out;
}
std::vector<Sample> samples_attention() {
  return attention_samples({{1, 1, 1, 1, 1, 4}, {2, 4, 2, 5, 5, 8}, {1, 2, 1, 3, 9, 16}, {1, 1, 1, 70, 70, 5}, {1, 2, 2, 7, 130, 20}});
}
std::vector<Sample> samples_attention_grad() {
  std::vector<Sample> out = samples_attention();
  // Groups of heads enough for the kernel that takes one each, on up to two threads.
  for (Sample& s : attention_samples({{2, 8, 4, 51, 67, 20}, {8, 1, 1, 3, 5, 70}})) out.push_back(std::move(s));
  for (Sample& s : out) {
    const Shape q = s.inputs[0].meta.shape;
    s.inputs.push_back({{DType::kF32, {q[0], q[1], q[2]}}, 4, 6});
    s.inputs.push_back(f32_in({q[0], q[1], q[2]}));
    s.inputs.push_back(f32_in(q));
  }
  return out;
}
std::vector<Sample> samples_paged() {
  return {{{f32_in({3, 4, 8}), f32_in({6, 2, 8, 64}), f32_in({6, 2, 64, 8}), {{DType::kI64, {3, 2}}, 0, 6}, {{DType::kI64, {3}}, 1, 129}}, {{}, {0.3}}},
          {{f32_in({1, 1, 20}), f32_in({2, 1, 20, 64}), f32_in({2, 1, 64, 20}), {{DType::kI64, {1, 1}}, 0, 2}, {{DType::kI64, {1}}, 1, 65}}, {{}, {0.3}}}};
}
std::vector<Sample> samples_write_pages() {
  return {{{f32_in({2, 2, 4, 64}), f32_in({1, 2, 4}), {{DType::kI64, {1}}, 0, 128}}, {{1}, {}}},
          {{f32_in({2, 2, 64, 4}), f32_in({1, 2, 4}), {{DType::kI64, {1}}, 0, 128}}, {{0}, {}}},
          {{f32_in({1, 1, 64, 5}), f32_in({0, 1, 5}), {{DType::kI64, {0}}, 0, 1}}, {{0}, {}}}};
}
std::vector<Sample> samples_rope() {
  std::vector<Sample> out;
  for (const int64_t interleaved : {0, 1}) {
    for (const int64_t d : {2, 8, 40}) {
      out.push_back({{f32_in({2, 3, 5, d}), {{DType::kI64, {2, 5}}, 0, 7}, f32_in({7, d / 2}), f32_in({7, d / 2})}, {{interleaved}, {}}});
    }
  }
  return out;
}
Cost cost_attention(const Node& node) {
  const Shape& q = node.inputs[0].shape();
  const auto s = static_cast<double>(node.inputs[1].size(2));
  Cost c;
  c.flops = 4.0 * static_cast<double>(numel(q)) * s * (node.attrs.ints[0] ? 0.5 : 1.0);
  for (const Value& v : node.inputs) c.bytes += static_cast<double>(v.meta().bytes());
  for (const TensorMeta& m : node.outs) c.bytes += static_cast<double>(m.bytes());
  return c;
}

// Five products where the forward pass has two; what is computed again does not count.
Cost cost_attention_grad(const Node& node) {
  Cost c = cost_attention(node);
  c.flops *= 2.5;
  return c;
}

std::vector<OpDef> make_attention_table() {
  OpDef fwd;
  fwd.name = "attention";
  fwd.signature = "attention(q[B, H, T, D], k[B, G, S, D], v[B, G, S, D], scale, causal) -> out[B, H, T, D], lse[B, H, T]";
  fwd.infer = infer_attention;
  fwd.reference = ref_attention;
  fwd.gradient = grad_attention;
  fwd.lower = [](Lowering& l, const Node& n) { kernels::lower_attention(l, n.attrs.numbers[0], n.attrs.ints[0] != 0); };
  fwd.cost = cost_attention;
  fwd.sharding = "bhtd,bhsd,bhsd->bhtd,bht";
  fwd.samples = samples_attention;
  fwd.tolerance = 2e-5;
  OpDef bwd = fwd;
  bwd.name = "attention_grad";
  bwd.signature = "attention_grad(q, k, v, lse, delta, dout, scale, causal) -> dq, dk, dv";
  bwd.infer = infer_attention_grad;
  bwd.reference = ref_attention_grad;
  bwd.gradient = nullptr;
  bwd.lower = [](Lowering& l, const Node& n) { kernels::lower_attention_grad(l, n.attrs.numbers[0], n.attrs.ints[0] != 0); };
  bwd.cost = cost_attention_grad;
  bwd.sharding = "bhtd,bhsd,bhsd,bht,bht,bhtd->bhtd,bhsd,bhsd";
  bwd.samples = samples_attention_grad;
  OpDef paged = fwd;
  paged.name = "paged_attention";
  paged.signature = "paged_attention(q[N, H, D], k_pages[P, G, D, 64], v_pages[P, G, 64, D], pages[N, M], lengths[N], scale) -> out[N, H, D]";
  paged.infer = infer_paged;
  paged.reference = ref_paged;
  paged.gradient = nullptr;
  paged.cost = [](const Node& n) { return streaming_cost(n, 0); };  // how many keys are seen is known when it runs
  paged.lower = [](Lowering& l, const Node& n) { kernels::lower_paged_attention(l, n.attrs.numbers[0]); };
  paged.sharding = "nhd,pgds,pgsd,nm,n->nhd";
  paged.samples = samples_paged;
  OpDef write;
  write.name = "write_pages";
  write.signature = "write_pages(pages[P, G, 64, D] or [P, G, D, 64], x[N, G, D], slots[N], transposed) -> pages";
  write.infer = infer_write_pages;
  write.reference = ref_write_pages;
  write.lower = [](Lowering& l, const Node& n) { kernels::lower_write_pages(l, n.attrs.ints[0] != 0); };
  write.in_place = {{0, 0}};
  // The rows written; the pages they lie in stay where they are.
  write.cost = [](const Node& n) { return Cost{0, 2.0 * static_cast<double>(n.inputs[1].meta().bytes())}; };
  write.sharding = "pg..,ngd,n->pg..";
  write.samples = samples_write_pages;
  OpDef rope_op;
  rope_op.name = "rope";
  rope_op.signature = "rope(x[B, H, T, D], positions[B, T], cos[P, D/2], sin[P, D/2], interleaved) -> y";
  rope_op.infer = infer_rope;
  rope_op.reference = ref_rope;
  rope_op.gradient = grad_rope;
  rope_op.lower = [](Lowering& l, const Node& n) { kernels::lower_rope(l, n.attrs.ints[0] != 0); };
  rope_op.cost = [](const Node& n) { return streaming_cost(n, 3); };
  rope_op.sharding = "bhtd,bt,..,..->bhtd";
  rope_op.samples = samples_rope;
  return {fwd, bwd, paged, write, rope_op};
}
const std::vector<OpDef>& attention_table() {
  static const std::vector<OpDef> table = make_attention_table();
  return table;
}

Grads grad_attention(const Node& n, std::span<const Value> out, std::span<const Value> g) {
  const Value delta = sum(mul(g[0], out[0]), {-1});
  const auto node = make_node(attention_table()[1], {n.inputs[0], n.inputs[1], n.inputs[2], out[1], delta, g[0]}, n.attrs);
  return {Value{node, 0}, Value{node, 1}, Value{node, 2}};
}

}  // namespace

std::span<const OpDef> attention_ops() { return attention_table(); }

Value attention(const Value& q, const Value& k, const Value& v, double scale, bool causal) {
  return {make_node(attention_table()[0], {q, k, v}, {{causal ? 1 : 0}, {scale}}), 0};
}
Value paged_attention(const Value& q, const Value& k_pages, const Value& v_pages, const Value& pages, const Value& lengths,
                      double scale) {
  return {make_node(attention_table()[2], {q, k_pages, v_pages, pages, lengths}, {{}, {scale}}), 0};
}
Value write_pages(const Value& pages, const Value& x, const Value& slots, bool transposed) {
  return {make_node(attention_table()[3], {pages, x, slots}, {{transposed ? 1 : 0}, {}}), 0};
}
Value rope(const Value& x, const Value& positions, const Value& cos, const Value& sin, bool interleaved) {
  const Value p = positions.rank() == 1 ? expand(positions, {x.size(0), positions.size(0)}) : positions;
  return {make_node(attention_table()[4], {x, p, cos, sin}, {{interleaved ? 1 : 0}, {}}), 0};
}

}  // namespace bgl::ops
