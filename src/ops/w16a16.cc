#include "ops/w16a16.h"

#include <array>
#include <bit>

#include "ops/kernels/w16a16_kernels.h"
#include "ops/lowering.h"
#include "ops/packed.h"

namespace bgl::ops {
namespace {

TensorMeta panels_of(int64_t rows, int64_t k) {
  return {DType::kBF16, {(rows + kPanelWidth - 1) / kPanelWidth, pairs_of(k), kPanelWidth, kPair}};
}

// To the nearest bfloat16, ties to even.
double rounded(double x) {
  const auto f = static_cast<float>(x);
  const auto bits = std::bit_cast<uint32_t>(f);
  return static_cast<double>(std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u));
}

// --- w16a16_linear(x[M, K], panels); ints {N} ---
std::vector<TensorMeta> infer_w16a16_linear(std::span<const TensorMeta> in, const Attrs& attrs) {
  BGL_REQUIRE(in[0].dtype == DType::kF32 && in[0].shape.size() == 2, "[w16a16_linear] got x {} {}", dtype_name(in[0].dtype), shape_text(in[0].shape));
  check_w16a16("w16a16_linear", in[1], attrs.ints.at(0), in[0].shape[1]);
  return {{DType::kF32, {in[0].shape[0], attrs.ints[0]}}};
}

std::vector<RefTensor> ref_w16a16_linear(std::span<const RefTensor> in, const Attrs& attrs) {
  const int64_t m = in[0].shape[0], k = in[0].shape[1], n = attrs.ints[0];
  RefTensor out{{m, n}, {}};
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double s = 0;
      for (int64_t p = 0; p < k; ++p) s += rounded(in[0].at(i * k + p)) * w16a16_weight_at(in[1], j, p);
      out.data.push_back(s);
    }
  }
  return {out};
}

std::vector<Sample> samples_w16a16_linear() {
  std::vector<Sample> out;
  for (const auto& [m, k, n] : {std::array<int64_t, 3>{1, 1, 1}, {1, 70, 130}, {2, 64, 64}, {3, 130, 100}, {4, 301, 65}, {9, 65, 200},
                                {16, 5, 63}, {13, 700, 70}, {0, 3, 4}, {2, 0, 4}, {2, 3, 0}}) {
    out.push_back({{{{DType::kF32, {m, k}}}, w16a16_weight_input(n, k)}, {{n}, {}}});
  }
  return out;
}

}  // namespace

void check_w16a16(const char* op, const TensorMeta& panels, int64_t rows, int64_t k) {
  BGL_REQUIRE(panels == panels_of(rows, k), "[{}] got panels {} {} for a w16a16 weight [{}, {}]", op, dtype_name(panels.dtype), shape_text(panels.shape), rows, k);
}

double w16a16_weight_at(const RefTensor& panels, int64_t row, int64_t k) {
  return panels.at(((row / kPanelWidth * panels.shape[1] + k / kPair) * kPanelWidth + row % kPanelWidth) * kPair + k % kPair);
}

Sample::Input w16a16_weight_input(int64_t n, int64_t k) { return {panels_of(n, k)}; }

OpDef w16a16_linear_op() {
  OpDef op;
  op.name = "w16a16_linear";
  op.signature = "w16a16_linear(x[M, K], panels[N/64, K/2, 64, 2], N) -> [M, N]";
  op.infer = infer_w16a16_linear;
  op.reference = ref_w16a16_linear;
  op.lower = [](Lowering& l, const Node&) { kernels::lower_w16a16_linear(l); };
  op.sharding = "mk,nkl->mn";
  op.samples = samples_w16a16_linear;
  op.tolerance = 1e-4;
  return op;
}

}  // namespace bgl::ops
