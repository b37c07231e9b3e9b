#include "lang/measure.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "lang/engine.h"

namespace bgl::lang {
namespace {

TEST(Measure, RatesAreThoseOfAComputer) {
  const Rates r = measure_rates();
  EXPECT_GT(r.f32_flops, 1e6);
  EXPECT_LT(r.f32_flops, 1e15);
  EXPECT_GT(r.stream_bytes_per_s, 1e6);
  EXPECT_LT(r.stream_bytes_per_s, 1e13);
  if (std::getenv("BGL_TEST_VERBOSE"))
    std::printf("%.1f GFLOP/s, %.1f GB/s\n", r.f32_flops * 1e-9, r.stream_bytes_per_s * 1e-9);
}

}  // namespace
}  // namespace bgl::lang
