#include "lang/kernel.h"

#include <glob.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

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
  const auto acc =
      b.loop(b.const_i64(0), k, b.const_i64(1), {b.full(0, 6, 16)}, [&](Val p, const Builder::Vals& v) -> Builder::Vals {
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

TEST(Kernel, ThreadsCompileAndLaunchSideBySide) {
  const KernelCounters before = kernel_counters();
  std::vector<std::thread> threads;
  std::vector<const Kernel*> shared(8);
  for (size_t t = 0; t < 8; ++t) {
    threads.emplace_back([t, &shared] {
      const auto own = compile_kernel(scale_function(fmt::format("scale_of_thread_{}", t)));
      const auto one = compile_kernel(scale_function("scale_of_all"));
      ASSERT_TRUE(own.ok() && one.ok());
      shared[t] = *one;
      std::vector<float> x(1000, 1.0f), y(1000);
      const uint64_t slots[] = {slot(x.data()), slot(y.data()), slot(int64_t{1000}), slot(static_cast<float>(t))};
      for (int i = 0; i < 20; ++i) ASSERT_TRUE(launch(**own, {63, 1, 1}, slots).ok());
      for (const float v : y) ASSERT_EQ(v, static_cast<float>(t));
    });
  }
  for (std::thread& t : threads) t.join();
  for (const Kernel* k : shared) EXPECT_EQ(k, shared[0]);
  const KernelCounters after = kernel_counters();
  EXPECT_EQ(after.compiled + after.from_disk - before.compiled - before.from_disk, 9);
  EXPECT_EQ(static_cast<int64_t>(after.each.size()), after.compiled);
}

TEST(Kernel, ErrorsOfTheBuilderNameTheLineOfTheExpression) {
  Builder b("mixed");
  const Val i = b.i64("i"), f = b.f32("f");
  const int line = __LINE__ + 2;
  try {
    (void)(i + f);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()), fmt::format("[kernel mixed] kernel_test.cc:{}: add of i64 and f32: cast one first", line));
  }
}

TEST(KernelOnDisk, Child) {
  if (!std::getenv("BGL_TEST_CHILD")) GTEST_SKIP() << "run by the next test";
  ASSERT_TRUE(compile_kernel(scale_function("kept")).ok());
  std::printf("compiled %d, from disk %d\n", static_cast<int>(kernel_counters().compiled),
              static_cast<int>(kernel_counters().from_disk));
}

std::string run_child(const std::string& cache, const char* settings = "") {
  char self[4096] = {};
  EXPECT_GT(readlink("/proc/self/exe", self, sizeof self - 1), 0);
  const std::string command =
      fmt::format("BGL_TEST_CHILD=1 BGL_CACHE_DIR={} {} {} --gtest_filter=KernelOnDisk.Child 2>&1", cache, settings, self);
  std::string out;
  FILE* pipe = popen(command.c_str(), "r");
  char line[512];
  while (std::fgets(line, sizeof line, pipe)) {
    const std::string text = line;
    if (text.starts_with("compiled") || text.starts_with("bgl: warning")) out += text;
  }
  pclose(pipe);
  return out;
}

TEST(KernelOnDisk, WithoutLlvmTheNextEngineRunsAndSaysSo) {
  if (machine().engine != "llvm") GTEST_SKIP() << "libLLVM 19 is not installed";
  EXPECT_EQ(run_child("", "BGL_LLVM=/nonexistent BGL_CXX=/nonexistent"),
            "bgl: warning: kernels are interpreted, about a thousand times slower: install libllvm19, or a C++ "
            "compiler\ncompiled 1, from disk 0\n");
  const std::string broken = run_child("", "BGL_LLVM=/etc/hostname BGL_CXX=/nonexistent");
  EXPECT_TRUE(broken.starts_with("bgl: warning: device cpu: compile: libLLVM 19 cannot be opened (/etc/hostname: ")) << broken;
  EXPECT_TRUE(broken.ends_with("; install libllvm19; trying its next dialect\ncompiled 1, from disk 0\n")) << broken;
}

TEST(KernelOnDisk, ASecondProcessLoadsWhatTheFirstCompiled) {
  if (machine().engine == "tile") GTEST_SKIP() << "what is interpreted is not kept";
  std::string cache = ::testing::TempDir() + "bgl_kernels_XXXXXX";
  ASSERT_NE(mkdtemp(cache.data()), nullptr);
  EXPECT_EQ(run_child(cache), "compiled 1, from disk 0\n");
  EXPECT_EQ(run_child(cache), "compiled 0, from disk 1\n");
  // A damaged file is said and replaced.
  glob_t files;
  ASSERT_EQ(glob((cache + "/*.bin").c_str(), 0, nullptr, &files), 0);
  ASSERT_EQ(files.gl_pathc, 1u);
  const std::string path = files.gl_pathv[0];
  globfree(&files);
  ASSERT_EQ(truncate(path.c_str(), 100), 0);
  EXPECT_EQ(run_child(cache),
            fmt::format("bgl: warning: cached kernel {} is cut short: compiling again\ncompiled 1, from disk 0\n", path));
  EXPECT_EQ(run_child(cache), "compiled 0, from disk 1\n");
}

}  // namespace
}  // namespace bgl::lang
