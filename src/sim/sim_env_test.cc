#include "sim/sim_env.h"

#include <gtest/gtest.h>

#include <set>

namespace bgl::sim {
namespace {

void write_file(Env& env, const std::string& path, const std::string& bytes, bool sync) {
  auto file = std::move(env.open(path, OpenMode::kWrite)).value();
  ASSERT_TRUE(file->append(bytes).ok());
  if (sync) {
    ASSERT_TRUE(file->sync().ok());
  }
}

TEST(SimEnv, BehavesAsAFileSystem) {
  SimEnv env(1);
  EXPECT_EQ(env.read_file("/a").status().message(), "cannot open /a: No such file or directory");
  EXPECT_EQ(env.open("/d/a", OpenMode::kWrite).status().code(), Code::kNotFound);
  ASSERT_TRUE(env.make_dirs("/d/e").ok());
  ASSERT_TRUE(env.write_file_atomic("/d/e/a", "one").ok());
  ASSERT_TRUE(env.write_file_atomic("/d/e/a", "two").ok());
  EXPECT_EQ(*env.read_file("/d/e/a"), "two");
  EXPECT_EQ((*env.map("/d/e/a"))->bytes(), "two");
  EXPECT_EQ(env.stat("/d/e/a")->size, 3);
  EXPECT_EQ(env.remove("/d").message(), "cannot remove /d: Directory not empty");
  ASSERT_TRUE(env.rename("/d/e", "/f").ok());
  EXPECT_EQ(*env.read_file("/f/a"), "two");
  EXPECT_EQ(env.all_paths(), (std::vector<std::string>{"/d/", "/f/", "/f/a"}));
  ASSERT_TRUE(env.remove_all("/f").ok());
  EXPECT_FALSE(env.exists("/f"));
}

TEST(SimEnv, PowerCutKeepsWhatWasSynced) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SimEnv env(seed);
    ASSERT_TRUE(env.make_dirs("/d").ok());
    ASSERT_TRUE(env.sync_dir("/").ok());
    ASSERT_TRUE(env.write_file_atomic("/d/a", "kept").ok());
    env.restart(Crash::kPowerCut);
    EXPECT_EQ(*env.read_file("/d/a"), "kept") << seed;
  }
}

TEST(SimEnv, PowerCutTearsUnsyncedBytesAtSectors) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SimEnv env(seed);
    write_file(env, "/a", std::string(100, 'o'), true);
    ASSERT_TRUE(env.sync_dir("/").ok());
    auto file = std::move(env.open("/a", OpenMode::kUpdate)).value();
    ASSERT_TRUE(file->write_at(0, std::string(1536, 'n')).ok());
    env.restart(Crash::kPowerCut);
    const std::string bytes = *env.read_file("/a");
    for (size_t i = 0; i < bytes.size(); ++i) {
      ASSERT_TRUE(bytes[i] == 'n' || bytes[i] == (i < 100 ? 'o' : '\0')) << i;
      if (i % 512 != 0 && i != 100) {
        ASSERT_EQ(bytes[i] == 'n', bytes[i - 1] == 'n') << i;
      }
    }
    seen.insert(bytes);
    EXPECT_EQ(file->append("x").message(), "the simulated process has stopped");
  }
  EXPECT_EQ(seen.size(), 8u);  // each of the three sectors kept or lost
}

TEST(SimEnv, PowerCutMayLoseNamesAndRenamesButNeverHalves) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SimEnv env(seed);
    write_file(env, "/a", "old", true);
    ASSERT_TRUE(env.sync_dir("/").ok());
    write_file(env, "/b", "new", true);
    ASSERT_TRUE(env.rename("/b", "/a").ok());
    env.restart(Crash::kPowerCut);
    const std::string a = *env.read_file("/a");
    const std::string b = env.exists("/b") ? *env.read_file("/b") : "-";
    seen.insert(a + " " + b);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"new -", "old -", "old new"}));
}

TEST(SimEnv, KillKeepsEverythingWritten) {
  SimEnv env(3);
  write_file(env, "/a", "unsynced", false);
  env.restart(Crash::kKill);
  EXPECT_EQ(*env.read_file("/a"), "unsynced");
}

TEST(SimEnv, StopsAtTheGivenOperationAndEverythingAfterFails) {
  int happened = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SimEnv env(seed);
    env.set_faults({.stop_at = 2});
    auto file = std::move(env.open("/a", OpenMode::kWrite)).value();
    const Status status = file->append("x");
    EXPECT_EQ(status.code(), Code::kUnavailable);
    EXPECT_EQ(status.message(), "the simulated process has stopped");
    EXPECT_TRUE(env.stopped());
    EXPECT_EQ(env.stat("/a").status().message(), "the simulated process has stopped");
    env.restart(Crash::kKill);
    happened += *env.read_file("/a") == "x";
  }
  EXPECT_GT(happened, 5);
  EXPECT_LT(happened, 35);
}

TEST(SimEnv, OneFailureLeavesTheProcessAlive) {
  SimEnv env(1);
  env.set_faults({.fail_at = 2});
  auto file = std::move(env.open("/a", OpenMode::kWrite)).value();
  EXPECT_EQ(file->append("x").message(), "cannot write /a at byte 0: Input/output error");
  EXPECT_TRUE(file->append("y").ok());
  EXPECT_EQ(*env.read_file("/a"), "y");
  env.set_faults({.disk_bytes = 4});
  const Status full = file->append("12345");
  EXPECT_EQ(full.code(), Code::kResourceExhausted);
  EXPECT_EQ(full.message(), "cannot write /a at byte 1: No space left on device");
}

TEST(SimEnv, LocksNameTheHolderAndEndWithTheProcess) {
  SimEnv env(1);
  auto lock = env.lock_file("/LOCK", lock_holder_text(env));
  ASSERT_TRUE(lock.ok());
  const Status refused = env.lock_file("/LOCK", "me").status();
  EXPECT_EQ(refused.code(), Code::kAlreadyExists);
  EXPECT_EQ(refused.message(), "pid 1 (since 2023-11-14 22:13:20)");
  env.restart(Crash::kKill);
  auto next = env.lock_file("/LOCK", lock_holder_text(env));
  ASSERT_TRUE(next.ok());
  lock = make_status(Code::kCancelled, "gone");  // the old process's handle frees nothing
  EXPECT_EQ(env.lock_file("/LOCK", "me").status().message(), "pid 2 (since 2023-11-14 22:13:20)");
}

TEST(SimEnv, TheSameSeedGivesTheSameHistory) {
  const auto run = [](uint64_t seed) {
    SimEnv env(seed);
    write_file(env, "/a", std::string(5000, 'x'), false);
    write_file(env, "/b", std::string(5000, 'y'), false);
    env.restart(Crash::kPowerCut);
    std::string all;
    for (const auto& path : env.all_paths()) all += path + *env.read_file(path);
    return all;
  };
  EXPECT_EQ(run(7), run(7));
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 10; ++seed) seen.insert(run(seed));
  EXPECT_GT(seen.size(), 5u);
}

}  // namespace
}  // namespace bgl::sim
