// The lake on a disk that stops it at every single operation: what was acknowledged is there, a batch is there whole or not at
// all, and the next writer goes on.
#include <gtest/gtest.h>

#include <map>

#include "sim/sim_env.h"
#include "storage/lake/lake.h"

namespace bgl::storage {
namespace {

using Files = std::map<std::string, std::string>;

constexpr int kBatches = 14;
const LakeOptions kWriter{.write = true, .create = true, .segment_files = 7, .merge_runs = 2};

Files batch_files(int batch) {
  Files files;
  for (int i = 0; i < 4; ++i)
    files["f" + std::to_string((batch * 3 + i) % 20)] = std::string(300 + 40 * i, static_cast<char>('a' + batch));
  return files;
}

// What the process was told, and what it had asked for when it was stopped.
struct Told {
  Files acknowledged;
  Files asked;
  bool snapshot = false;
  Files snapshot_files;
};

Status write_batches(Env& env, Told& told, int first) {
  BGL_ASSIGN(auto lake, Lake::open(env, "/data/l", kWriter));
  for (int b = first; b < first + kBatches; ++b) {
    for (const auto& [path, content] : batch_files(b)) {
      told.asked[path] = content;
      BGL_TRY(lake->put(path, content));
    }
    const std::string gone = "f" + std::to_string((b * 7 + 5) % 20);
    told.asked.erase(gone);
    BGL_TRY(lake->remove(gone));
    BGL_TRY(lake->commit().status());
    told.acknowledged = told.asked;
    if (b == first + kBatches / 2) {
      BGL_TRY(lake->snapshot("half"));
      told.snapshot = true;
      told.snapshot_files = told.acknowledged;
    }
    if (b == first + kBatches / 2 + 2) BGL_TRY(lake->compact(2));
    if (b == first + kBatches - 3) {
      told.snapshot = false;  // from here on it may be there or not
      BGL_TRY(lake->drop_snapshot("half"));
    }
    if (b == first + kBatches - 2) BGL_TRY(lake->compact());
  }
  return lake->close();
}

Result<Files> read_all(Env& env, LakeOptions options) {
  BGL_ASSIGN(auto lake, Lake::open(env, "/data/l", options));
  BGL_TRY(lake->verify());
  Files files;
  BGL_TRY(lake->scan([&](const LakeEntry& entry, std::string_view bytes) -> Status {
    files[entry.path] = std::string(bytes);
    return {};
  }));
  BGL_ASSIGN(const LakeStat stat, lake->stat());
  if (stat.files != static_cast<int64_t>(files.size()))
    return data_loss("stat says {} files, {} are there", stat.files, files.size());
  BGL_ASSIGN(const auto entries, lake->ls());
  if (entries.size() != files.size()) return data_loss("ls says {} files, {} are there", entries.size(), files.size());
  return files;
}

void check_after_stop(sim::SimEnv& env, const Told& told) {
  const auto files = read_all(env, {});
  if (files.status().code() == Code::kNotFound) {
    ASSERT_TRUE(told.acknowledged.empty());
    return;
  }
  ASSERT_TRUE(files.ok()) << files.status().message();
  ASSERT_TRUE(files.value() == told.acknowledged || files.value() == told.asked);
  const auto snapshot = read_all(env, {.snapshot = "half"});
  if (!told.snapshot_files.empty() && snapshot.status().code() != Code::kNotFound) {
    ASSERT_TRUE(snapshot.ok()) << snapshot.status().message();
    ASSERT_EQ(snapshot.value(), told.snapshot_files);
  }
  if (told.snapshot) {
    ASSERT_TRUE(snapshot.ok()) << snapshot.status().message();
    ASSERT_EQ(snapshot.value(), told.snapshot_files);
  }
}

// Returns false when the workload ended before operation `stop_at`.
bool run_once(int64_t stop_at, sim::Crash crash, uint64_t seed) {
  sim::SimEnv env(seed * 1000003 + static_cast<uint64_t>(stop_at));
  env.set_faults({.stop_at = stop_at});
  Told told;
  const Status status = write_batches(env, told, 0);
  if (!env.stopped()) {
    EXPECT_TRUE(status.ok()) << status.message();
    return false;
  }
  EXPECT_FALSE(status.ok());
  env.restart(crash);
  check_after_stop(env, told);
  // The next writer is stopped as well, somewhere in its recovery or its first seal.
  const auto before = read_all(env, {});
  env.set_faults({.stop_at = env.operations() + 1 + stop_at % 17});
  Told second;
  if (before.ok()) second.acknowledged = second.asked = before.value();
  (void)write_batches(env, second, 3);
  env.restart(crash);
  check_after_stop(env, second);
  // The third ends in peace.
  const auto files = read_all(env, {});
  Told third;
  if (files.ok()) third.acknowledged = third.asked = files.value();
  Status last = write_batches(env, third, 9);
  // The snapshot's name may have been taken by the first.
  if (last.code() == Code::kAlreadyExists) last = {};
  EXPECT_TRUE(last.ok()) << last.message();
  check_after_stop(env, third);
  return true;
}

TEST(LakeCrash, EveryStopKeepsWhatWasAcknowledged) {
  for (const auto crash : {sim::Crash::kKill, sim::Crash::kPowerCut}) {
    for (uint64_t seed = 1; seed <= (crash == sim::Crash::kKill ? 1 : 2); ++seed) {
      int64_t stop_at = 1;
      while (!::testing::Test::HasFailure() && run_once(stop_at, crash, seed)) ++stop_at;
      ASSERT_FALSE(::testing::Test::HasFailure()) << "stop at operation " << stop_at << ", seed " << seed;
      EXPECT_GT(stop_at, 250);
    }
  }
}

// A failure that is not a stop (a full disk, an error of the device) is told, and nothing acknowledged suffers from it.
TEST(LakeCrash, EveryFailedOperationLeavesTheLakeWhole) {
  for (int64_t fail_at = 1; fail_at < 400; ++fail_at) {
    SCOPED_TRACE(fail_at);
    sim::SimEnv env(static_cast<uint64_t>(fail_at));
    env.set_faults({.fail_at = fail_at});
    Told told;
    const Status status = write_batches(env, told, 0);
    // What failed after the batch was durable may be there: the writer was told of the failure, not of the batch's absence.
    env.restart(sim::Crash::kPowerCut);
    check_after_stop(env, told);
    if (::testing::Test::HasFailure()) return;
    (void)status;
  }
}

}  // namespace
}  // namespace bgl::storage
