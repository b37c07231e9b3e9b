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
  const double bytes = measure_byte_rate();
  EXPECT_GT(bytes, 1e6);
  EXPECT_LT(bytes, 1e16);
  if (std::getenv("BGL_TEST_VERBOSE"))
    std::printf("%.1f GFLOP/s, %.1f GB/s, %.1f G/s of bytes\n", r.f32_flops * 1e-9, r.stream_bytes_per_s * 1e-9, bytes * 1e-9);
}

}  // namespace
}  // namespace bgl::lang
