#include "text/files/staged_files.h"

#include <gtest/gtest.h>

#include "sim/sim_env.h"
#include "text/files/sidecar.h"

namespace bgl::text {
namespace {

// Writes "a", and "b" unless it is left out, all of `text`.
Status write_set(Env& env, const std::string& text, bool b = true) {
  BGL_ASSIGN(StagedFiles staged, StagedFiles::begin(env, "/m"));
  BGL_TRY(env.write_file_atomic(join_path(staged.path(), "a"), text));
  if (b) BGL_TRY(env.write_file_atomic(join_path(staged.path(), "b"), text));
  staged.replaces({"a", "b"});
  return staged.publish();
}

std::string names(Env& env) {
  std::string out;
  const auto entries = env.list_dir("/m");
  for (const DirEntry& e : *entries) out += e.name + " ";
  return out;
}

TEST(StagedFiles, ReplaceTogetherAndLeaveTheOthersAlone) {
  sim::SimEnv env(1);
  ASSERT_TRUE(write_set(env, "one").ok());
  ASSERT_TRUE(env.write_file_atomic("/m/notes", "mine").ok());
  ASSERT_TRUE(write_set(env, "two", false).ok());
  EXPECT_EQ(names(env), "a manifest.json notes ");
  EXPECT_EQ(env.read_file("/m/a").value(), "two");
  EXPECT_EQ(verify_sidecar(env, "/m")->unlisted, std::vector<std::string>{"notes"});
}

// A disk of every size: the change is there, or the set before it with nothing beside.
TEST(StagedFiles, AFullDiskLeavesTheSetBefore) {
  int full = 0;
  for (int64_t bytes = 20; bytes < 3000; bytes += 20) {
    sim::SimEnv env(2);
    ASSERT_TRUE(write_set(env, std::string(300, '1')).ok());
    env.set_faults({.disk_bytes = bytes});
    const Status status = write_set(env, std::string(300, '2'));
    full += !status.ok();
    if (!status.ok()) {
      EXPECT_EQ(status.code(), Code::kResourceExhausted) << status.message();
    }
    EXPECT_EQ(names(env), "a b manifest.json ") << bytes;
    EXPECT_EQ(env.read_file("/m/b").value(), std::string(300, status.ok() ? '2' : '1'));
    EXPECT_TRUE(verify_sidecar(env, "/m").ok()) << bytes;
  }
  EXPECT_GT(full, 10);
}

// The process stops at every operation, with a power cut: one of the two sets is there, or readers are told that neither is.
TEST(StagedFiles, AMixtureIsNeverTakenForASet) {
  int64_t operations = 1000;
  int mixtures = 0;
  for (int64_t stop = 1; stop <= operations; ++stop) {
    sim::SimEnv env(static_cast<uint64_t>(stop));
    ASSERT_TRUE(write_set(env, "one").ok());
    const int64_t before = env.operations();
    env.set_faults({.stop_at = before + stop});
    const bool written = write_set(env, "two").ok();
    if (written) operations = env.operations() - before;
    env.restart(sim::Crash::kPowerCut);
    const auto report = verify_sidecar(env, "/m");
    if (report.ok()) {
      EXPECT_EQ(env.read_file("/m/a").value(), env.read_file("/m/b").value()) << "stop " << stop;
    } else {
      EXPECT_EQ(report.status().code(), Code::kDataLoss) << report.status().message();
      EXPECT_FALSE(written);
      ++mixtures;
    }
    // And the next writer goes on.
    ASSERT_TRUE(write_set(env, "three").ok());
    EXPECT_EQ(names(env), "a b manifest.json ");
    EXPECT_TRUE(verify_sidecar(env, "/m").ok());
  }
  EXPECT_LT(operations, 1000);
  EXPECT_LT(mixtures, 6);
}

}  // namespace
}  // namespace bgl::text
