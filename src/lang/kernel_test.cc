#include "lang/kernel.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lang/builder.h"
#include "lang/text.h"

namespace bgl::lang {
namespace {

Function scale_function(const std::string& name) {
  Builder b(name);
  const Val x = b.pointer("x", Mem::f32), y = b.pointer("y", Mem::f32), n = b.i64("n"), f = b.f32("factor");
  const Val start = b.program_id(0) * 16;
  const TileAccess at{.rows = 1, .cols = 16, .col_limit = n - start};
  b.store(y, start, b.load(x, start, at) * f, at);
  return b.finish();
}

TEST(Kernel, ScalesEveryElementAndNoMore) {
  const auto k = compile_kernel(scale_function("scale"));
  ASSERT_TRUE(k.ok()) << k.status().to_string();
  for (const int64_t n : {0, 1, 15, 16, 17, 1000}) {
    std::vector<float> x(static_cast<size_t>(n)), y(static_cast<size_t>(n) + 20, -7.0f);
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
    const uint64_t slots[] = {slot(x.data()), slot(y.data()), slot(n), slot(2.5f)};
    ASSERT_TRUE(launch(**k, {(n + 15) / 16, 1, 1}, slots).ok());
    for (size_t i = 0; i < y.size(); ++i) ASSERT_EQ(y[i], i < x.size() ? 2.5f * static_cast<float>(i) : -7.0f) << n << " " << i;
  }
}

TEST(Kernel, TheSameTextIsTheSameKernel) {
  const auto a = compile_kernel(scale_function("scale")), b = compile_kernel(scale_function("scale"));
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(*a, *b);
  EXPECT_EQ((*a)->name(), "scale");
  EXPECT_EQ((*a)->parameter_count(), 4u);
}

TEST(Kernel, WrongNumberOfSlotsIsRefused) {
  const auto k = compile_kernel(scale_function("scale"));
  ASSERT_TRUE(k.ok());
  const uint64_t slots[] = {0, 0};
  EXPECT_EQ(launch(**k, {1, 1, 1}, slots).message(), "[kernel scale] has 4 parameters, the launch gives 2");
}

// c[m, n] = a[m, k] b[k, n] in tiles of 6 x 16, as the operator library writes it.
Function gemm_function() {
  Builder b("gemm_6x16");
  const Val a = b.pointer("a", Mem::f32), bb = b.pointer("b", Mem::f32), c = b.pointer("c", Mem::f32);
  const Val m = b.i64("m"), n = b.i64("n"), k = b.i64("k");
  const Val row = b.program_id(1) * 6, col = b.program_id(0) * 16;
  const Val a_start = row, b_start = col;
  const auto acc = b.loop(b.const_i64(0), k, b.const_i64(1), {b.full(0, 6, 16)}, [&](Val p, const Builder::Vals& v) -> Builder::Vals {
    // a lies k-major (packed): column p of the tile is contiguous.
    const Val x = b.load(a, a_start + p * m, {.rows = 6, .cols = 1, .row_stride = b.const_i64(1)});
    const Val y = b.load(bb, b_start + p * n, {.rows = 1, .cols = 16});
    return {b.fma(x, y, v[0])};
  });
  b.store(c, row * n + col, acc[0], {.rows = 6, .cols = 16, .row_stride = n, .row_limit = m - row, .col_limit = n - col});
  return b.finish();
}

TEST(Kernel, MatrixProduct) {
  const auto kernel = compile_kernel(gemm_function());
  ASSERT_TRUE(kernel.ok()) << kernel.status().to_string();
  const int64_t m = 12, n = 32, k = 37;
  std::vector<float> a(static_cast<size_t>(m * k)), b(static_cast<size_t>(k * n)), c(static_cast<size_t>(m * n));
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 7) - 3;
  for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i % 11) - 5;
  const uint64_t slots[] = {slot(a.data()), slot(b.data()), slot(c.data()), slot(m), slot(n), slot(k)};
  ASSERT_TRUE(launch(**kernel, {n / 16, m / 6, 1}, slots).ok());
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      float s = 0;
      for (int64_t p = 0; p < k; ++p) s += a[static_cast<size_t>(p * m + i)] * b[static_cast<size_t>(p * n + j)];
      ASSERT_EQ(c[static_cast<size_t>(i * n + j)], s) << i << " " << j;
    }
  }
}

}  // namespace
}  // namespace bgl::lang
