// Products with packed weights, and rows looked up in them; see packed.h for the layout and the numbers.
#include "ops/packed.h"

#include <algorithm>

#include "ops/functions.h"
#include "ops/kernels/packed_kernels.h"
#include "ops/lowering.h"
#include "ops/w16a16.h"
#include "ops/w8a8.h"

namespace bgl::ops {
namespace {

using Metas = std::span<const TensorMeta>;

// `in`: panels, then scales where the panels are int8. The sizes must be those of W[rows, K].
void check_weight(const char* op, Metas in, int64_t rows) {
  const Shape& panels = in[0].shape;
  const DType type = in[0].dtype;
  BGL_REQUIRE(panels.size() == 3 && panels[0] == (rows + kPanelWidth - 1) / kPanelWidth && panels[2] == kPanelWidth,
              "[{}] got panels {} for a weight of {} rows", op, shape_text(panels), rows);
  BGL_REQUIRE(type == DType::kF32 || type == DType::kBF16 || type == DType::kI8, "[{}] got panels of {}", op, dtype_name(type));
  BGL_REQUIRE((type == DType::kI8) == (in.size() == 2), "[{}] got {} with {} scales: int8 has them, and nothing else", op,
              dtype_name(type), in.size() == 2 ? "" : "no");
  if (in.size() < 2) return;
  const TensorMeta wanted{DType::kF32, {panels[0], scale_groups(panels[1]), kPanelWidth}};
  BGL_REQUIRE(in[1] == wanted, "[{}] got scales {} {} for panels {}", op, dtype_name(in[1].dtype), shape_text(in[1].shape),
              shape_text(panels));
}

// Element (row, k) of the weight.
double weight_at(std::span<const RefTensor> in, int64_t row, int64_t k) {
  if (in[0].shape.size() == 4) return in[0].shape[3] == kPair ? w16a16_weight_at(in[0], row, k) : w8a8_weight_at(in, row, k);
  const int64_t width = in[0].shape[1], panel = row / kPanelWidth, lane = row % kPanelWidth;
  const double q = in[0].at((panel * width + k) * kPanelWidth + lane);
  return in.size() == 1 ? q : q * in[1].at((panel * in[1].shape[1] + k / kScaleGroup) * kPanelWidth + lane);
}

// --- packed_linear(x[M, K], panels, scales?); ints {N} ---
std::vector<TensorMeta> infer_packed_linear(Metas in, const Attrs& attrs) {
  check_weight("packed_linear", in.subspan(1), attrs.ints.at(0));
  BGL_REQUIRE(in[0].dtype == DType::kF32 && in[0].shape.size() == 2 && in[0].shape[1] == in[1].shape[1],
              "[packed_linear] got x {} {} for panels {}", dtype_name(in[0].dtype), shape_text(in[0].shape), shape_text(in[1].shape));
  return {{DType::kF32, {in[0].shape[0], attrs.ints[0]}}};
}
std::vector<RefTensor> ref_packed_linear(std::span<const RefTensor> in, const Attrs& attrs) {
  const int64_t m = in[0].shape[0], k = in[0].shape[1], n = attrs.ints[0];
  RefTensor out{{m, n}, {}};
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double s = 0;
      for (int64_t p = 0; p < k; ++p) s += in[0].at(i * k + p) * weight_at(in.subspan(1), j, p);
      out.data.push_back(s);
    }
  }
  return {out};
}
Cost cost_packed_linear(const Node& node) {
  Cost c = streaming_cost(node, 0);
  c.flops = 2.0 * static_cast<double>(numel(node.outs[0].shape)) * static_cast<double>(node.inputs[0].size(1));
  return c;
}

// --- packed_embedding(panels, scales?, ids[...]); ints {N, K} ---
std::vector<TensorMeta> infer_packed_embedding(Metas in, const Attrs& attrs) {
  if (in[0].shape.size() == 4 && in[0].dtype == DType::kBF16) {
    check_w16a16("packed_embedding", in[0], attrs.ints.at(0), attrs.ints.at(1));
  } else if (in[0].shape.size() == 4) {
    check_w8a8("packed_embedding", in.first(in.size() - 1), attrs.ints.at(0), attrs.ints.at(1));
  } else {
    check_weight("packed_embedding", in.first(in.size() - 1), attrs.ints.at(0));
    BGL_REQUIRE(in[0].shape[1] == attrs.ints.at(1), "[packed_embedding] got panels {} for a width of {}", shape_text(in[0].shape), attrs.ints[1]);
  }
  BGL_REQUIRE(in.back().dtype == DType::kI64, "[packed_embedding] got ids of {}: needs int64", dtype_name(in.back().dtype));
  TensorMeta out{DType::kF32, in.back().shape};
  out.shape.push_back(attrs.ints[1]);
  return {out};
}
std::vector<RefTensor> ref_packed_embedding(std::span<const RefTensor> in, const Attrs& attrs) {
  const int64_t width = attrs.ints[1];
  RefTensor out{in.back().shape, {}};
  out.shape.push_back(width);
  for (const double id : in.back().data) {
    for (int64_t k = 0; k < width; ++k) out.data.push_back(weight_at(in.first(in.size() - 1), static_cast<int64_t>(id), k));
  }
  return {out};
}
// Only the rows that are looked up move.
Cost cost_packed_embedding(const Node& node) {
  const double elements = static_cast<double>(numel(node.outs[0].shape));
  return {0, elements * static_cast<double>(dtype_size(node.inputs[0].dtype())) + static_cast<double>(node.outs[0].bytes())};
}

// The weight W[n, k] as inputs of a sample: panels of `type`, and scales that make int8 as large as the others.
std::vector<Sample::Input> weight_inputs(DType type, int64_t n, int64_t k) {
  const int64_t panels = (n + kPanelWidth - 1) / kPanelWidth;
  std::vector<Sample::Input> out = {{{type, {panels, k, kPanelWidth}}}};
  if (type != DType::kI8) return out;
  out[0].low = -127, out[0].high = 128;
  out.push_back({{DType::kF32, {panels, scale_groups(k), kPanelWidth}}, 0.001, 0.015});
  return out;
}
constexpr DType kPackedTypes[] = {DType::kF32, DType::kBF16, DType::kI8};

std::vector<Sample> samples_packed_linear() {
  std::vector<Sample> out;
  for (const DType type : kPackedTypes) {
    for (const auto& [m, k, n] : {std::array<int64_t, 3>{1, 1, 1}, {1, 70, 130}, {2, 64, 64}, {3, 130, 100}, {4, 300, 65}, {9, 65, 200},
                                  {16, 5, 63}, {0, 3, 4}, {2, 0, 4}, {2, 3, 0}}) {
      std::vector<Sample::Input> inputs = weight_inputs(type, n, k);
      inputs.insert(inputs.begin(), Sample::Input{TensorMeta{DType::kF32, {m, k}}});
      out.push_back({inputs, {{n}, {}}});
    }
  }
  return out;
}
std::vector<Sample> samples_packed_embedding() {
  std::vector<Sample> out;
  for (const DType type : kPackedTypes) {
    for (const auto& [k, n] : {std::array<int64_t, 2>{1, 1}, {70, 130}, {64, 64}}) {
      std::vector<Sample::Input> inputs = weight_inputs(type, n, k);
      inputs.push_back({{DType::kI64, {2, 3}}, 0, static_cast<double>(n)});
      out.push_back({inputs, {{n, k}, {}}});
    }
  }
  for (const auto& [k, n] : {std::array<int64_t, 2>{1, 1}, {70, 130}, {64, 64}}) {
    std::vector<Sample::Input> inputs = w8a8_weight_inputs(n, k);
    inputs.pop_back();  // the sums
    inputs.push_back({{DType::kI64, {2, 3}}, 0, static_cast<double>(n)});
    out.push_back({inputs, {{n, k}, {}}});
    out.push_back({{w16a16_weight_input(n, k), inputs.back()}, {{n, k}, {}}});
  }
  return out;
}

const std::vector<OpDef>& packed_table() {
  static const std::vector<OpDef> table = [] {
    OpDef linear_op;
    linear_op.name = "packed_linear";
    linear_op.signature = "packed_linear(x[M, K], panels[N/64, K, 64], scales[N/64, K/64, 64]?, N) -> [M, N]";
    linear_op.infer = infer_packed_linear;
    linear_op.reference = ref_packed_linear;
    linear_op.lower = [](Lowering& l, const Node& n) { kernels::lower_packed_linear(l, n.inputs.size() == 3); };
    linear_op.sharding = "mk,nkl,nkl->mn";
    linear_op.samples = samples_packed_linear;
    linear_op.tolerance = 1e-4;  // as matmul's
    OpDef embedding_op;
    embedding_op.name = "packed_embedding";
    embedding_op.signature = "packed_embedding(panels[N/64, K, 64], scales[N/64, K/64, 64]?, ids[...], N, K) -> [..., K]";
    embedding_op.infer = infer_packed_embedding;
    embedding_op.reference = ref_packed_embedding;
    embedding_op.lower = [](Lowering& l, const Node& n) { kernels::lower_packed_embedding(l, n.inputs.size() == 3, n.attrs.ints[0], n.attrs.ints[1]); };
    embedding_op.cost = cost_packed_embedding;
    embedding_op.sharding = "nkl,nkl,...->...k";
    embedding_op.samples = samples_packed_embedding;
    std::vector<OpDef> all = {linear_op, embedding_op, w8a8_linear_op(), w16a16_linear_op()};
    for (const size_t product : {0, 2, 3}) all[product].cost = cost_packed_linear;
    return all;
  }();
  return table;
}

}  // namespace

std::span<const OpDef> packed_ops() { return packed_table(); }

const char* name_of(WeightType type) {
  constexpr const char* kNames[] = {"f32", "bf16", "int8", "w8a8", "w16a16"};
  return kNames[static_cast<int>(type)];
}
std::optional<WeightType> weight_type_of(const std::string& name) {
  for (const WeightType t : {WeightType::kF32, WeightType::kBF16, WeightType::kInt8, WeightType::kW8A8, WeightType::kW16A16}) {
    if (name == name_of(t)) return t;
  }
  return std::nullopt;
}

int64_t PackedWeight::bytes() const {
  int64_t all = 0;
  for (const Value& v : {panels, scales, sums}) all += v ? v.meta().bytes() : 0;
  return all;
}

Value packed_linear(const Value& x, const PackedWeight& weight, const Value& bias) {
  BGL_REQUIRE(x.rank() >= 1 && x.size(-1) == weight.width, "[packed_linear] got x {} and weight [{}, {}]: the last dim of x must be {}",
              shape_text(x.shape()), weight.rows, weight.width, weight.width);
  Shape out = x.shape();
  out.back() = weight.rows;
  const int64_t m = numel(Shape(out.begin(), out.end() - 1));
  std::vector<Value> inputs = {reshape(x, {m, weight.width}), weight.panels};
  if (weight.scales) inputs.push_back(weight.scales);
  if (weight.sums) inputs.push_back(weight.sums);
  const OpDef& op = packed_table()[weight.type == WeightType::kW8A8 ? 2 : weight.type == WeightType::kW16A16 ? 3 : 0];
  const Value y = reshape({make_node(op, std::move(inputs), {{weight.rows}, {}}), 0}, out);
  return bias ? add(y, bias) : y;
}

Value packed_embedding(const PackedWeight& weight, const Value& ids) {
  std::vector<Value> inputs = {weight.panels};
  if (weight.scales) inputs.push_back(weight.scales);
  inputs.push_back(ids);
  return {make_node(packed_table()[1], std::move(inputs), {{weight.rows, weight.width}, {}}), 0};
}

}  // namespace bgl::ops
