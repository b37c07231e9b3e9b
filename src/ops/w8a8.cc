#include "ops/w8a8.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "ops/kernels/w8a8_kernels.h"
#include "ops/lowering.h"
#include "ops/packed.h"

namespace bgl::ops {
namespace {

using Metas = std::span<const TensorMeta>;

// --- w8a8_linear(x[M, K], panels, scales, sums); ints {N} ---
std::vector<TensorMeta> infer_w8a8_linear(Metas in, const Attrs& attrs) {
  BGL_REQUIRE(in[0].dtype == DType::kF32 && in[0].shape.size() == 2, "[w8a8_linear] got x {} {}", dtype_name(in[0].dtype), shape_text(in[0].shape));
  check_w8a8("w8a8_linear", in.subspan(1), attrs.ints.at(0), in[0].shape[1]);
  return {{DType::kF32, {in[0].shape[0], attrs.ints[0]}}};
}

// A group of a row of x as the bytes it becomes, less their offset, and their scale: in float32, as the kernel rounds.
struct QuantisedGroup {
  std::vector<double> q;
  float scale = 0;
};
QuantisedGroup quantised(const RefTensor& x, int64_t from, int64_t n) {
  QuantisedGroup out;
  float most = 0;
  for (int64_t i = 0; i < n; ++i) most = std::max(most, std::fabs(static_cast<float>(x.at(from + i))));
  out.scale = most / 127;
  for (int64_t i = 0; i < n; ++i) out.q.push_back(std::nearbyint(static_cast<float>(x.at(from + i)) / std::max(out.scale, FLT_MIN)));
  return out;
}

// The sums are of random numbers in a sample, so the reference takes them as they are: bytes with their offset, plus the sums.
std::vector<RefTensor> ref_w8a8_linear(std::span<const RefTensor> in, const Attrs& attrs) {
  const int64_t m = in[0].shape[0], k = in[0].shape[1], n = attrs.ints[0], groups = scale_groups(k);
  RefTensor out{{m, n}, std::vector<double>(static_cast<size_t>(m * n), 0.0)};
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t from = g * kScaleGroup, count = std::min(kScaleGroup, k - from);
      const QuantisedGroup x = quantised(in[0], i * k + from, count);
      for (int64_t j = 0; j < n; ++j) {
        const int64_t at = (j / kPanelWidth * groups + g) * kPanelWidth + j % kPanelWidth;
        double sum = in[3].at(at);
        for (int64_t p = 0; p < kScaleGroup; ++p) {
          const double byte = (p < count ? x.q[static_cast<size_t>(p)] : 0.0) + static_cast<double>(kByteOffset);
          const int64_t four = (from + p) / kByteGroup;
          sum += byte * in[1].at(((j / kPanelWidth * groups * (kScaleGroup / kByteGroup) + four) * kPanelWidth + j % kPanelWidth) * kByteGroup + p % kByteGroup);
        }
        out.at(i * n + j) += sum * static_cast<double>(x.scale) * in[2].at(at);
      }
    }
  }
  return {out};
}

std::vector<Sample> samples_w8a8_linear() {
  std::vector<Sample> out;
  for (const auto& [m, k, n] : {std::array<int64_t, 3>{1, 1, 1}, {1, 70, 130}, {2, 64, 64}, {3, 130, 100}, {4, 300, 65}, {9, 65, 200},
                                {16, 5, 63}, {13, 700, 70}, {0, 3, 4}, {2, 0, 4}, {2, 3, 0}}) {
    std::vector<Sample::Input> inputs = w8a8_weight_inputs(n, k);
    inputs.insert(inputs.begin(), Sample::Input{TensorMeta{DType::kF32, {m, k}}});
    out.push_back({inputs, {{n}, {}}});
  }
  return out;
}

}  // namespace

void check_w8a8(const char* op, Metas in, int64_t rows, int64_t k) {
  const int64_t panels = (rows + kPanelWidth - 1) / kPanelWidth, groups = scale_groups(k);
  const TensorMeta wanted[] = {{DType::kI8, {panels, groups * kScaleGroup / kByteGroup, kPanelWidth, kByteGroup}},
                               {DType::kF32, {panels, groups, kPanelWidth}},
                               {DType::kI32, {panels, groups, kPanelWidth}}};
  for (size_t i = 0; i < in.size(); ++i) {
    BGL_REQUIRE(in[i] == wanted[i], "[{}] got {} {} for the {} of a w8a8 weight [{}, {}]", op, dtype_name(in[i].dtype), shape_text(in[i].shape),
                i == 0 ? "panels" : i == 1 ? "scales" : "sums", rows, k);
  }
}

double w8a8_weight_at(std::span<const RefTensor> in, int64_t row, int64_t k) {
  const int64_t panel = row / kPanelWidth, lane = row % kPanelWidth;
  const double q = in[0].at(((panel * in[0].shape[1] + k / kByteGroup) * kPanelWidth + lane) * kByteGroup + k % kByteGroup);
  return q * in[1].at((panel * in[1].shape[1] + k / kScaleGroup) * kPanelWidth + lane);
}

std::vector<Sample::Input> w8a8_weight_inputs(int64_t n, int64_t k) {
  const int64_t panels = (n + kPanelWidth - 1) / kPanelWidth, groups = scale_groups(k);
  return {{{DType::kI8, {panels, groups * kScaleGroup / kByteGroup, kPanelWidth, kByteGroup}}, -127, 128},
          {{DType::kF32, {panels, groups, kPanelWidth}}, 0.001, 0.015},
          {{DType::kI32, {panels, groups, kPanelWidth}}, -20000, 20000}};
}

OpDef w8a8_linear_op() {
  OpDef op;
  op.name = "w8a8_linear";
  op.signature = "w8a8_linear(x[M, K], panels[N/64, K/4, 64, 4], scales[N/64, K/64, 64], sums[N/64, K/64, 64], N) -> [M, N]";
  op.infer = infer_w8a8_linear;
  op.reference = ref_w8a8_linear;
  op.lower = [](Lowering& l, const Node&) { kernels::lower_w8a8_linear(l); };
  op.sharding = "mk,nkl,nkl,nkl->mn";
  op.samples = samples_w8a8_linear;
  op.tolerance = 1e-4;
  return op;
}

}  // namespace bgl::ops
