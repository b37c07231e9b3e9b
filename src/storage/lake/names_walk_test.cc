#include "storage/lake/internal/names_walk.h"

#include <gtest/gtest.h>

#include <map>

#include "sim/sim_env.h"
#include "storage/directory_store.h"

namespace bgl::storage {
namespace {

class NamesWalkTest : public ::testing::Test {
 protected:
  NamesWalkTest() {
    EXPECT_TRUE(env_.make_dirs("/l").ok());
    // The oldest run was written by a version that gave each segment its own names; the next has its names in three files.
    add(1, 0, {0, 3, 6, 9, 12, 15});
    add(1, 0, {1, 4, 7, 10, 13});
    add(3, 1, {2, 3, 4});
    add(3, 1, {5, 6, 40});
    add(3, 1, {41, 42, 50});
    add(6, 1, {3, 60});
  }
  void add(int64_t run, int64_t run_names, std::initializer_list<int> numbers) {
    SegmentRow row;
    row.id = static_cast<int64_t>(rows_.size()) + 1;
    row.run = run;
    row.run_names = run_names;
    auto names = std::move(NamesWriter::create(store_, row.id)).value();
    for (const int n : numbers) {
      const std::string path = fmt::format("{}/{:02}", n / 10, n);
      EXPECT_TRUE(names->add({path, 100 * run + n, {}, false}).ok());
      model_[path] = 100 * run + n;  // runs come oldest first
    }
    EXPECT_TRUE(names->finish(row).ok());
    rows_.push_back(row);
  }
  sim::SimEnv env_{1};
  DirectoryStore store_{env_, "/l"};
  std::vector<SegmentRow> rows_;
  std::map<std::string, int64_t> model_;  // path -> content bytes
};

TEST_F(NamesWalkTest, ListsEveryPrefixOnceAndTheNewest) {
  for (const std::string prefix : {"", "0/", "0/0", "0/03", "1/", "3/", "4/4", "4/42", "5/", "6/", "7/"}) {
    SCOPED_TRACE(prefix);
    auto walk = std::move(NamesWalk::open(store_, "/l", rows_, prefix)).value();
    for (const auto& [path, bytes] : model_) {
      if (!path.starts_with(prefix)) continue;
      ASSERT_TRUE(walk->valid());
      EXPECT_EQ(walk->entry().path, path);
      EXPECT_EQ(walk->entry().content_bytes, bytes) << path;
      ASSERT_TRUE(walk->next().ok());
    }
    EXPECT_FALSE(walk->valid());
  }
}

// A part of the list is read from the files of each run that hold it: the others may be gone.
TEST_F(NamesWalkTest, ReadsOnlyTheFilesOfAPart) {
  ASSERT_TRUE(store_.remove(names_key(3)).ok());
  auto walk = NamesWalk::open(store_, "/l", std::span(rows_).subspan(2), "4/");
  ASSERT_TRUE(walk.ok()) << walk.status().message();
  std::vector<std::string> seen;
  while ((*walk)->valid()) {
    seen.push_back((*walk)->entry().path);
    ASSERT_TRUE((*walk)->next().ok());
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"4/40", "4/41", "4/42"}));
}

}  // namespace
}  // namespace bgl::storage
