#include "lang/text.h"

#include <gtest/gtest.h>

#include "lang/internal/random_kernel.h"

namespace bgl::lang {
namespace {

TEST(Text, IsReadable) {
  Builder b("sum_rows");
  const Val x = b.pointer("x", Mem::bf16), y = b.pointer("y", Mem::f32), n = b.i64("n");
  // One statement a value: the order in which a compiler evaluates arguments is its own.
  const Val zero = b.const_i64(0), step = b.const_i64(16), none = b.full(0, 1, 16);
  const auto sum = b.loop(zero, n, step, {none}, [&](Val i, const Builder::Vals& v) -> Builder::Vals {
    return {v[0] + b.load(x, i, {.rows = 1, .cols = 16, .col_limit = n - i})};
  });
  b.when(b.cmp_gt(n, b.const_i64(0)), [&] {
    const Val place = b.program_id(1);
    b.store(y, place, b.sum(sum[0]));
  });
  EXPECT_EQ(to_text(b.finish()), R"(kernel sum_rows(x: *bf16, y: *f32, n: i64) {
  %3 = const 0 : i64
  %4 = const 16 : i64
  %5 = const 0 : 1x16xf32
  %6 = for %7 in %3, %2, %4 carry %8 = %5 {
    %9 = sub %2, %7 : i64
    %10 = const 0 : i64
    %11 = const 1 : i64
    %12 = load %0, %7, %10, %11, _, %9 other 0 : 1x16xf32
    %13 = add %8, %12 : 1x16xf32
    yield %13
  }
  %14 = result %6, 0 : 1x16xf32
  %15 = const 0 : i64
  %16 = gt %2, %15 : i1
  if %16 {
    %17 = program_id 1 : i64
    %18 = reduce %14 sum axis 1 : f32
    %19 = const 0 : i64
    %20 = const 1 : i64
    store %1, %17, %19, %20, _, _, %18 : f32
  }
}
)");
}

TEST(Text, RoundTripsEveryKernelWithAndWithoutLines) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    const internal::RandomKernel kernel(seed);
    for (const bool lines : {false, true}) {
      const std::string text = to_text(kernel.fn, lines);
      const auto again = parse_text(text);
      ASSERT_TRUE(again.ok()) << again.status().to_string() << "\n" << text;
      ASSERT_EQ(to_text(*again, lines), text);
    }
  }
}

TEST(Text, SaysWhatIsWrongAndWhere) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "tile text line 0: there is no kernel"},
      {"kernel k(x: f64) {\n}", "tile text line 1: 'f64' is no type"},
      {"kernel k(x: *i16) {\n}", "tile text line 1: 'i16' is no memory type"},
      {"kernel k(n: i64) {\n  %1 = add %0, %2 : i64\n}", "tile text line 2: %2 is not defined before its use"},
      {"kernel k(n: i64) {\n\n  %1 = sin %0 : i64\n}", "tile text line 3: 'sin' is no operation"},
      {"kernel k(n: i64) {\n  %0 = add %0, %0 : i64\n}", "tile text line 2: %0 is given twice, or out of range"},
      {"kernel k(n: i64) {\n  add %0, %0 : i64\n}", "tile text line 2: add gives a value"},
      {"kernel k(n: i64) {\n  %1 = add %0, %0\n}", "tile text line 2: no ' : type' at the end of ''"},
      {"kernel k(n: i64) {\n  %1 = add %0, %0 : i64 more\n}", "tile text line 2: 'more' after the type"},
      {"kernel k(n: i64) {\n  %1 = const one : i64\n}", "tile text line 2: expected an integer, got 'one'"},
      {"kernel k(n: i64) {\n", "tile text line 1: the text ends inside a body"},
      {"kernel k(n: i64) {\n}\nx", "tile text line 3: 'x' after the kernel"},
      {"kernel k(n: i64) {\n  yield %0\n}", "tile text line 2: a yield that ends no loop"},
      {"kernel k(n: i64) {\n} else {\n}", "tile text line 2: an else that follows no if"},
      {"kernel k(n: i64) {\n  %1 = cast %0 : f32  # @ a.cc:3\n  %2 = add %1, %0 : f32  # @ a.cc:4\n}",
       "[kernel k] a.cc:4: add: of f32 and i64"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(parse_text(text).status().message(), message) << text;
}

TEST(Text, SurvivesDamage) {
  const std::string text = to_text(internal::RandomKernel(3).fn, true);
  std::mt19937 rng(1);
  for (int round = 0; round < 3000; ++round) {
    std::string bad = text;
    for (int k = 0; k < 1 + round % 3; ++k) {
      const size_t at = rng() % bad.size();
      switch (rng() % 4) {
        case 0:
          bad[at] = static_cast<char>(rng() % 96 + 32);
          break;
        case 1:
          bad.erase(at, rng() % 8);
          break;
        case 2:
          bad.insert(at, bad.substr(rng() % bad.size(), rng() % 30));
          break;
        default:
          bad.resize(at + 1);
      }
    }
    const auto fn =
        parse_text(bad);  // whatever it says, it may not crash, and what it accepts has a text that it accepts again
    if (fn.ok()) {
      EXPECT_TRUE(parse_text(to_text(*fn)).ok());
    }
  }
}

}  // namespace
}  // namespace bgl::lang
