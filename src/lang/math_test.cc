#include "lang/math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "lang/kernel.h"

namespace bgl::lang {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
using MathFunction = Val (*)(Builder&, Val);

std::vector<float> run(const char* name, MathFunction f, const std::vector<float>& in) {
  Builder b(std::string("math_") + name);
  const Val x = b.pointer("x", Mem::f32), y = b.pointer("y", Mem::f32), n = b.i64("n");
  const Val start = b.program_id(0) * 16;
  const TileAccess at{.rows = 1, .cols = 16, .col_limit = n - start};
  b.store(y, start, f(b, b.load(x, start, at)), at);
  const auto kernel = compile_kernel(b.finish());
  EXPECT_TRUE(kernel.ok()) << kernel.status().to_string();
  std::vector<float> out(in.size());
  const auto size = static_cast<int64_t>(in.size());
  const uint64_t slots[] = {slot(in.data()), slot(out.data()), slot(size)};
  EXPECT_TRUE(launch(**kernel, {(size + 15) / 16, 1, 1}, slots).ok());
  return out;
}

double ulps(float got, double want) {
  const double unit = std::max(std::ldexp(1.0, std::ilogb(want) - 23), 0x1p-149);
  return std::fabs(got - want) / unit;
}

struct Case {
  const char* name;
  MathFunction f;
  double (*exact)(double);
  double low, high;
  double max_ulps;
};

double exact_sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST(Math, WithinTheStatedUlps) {
  const Case cases[] = {
      {"exp", exp, std::exp, -87.3, 88.7, 1.2},
      {"exp", exp, std::exp, -1, 1, 1.2},
      {"exp_of_nonpositive", exp_of_nonpositive, std::exp, -87.3, 0, 1.2},
      {"log", log, std::log, 1.2e-38, 3.4e38, 1.2},
      {"log", log, std::log, 0.5, 2, 1.2},
      {"tanh", tanh, std::tanh, -12, 12, 3},
      {"tanh", tanh, std::tanh, -0.1, 0.1, 3},
      {"erf", erf, std::erf, -5, 5, machine().fma ? 4.5 : 6.0},
      {"erf", erf, std::erf, -0.1, 0.1, 4},
      {"sigmoid", sigmoid, exact_sigmoid, -87, 40, 3},
      {"sin", sin, std::sin, -3.14159, 3.14159, 1.6},
      {"cos", cos, std::cos, -3.14159, 3.14159, 1.6},
  };
  std::mt19937 rng(1);
  for (const Case& c : cases) {
    std::vector<float> in;
    const bool logarithmic = c.low > 0 && c.high > 1e10;
    for (int i = 0; i < 200'000; ++i) {
      const double u = rng() / 4294967296.0;
      const double x = logarithmic ? c.low * std::pow(c.high / c.low, u) : c.low + (c.high - c.low) * u;
      in.push_back(static_cast<float>(x));
      if (i % 8 == 0 && !logarithmic) in.push_back(static_cast<float>(x * std::ldexp(1.0, -static_cast<int>(rng() % 60))));
    }
    const std::vector<float> out = run(c.name, c.f, in);
    double worst = 0;
    float where = 0;
    for (size_t i = 0; i < in.size(); ++i) {
      const double want = c.exact(in[i]);
      if (std::fabs(want) < 1.1754943508222875e-38) continue;
      const double e = ulps(out[i], want);
      if (!(e <= worst)) worst = e, where = in[i];
    }
    EXPECT_LE(worst, c.max_ulps) << c.name << " at " << where;
    RecordProperty(fmt::format("{}_{}", c.name, c.low), fmt::format("{:.3f}", worst));
    if (std::getenv("BGL_TEST_VERBOSE")) fmt::print("{} [{}, {}]: {:.3f} ulp at {}\n", c.name, c.low, c.high, worst, where);
  }
}

TEST(Math, ASharesErrorIsSmallBesideTheLargest) {
  constexpr float kLargest = 3.25f;
  const MathFunction share = [](Builder& b, Val x) { return share_of_largest(b, x, b.splat_like(kLargest, x)); };
  std::mt19937 rng(4);
  std::vector<float> in = {kLargest};
  for (int i = 0; i < 200'000; ++i) in.push_back(kLargest - static_cast<float>(std::pow(100.0, rng() / 4294967296.0) - 1));
  const std::vector<float> out = run("share_of_largest", share, in);
  double worst = 0;
  for (size_t i = 0; i < in.size(); ++i) worst = std::max(worst, std::fabs(out[i] - std::exp(double{in[i]} - kLargest)));
  EXPECT_LE(worst, 3e-7);
  EXPECT_EQ(out[0], 1);
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> ends = run("share_of_largest", share, {-inf, -1e30f, nan});
  EXPECT_LE(ends[0], 2e-38f);
  EXPECT_LE(ends[1], 2e-38f);
  EXPECT_TRUE(std::isnan(ends[2]));
}

TEST(Math, SineAndCosineOfLargeArguments) {
  std::mt19937 rng(2);
  std::vector<float> in;
  for (int i = 0; i < 200'000; ++i) in.push_back(static_cast<float>((rng() / 2147483648.0 - 1) * 1e5));
  const std::vector<float> s = run("sin", sin, in), c = run("cos", cos, in);
  double worst = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    worst = std::max({worst, std::fabs(s[i] - std::sin(double{in[i]})), std::fabs(c[i] - std::cos(double{in[i]}))});
  }
  EXPECT_LE(worst, machine().fma ? 2e-7 : 2e-6);
  for (const float v : run("sin", sin, {1e6f, -3e9f, 1e30f, 3.4e38f})) EXPECT_LE(std::fabs(v), 1.0f);
}

void expect_same(const char* name, const std::vector<float>& got, const std::vector<float>& want) {
  for (size_t i = 0; i < want.size(); ++i) {
    if (std::isnan(want[i])) {
      EXPECT_TRUE(std::isnan(got[i])) << name << " " << i;
    } else {
      EXPECT_EQ(got[i], want[i]) << name << " " << i;
      EXPECT_EQ(std::signbit(got[i]), std::signbit(want[i])) << name << " " << i;
    }
  }
}

TEST(Math, LimitsAndSpecialValues) {
  expect_same("exp", run("exp", exp, {-kInf, kInf, kNan, 0, -0.0f, 88.8f, 1e30f, -88, -104, -1e30f}),
              {0, kInf, kNan, 1, 1, kInf, kInf, 0, 0, 0});
  expect_same("log", run("log", log, {0, -0.0f, 1, kInf, -kInf, -1, kNan, -1e-40f}),
              {-kInf, -kInf, 0, kInf, kNan, kNan, kNan, kNan});
  const float tiny = 1e-42f;
  EXPECT_NEAR(run("log", log, {tiny})[0], std::log(double{tiny}), 1e-5);
  expect_same("tanh", run("tanh", tanh, {kInf, -kInf, kNan, 0, -0.0f, 1e30f, -20, 1e-30f, tiny}),
              {1, -1, kNan, 0, -0.0f, 1, -1, 1e-30f, tiny});
  expect_same("erf", run("erf", erf, {kInf, -kInf, kNan, 0, -0.0f, 10, -10}), {1, -1, kNan, 0, -0.0f, 1, -1});
  expect_same("sigmoid", run("sigmoid", sigmoid, {kInf, -kInf, kNan, 0, 100, -200}), {1, 0, kNan, 0.5f, 1, 0});
  expect_same("sin", run("sin", sin, {kInf, -kInf, kNan, 0, -0.0f, 1e-30f}), {kNan, kNan, kNan, 0, -0.0f, 1e-30f});
  expect_same("cos", run("cos", cos, {kInf, -kInf, kNan, 0, -0.0f}), {kNan, kNan, kNan, 1, 1});
}

}  // namespace
}  // namespace bgl::lang
