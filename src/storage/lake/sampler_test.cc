#include "storage/lake/sampler.h"

#include <gtest/gtest.h>

#include <set>

#include "sim/sim_env.h"

namespace bgl::storage {
namespace {

// 300 files, some replaced, every seventh removed, the last in the log.
std::set<std::string> make_lake(Env& env) {
  auto lake = std::move(Lake::open(env, "/l", {.write = true, .create = true, .segment_files = 64, .merge_runs = 3})).value();
  std::set<std::string> live;
  for (int i = 0; i < 300; ++i) {
    EXPECT_TRUE(lake->put(std::to_string(i), "old" + std::to_string(i)).ok());
    live.insert(std::to_string(i));
    if (i % 10 == 9) {
      EXPECT_TRUE(lake->commit().ok());
    }
  }
  for (int i = 0; i < 300; i += 5) EXPECT_TRUE(lake->put(std::to_string(i), "new" + std::to_string(i)).ok());
  for (int i = 0; i < 300; i += 7) {
    EXPECT_TRUE(lake->remove(std::to_string(i)).ok());
    live.erase(std::to_string(i));
  }
  EXPECT_TRUE(lake->commit().ok());
  EXPECT_TRUE(lake->close().ok());
  return live;
}

std::vector<std::string> take(LakeSampler& sampler, int64_t count) {
  std::vector<std::string> names;
  auto files = sampler.next(count);
  EXPECT_TRUE(files.ok()) << files.status().message();
  for (const LakeFile& file : files.value()) {
    EXPECT_EQ(file.bytes, (std::stoi(file.path) % 5 == 0 ? "new" : "old") + file.path);
    names.push_back(file.path);
  }
  return names;
}

TEST(LakeSampler, EveryFileOnceAnEpochInAnotherOrder) {
  sim::SimEnv env(1);
  const auto live = make_lake(env);
  auto lake = std::move(Lake::open(env, "/l", {})).value();
  auto sampler = std::move(LakeSampler::open(*lake, {.seed = 3})).value();
  const auto first = take(sampler, static_cast<int64_t>(live.size()));
  EXPECT_EQ(std::set<std::string>(first.begin(), first.end()), live);
  const auto second = take(sampler, static_cast<int64_t>(live.size()));
  EXPECT_EQ(std::set<std::string>(second.begin(), second.end()), live);
  EXPECT_NE(first, second);
}

TEST(LakeSampler, ResumesExactlyAndWithAnotherWorld) {
  sim::SimEnv env(1);
  const auto live = make_lake(env);
  auto lake = std::move(Lake::open(env, "/l", {})).value();
  auto whole = std::move(LakeSampler::open(*lake, {.seed = 3})).value();
  const auto all = take(whole, 100);
  auto start = std::move(LakeSampler::open(*lake, {.seed = 3})).value();
  take(start, 40);
  auto resumed = std::move(LakeSampler::open(*lake, {.seed = 3, .position = start.position()})).value();
  EXPECT_EQ(take(resumed, 60), std::vector<std::string>(all.begin() + 40, all.end()));
  // An epoch over three ranks: every file once, none twice.
  std::multiset<std::string> seen;
  const int64_t records = *lake->record_count();
  for (int64_t rank = 0; rank < 3; ++rank) {
    auto part = std::move(LakeSampler::open(*lake, {.seed = 3, .rank = rank, .world = 3})).value();
    while (true) {
      const auto one = take(part, 1);
      if (part.position() > records) break;
      seen.insert(one[0]);
    }
  }
  EXPECT_EQ(seen, std::multiset<std::string>(live.begin(), live.end()));
}

TEST(LakeSampler, AnEmptyLakeAndWrongOptions) {
  sim::SimEnv env(1);
  auto lake = std::move(Lake::open(env, "/l", {.write = true, .create = true})).value();
  EXPECT_TRUE(LakeSampler::open(*lake, {})->next(5)->empty());
  EXPECT_EQ(LakeSampler::open(*lake, {.rank = 2, .world = 2}).status().message(),
            "rank 2 of 2 at position 0: the rank must be in [0, world), the position at least 0");
}

}  // namespace
}  // namespace bgl::storage
