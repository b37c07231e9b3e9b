#include "lang/tuner.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "lang/builder.h"
#include "lang/later.h"

namespace bgl::lang {
namespace {

using Ready = Choice::Ready;
const auto kAll = [](size_t) { return Ready::kYes; };

// Runs `choice` until it settles, schedule i taking seconds[i]; returns how often each was run.
std::vector<int> run_until_settled(Choice& choice, const std::vector<double>& seconds, const std::function<Ready(size_t)>& ready = kAll) {
  std::vector<int> runs(seconds.size(), 0);
  for (int n = 0; n < 1000 && !choice.settled(); ++n) {
    const size_t i = choice.next(ready);
    ++runs[i];
    choice.took(i, seconds[i], 1);
  }
  return runs;
}

class TunerTest : public testing::Test {
 protected:
  void SetUp() override { set_tuning(Tuning::kOn); }
};

TEST_F(TunerTest, KeepsTheFastestAndRunsTheSlowOnesTwice) {
  Choice c("keeps the fastest", {"general", "slow", "fast", "near"});
  const std::vector<int> runs = run_until_settled(c, {0.010, 0.020, 0.008, 0.0085});
  EXPECT_EQ(c.settled(), 2u);
  EXPECT_EQ(runs, (std::vector<int>{4 + 8, 2, 8, 8}));
  EXPECT_EQ(c.next(kAll), 2u);
}

TEST_F(TunerTest, TheGeneralOneStaysWhereTheGainIsNoise) {
  Choice c("a gain of a hundredth", {"general", "other"});
  run_until_settled(c, {0.01, 0.0099});
  EXPECT_EQ(c.settled(), 0u);
}

TEST_F(TunerTest, AGainSeenInHalfOfTheRoundsIsNoise) {
  Choice c("noise", {"general", "other"});
  for (int n = 0; !c.settled(); ++n) {
    const size_t i = c.next(kAll);
    c.took(i, i && n % 4 < 2 ? 0.005 : 0.01, 1);
  }
  EXPECT_EQ(c.settled(), 0u);
}

TEST_F(TunerTest, AFewShortRunsTryNothing) {
  Choice c("cold", {"general", "other"});
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(c.next(kAll), 0u);
    c.took(0, 1e-5, 1);
  }
}

TEST_F(TunerTest, TheGeneralOneServesUntilAKernelIsThereAndOneThatNeverComesIsLeftOut) {
  Choice c("later", {"general", "late", "never"});
  int asked = 0;
  const auto ready = [&](size_t i) { return i == 2 ? Ready::kNever : ++asked > 5 ? Ready::kYes : Ready::kNotYet; };
  const std::vector<int> runs = run_until_settled(c, {0.01, 0.005, 0.001}, ready);
  EXPECT_EQ(c.settled(), 1u);
  EXPECT_EQ(runs[2], 0);
  EXPECT_GE(runs[0], 4 + 5);
}

TEST_F(TunerTest, RunsOfDifferentSizesAreComparedByTheirWork) {
  Choice c("by work", {"general", "fast"});
  for (int n = 0; n < 1000 && !c.settled(); ++n) {
    const size_t i = c.next(kAll);
    const double work = n % 2 ? 1e9 : 5e9;
    c.took(i, work * (i ? 0.9e-11 : 1e-11), work);
  }
  EXPECT_EQ(c.settled(), 1u);
}

TEST_F(TunerTest, OffTakesTheGeneralOneAndEveryGivesTurns) {
  Choice c("modes", {"general", "a", "b"});
  set_tuning(Tuning::kOff);
  EXPECT_EQ(c.next(kAll), 0u);
  set_tuning(Tuning::kEvery);
  std::vector<size_t> taken;
  for (int i = 0; i < 4; ++i) taken.push_back(c.next(kAll));
  EXPECT_EQ(taken, (std::vector<size_t>{0, 1, 2, 0}));
}

TEST(Tuned, ALineIsReadBackAndTheLastOneCounts) {
  const Tuned a{"m, 2 threads", "gemm r 64x64x64", "4x24", 1.25}, b{"m, 2 threads", "gemm r 64x64x64", "general", 1};
  int torn = 0;
  const std::vector<Tuned> read = parse_tuned(to_line(a) + "torn\tline\n" + to_line(a).substr(3) + to_line(b), &torn);
  EXPECT_EQ(torn, 2);
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0].schedule, "general");
  EXPECT_EQ(read[0].machine, "m, 2 threads");
  EXPECT_TRUE(parse_tuned(std::string("\0\xff\n\n\t\t\t\n", 7)).empty());
}

// Run by the next test in processes of their own, which share a cache folder.
TEST_F(TunerTest, DISABLED_InAProcess) {
  Choice& c = choice_for("kept", {"general", "fast"});
  if (std::getenv("BGL_TEST_SECOND")) {
    ASSERT_EQ(c.settled(), 1u);
    EXPECT_FALSE(choice_for("another", {"general", "fast"}).settled());
    return;
  }
  ASSERT_FALSE(c.settled());
  run_until_settled(c, {0.01, 0.005});
  EXPECT_EQ(c.settled(), 1u);
}

TEST(Tuned, TheNextProcessFindsWhatOneHasSettled) {
  char folder[] = "/tmp/bgl-tuner-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string command = fmt::format(
      "BGL_CACHE_DIR={} /proc/{}/exe --gtest_also_run_disabled_tests --gtest_filter='*DISABLED_InAProcess' >/dev/null 2>&1", folder, getpid());
  EXPECT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(std::system(("BGL_TEST_SECOND=1 " + command).c_str()), 0);
  // Of another machine: not taken.
  EXPECT_EQ(std::system(fmt::format("sed -i 's/^/another /' {}/tuned.tsv", folder).c_str()), 0);
  EXPECT_NE(std::system(("BGL_TEST_SECOND=1 " + command).c_str()), 0);
  EXPECT_EQ(std::system(fmt::format("rm -r {}", folder).c_str()), 0);
}

std::shared_ptr<const Function> doubling(const std::string& name) {
  Builder b(name);
  const Val x = b.pointer("x", Mem::f32);
  b.store(x, b.const_i64(0), b.load(x, b.const_i64(0)) * 2.0);
  return std::make_shared<const Function>(b.finish());
}

TEST(Later, AKernelComesWhileOthersRun) {
  const auto function = doubling("doubling_later");
  LaterKernel& later = later_kernel(function);
  EXPECT_EQ(&later, &later_kernel(function));
  for (int i = 0; i < 60000 && !later.get(); ++i) usleep(1000);
  ASSERT_NE(later.get(), nullptr);
  float x = 21;
  const uint64_t slots[] = {slot(&x)};
  ASSERT_TRUE(launch(*later.get(), {1, 1, 1}, slots).ok());
  EXPECT_EQ(x, 42);
  EXPECT_NE(later_kernel(doubling("doubling_now")).wait(), nullptr);
}

TEST(Later, AKernelThatCannotBeCompiledIsSaid) {
  Function broken = *doubling("broken");
  broken.insts.back().in[0] = 1000;
  LaterKernel& later = later_kernel(std::make_shared<const Function>(std::move(broken)));
  EXPECT_EQ(later.wait(), nullptr);
  EXPECT_TRUE(later.failed());
}

}  // namespace
}  // namespace bgl::lang
