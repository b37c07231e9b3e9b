#include "base/env.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

namespace bgl {
namespace {

class EnvTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/bgl_env_XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    dir_ = pattern;
  }
  void TearDown() override { EXPECT_TRUE(env_.remove_all(dir_).ok()); }
  std::string path(const std::string& name) { return join_path(dir_, name); }
  Env& env_ = real_env();
  std::string dir_;
};

TEST_F(EnvTest, WritesAppendsReadsAndTruncates) {
  {
    auto file = std::move(env_.open(path("a"), OpenMode::kWrite)).value();
    EXPECT_TRUE(file->append("hello ").ok());
    EXPECT_TRUE(file->append("world").ok());
    EXPECT_TRUE(file->write_at(0, "J").ok());
    EXPECT_TRUE(file->sync().ok());
    EXPECT_EQ(*file->pread(4, 100), "o world");
    EXPECT_EQ(*file->pread(11, 1), "");
    EXPECT_EQ(*file->size(), 11);
    EXPECT_TRUE(file->close().ok());
  }
  {
    auto file = std::move(env_.open(path("a"), OpenMode::kAppend)).value();
    EXPECT_TRUE(file->append("!").ok());
    EXPECT_TRUE(file->write_at(14, "x").ok());
    EXPECT_TRUE(file->append("y").ok());
  }
  EXPECT_EQ(*env_.read_file(path("a")), std::string("Jello world!\0\0xy", 16));
  auto file = std::move(env_.open(path("a"), OpenMode::kUpdate)).value();
  EXPECT_TRUE(file->truncate(5).ok());
  EXPECT_TRUE(file->append("!").ok());
  EXPECT_EQ(*env_.read_file(path("a")), "Jello!");
  EXPECT_EQ((*env_.map(path("a")))->bytes(), "Jello!");
}

TEST_F(EnvTest, ErrorsNamePathAndReason) {
  const Status missing = env_.read_file(path("none")).status();
  EXPECT_EQ(missing.code(), Code::kNotFound);
  EXPECT_EQ(missing.message(), "cannot open " + path("none") + ": No such file or directory");
  EXPECT_EQ(env_.open(dir_, OpenMode::kRead).status().message(), "cannot open " + dir_ + ": Is a directory");
  EXPECT_EQ(env_.list_dir(path("none")).status().message(), "cannot list " + path("none") + ": No such file or directory");
  ASSERT_TRUE(env_.write_file_atomic(path("f"), "x").ok());
  EXPECT_EQ(env_.make_dirs(path("f")).message(), "cannot make folder " + path("f") + ": File exists");
}

TEST_F(EnvTest, AtomicWriteReplacesAndLeavesNoTemporary) {
  ASSERT_TRUE(env_.write_file_atomic(path("m"), "one").ok());
  ASSERT_TRUE(env_.write_file_atomic(path("m"), "two").ok());
  EXPECT_EQ(*env_.read_file(path("m")), "two");
  auto entries = *env_.list_dir(dir_);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].name, "m");
}

TEST_F(EnvTest, FoldersAreMadeListedInOrderAndRemoved) {
  ASSERT_TRUE(env_.make_dirs(path("b/c/d")).ok());
  ASSERT_TRUE(env_.make_dirs(path("b/c/d")).ok());
  ASSERT_TRUE(env_.write_file_atomic(path("a"), "").ok());
  auto entries = *env_.list_dir(dir_);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].name, "a");
  EXPECT_FALSE(entries[0].is_dir);
  EXPECT_TRUE(entries[1].is_dir);
  EXPECT_TRUE(env_.stat(path("b"))->is_dir);
  EXPECT_TRUE(env_.remove_all(path("b")).ok());
  EXPECT_FALSE(env_.exists(path("b")));
  EXPECT_TRUE(env_.remove_all(path("b")).ok());
}

TEST_F(EnvTest, ReadFileReadsFilesThatTellNoSize) { EXPECT_FALSE(env_.read_file("/proc/self/status")->empty()); }

TEST_F(EnvTest, LockNamesItsHolderAndDiesWithIt) {
  int to_parent[2];
  ASSERT_EQ(pipe(to_parent), 0);
  const pid_t child = fork();
  if (child == 0) {
    auto lock = env_.lock_file(path("LOCK"), "pid 1 (since then)");
    const char ok = lock.ok() ? '1' : '0';
    if (write(to_parent[1], &ok, 1) != 1) _exit(1);
    while (true) pause();
  }
  char ok = 0;
  ASSERT_EQ(read(to_parent[0], &ok, 1), 1);
  EXPECT_EQ(ok, '1');
  const Status refused = env_.lock_file(path("LOCK"), "me").status();
  EXPECT_EQ(refused.code(), Code::kAlreadyExists);
  EXPECT_EQ(refused.message(), "pid 1 (since then)");
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(env_.lock_file(path("LOCK"), "me").ok());
  EXPECT_EQ(*env_.read_file(path("LOCK")), "me");
}

TEST(EnvPaths, JoinParentBase) {
  EXPECT_EQ(join_path("a", "b"), "a/b");
  EXPECT_EQ(join_path("a/", "b"), "a/b");
  EXPECT_EQ(join_path("", "b"), "b");
  EXPECT_EQ(join_path("a", "/b"), "/b");
  EXPECT_EQ(parent_path("a/b"), "a");
  EXPECT_EQ(parent_path("a/b/"), "a");
  EXPECT_EQ(parent_path("b"), ".");
  EXPECT_EQ(parent_path("/b"), "/");
  EXPECT_EQ(base_name("a/b/"), "b");
  EXPECT_EQ(base_name("b"), "b");
  EXPECT_EQ(base_name("/"), "/");
}

TEST(EnvPaths, TimesAreUtcDates) {
  EXPECT_EQ(format_time(0), "1970-01-01 00:00:00");
  EXPECT_EQ(format_time(951782400LL * 1'000'000'000), "2000-02-29 00:00:00");
  EXPECT_EQ(format_time(1709251199LL * 1'000'000'000 + 999'999'999), "2024-02-29 23:59:59");
  EXPECT_EQ(format_time(-1), "1969-12-31 23:59:59");
}

}  // namespace
}  // namespace bgl
