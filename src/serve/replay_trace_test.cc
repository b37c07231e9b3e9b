#include "serve/replay_trace.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "base/env.h"

namespace bgl::serve {
namespace {

std::string written(const std::string& text) {
  const std::string path = ::testing::TempDir() + "/bgl_trace.jsonl";
  EXPECT_TRUE(real_env().write_file_atomic(path, text).ok());
  return path;
}

TEST(ReplayTrace, LengthsAreDividedAndTimesBeginAtZero) {
  const std::string path = written(R"({"timestamp": 3000, "input_length": 1000, "output_length": 3, "hash_ids": [0, 7]})"
                                   "\n"
                                   R"({"timestamp": 4500, "input_length": 600, "output_length": 640, "hash_ids": [0, 8]})"
                                   "\n"
                                   R"({"timestamp": 9000, "input_length": 1, "output_length": 1, "hash_ids": [1]})");
  const auto t = read_trace(path, 64, 5);
  ASSERT_TRUE(t.ok()) << t.status().message();
  ASSERT_EQ(t->requests.size(), 2u);
  EXPECT_EQ(t->block, 8);
  EXPECT_DOUBLE_EQ(t->requests[1].at_s, 1.5);
  EXPECT_EQ(t->requests[0].input, 15);
  EXPECT_EQ(t->requests[0].output, 1);
  const auto a = prompt_of(t->requests[0], t->block, 100, 200), b = prompt_of(t->requests[1], t->block, 100, 200);
  EXPECT_EQ(a.size(), 15u);
  EXPECT_TRUE(std::equal(b.begin(), b.begin() + 8, a.begin()));
  EXPECT_NE(b[8], a[8]);
  for (const int32_t x : a) EXPECT_TRUE(x >= 100 && x < 200);
}

TEST(ReplayTrace, WrongLinesAreNamed) {
  const std::string path = written("{\"timestamp\": 1}\n");
  EXPECT_EQ(read_trace(path).status().message(), path + ":1: not a request of a trace: timestamp, input_length, output_length and hash_ids are expected");
  written(R"({"timestamp": 1, "input_length": 513, "output_length": 1, "hash_ids": [1]})");
  EXPECT_EQ(read_trace(path).status().message(), path + ":1: 1 hash_ids are too few for 513 tokens");
}

TEST(ReplayTrace, BeginningsOutliveWhatFollows) {
  ReplayTrace t;
  t.block = 8;
  t.requests = {{0, 24, 1, {1, 2, 3}}, {1, 24, 1, {1, 2, 4}}, {2, 8, 1, {5}}, {3, 24, 1, {1, 2, 3}}};
  EXPECT_DOUBLE_EQ(ideal_hit_ratio(t, 1 << 20), (16.0 + 24) / 80);
  EXPECT_DOUBLE_EQ(ideal_hit_ratio(t, 24), (16.0 + 16) / 80);
  EXPECT_DOUBLE_EQ(ideal_hit_ratio(t, 0), 0);
}

TEST(ReplayTrace, TheConversationTraceHasItsKnownRatios) {
  const char* data = std::getenv("BGL_TEST_DATA");
  if (!data) GTEST_SKIP() << "set BGL_TEST_DATA to the folder of test data to run this test";
  const auto t = read_trace(std::string(data) + "/traces/mooncake_conversation.jsonl");
  ASSERT_TRUE(t.ok()) << t.status().message();
  EXPECT_EQ(t->requests.size(), 12031u);
  const std::pair<int64_t, double> known[] = {{1'000'000, .054}, {3'000'000, .139}, {10'000'000, .291}, {30'000'000, .366}, {50'000'000, .371}, {int64_t{1} << 50, .374}};
  for (const auto& [tokens, ratio] : known) EXPECT_NEAR(ideal_hit_ratio(*t, tokens), ratio, 0.0005) << tokens;
}

}  // namespace
}  // namespace bgl::serve
