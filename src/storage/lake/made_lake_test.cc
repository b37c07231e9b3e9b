// A lake of many segments opens without touching one, finds and lists with few reads, and merges one group without the others.
#include "storage/lake/made_lake.h"

#include <gtest/gtest.h>

#include "sim/sim_env.h"
#include "storage/lake/lake.h"

namespace bgl::storage {
namespace {

class MadeLakeTest : public ::testing::Test {
 protected:
  MadeLakeTest() : made_(std::move(MadeLake::create(under_, "/l", 5000)).value()) {}
  std::unique_ptr<Lake> open(LakeOptions options) {
    auto lake = Lake::open(*made_, "/l", options);
    EXPECT_TRUE(lake.ok()) << lake.status().message();
    return std::move(lake).value();
  }
  sim::SimEnv under_{1};
  std::unique_ptr<MadeLake> made_;
};

TEST_F(MadeLakeTest, OpensWithoutTouchingASegment) {
  EXPECT_GT(made_->segments(), 4800);
  auto lake = open({});
  EXPECT_EQ(lake->stat()->files, made_->files());
  EXPECT_EQ(lake->stat()->segments, made_->segments());
  lake.reset();
  lake = open({.write = true});
  EXPECT_EQ(made_->reads().segments + made_->reads().names, 0);
  EXPECT_TRUE(lake->close().ok());
}

TEST_F(MadeLakeTest, FindsWithOneReadAndAPageWithoutMemory) {
  for (const int64_t memory : {int64_t{1} << 40, int64_t{0}}) {
    auto lake = open({.index_memory_bytes = memory});
    const int64_t runs = lake->stat()->runs;
    const auto find_all = [&] {
      const int64_t before = made_->reads().segments;
      int64_t found = 0;
      for (int64_t i = 0; i < made_->files(); i += 97, ++found) EXPECT_EQ(*lake->get(MadeLake::path(i)), MadeLake::content(i));
      return static_cast<double>(made_->reads().segments - before) / static_cast<double>(found);
    };
    find_all();
    const double reads = find_all();
    EXPECT_GE(reads, 1.0);
    EXPECT_LE(reads, memory > 0 ? 1.2 + 0.02 * static_cast<double>(runs) : 1.2 + 1.02 * static_cast<double>(runs));
    EXPECT_EQ(lake->get("absent").status().code(), Code::kNotFound);
  }
}

TEST_F(MadeLakeTest, ListsAPartFromAFewFilesOfEachRun) {
  auto lake = open({});
  const auto entries = lake->ls("000002/00");
  ASSERT_TRUE(entries.ok());
  ASSERT_EQ(entries->size(), 100u);
  for (size_t i = 0; i < entries->size(); ++i) EXPECT_EQ((*entries)[i].path, MadeLake::path(20000 + static_cast<int64_t>(i)));
  // Of 5,000 names files: in each run the steps of a binary search, and the few that hold the part.
  EXPECT_LT(made_->reads().names, 1200);
}

TEST_F(MadeLakeTest, ASealMergesOneGroup) {
  auto lake = open({.write = true});
  const int64_t runs = lake->stat()->runs;
  ASSERT_TRUE(lake->put("new", "bytes").ok());
  ASSERT_TRUE(lake->put(MadeLake::path(3), "other bytes").ok());
  ASSERT_TRUE(lake->commit().ok());
  ASSERT_TRUE(lake->seal().ok());
  // Four of tier 0 became one; where that made eight of tier 1, these became one too.
  EXPECT_LE(lake->stat()->runs, runs - 2);
  EXPECT_LT(made_->reads().segments, 1500);
  EXPECT_EQ(*lake->get("new"), "bytes");
  EXPECT_EQ(*lake->get(MadeLake::path(3)), "other bytes");
  for (int64_t i = made_->files() - 500; i < made_->files(); ++i) ASSERT_EQ(*lake->get(MadeLake::path(i)), MadeLake::content(i));
  EXPECT_EQ(lake->stat()->files, made_->files() + 1);
  const Status sound = lake->verify();
  EXPECT_TRUE(sound.ok()) << sound.message();
  EXPECT_TRUE(lake->close().ok());
}

}  // namespace
}  // namespace bgl::storage
