// The disk is full at every write in turn: the writer is told what and where, nothing acknowledged is lost, readers read on, and
// the next writer goes on once there is room.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "sim/sim_env.h"
#include "storage/lake/lake.h"

namespace bgl::storage {
namespace {

using Contents = std::map<std::string, std::string>;

constexpr LakeOptions kSmall{.write = true, .create = true, .segment_files = 9, .merge_runs = 4};

// Replaces some and adds some in every batch, with seals and merges between, and compacts at the end. `acknowledged` and
// `asked`: what the writer was told, and what it had asked for when it was told of the failure.
Status fill(Env& env, int first, Contents& acknowledged, Contents& asked) {
  BGL_ASSIGN(auto lake, Lake::open(env, "/data/l", kSmall));
  for (int batch = first; batch < first + 12; ++batch) {
    for (int i = 0; i < 5; ++i) {
      const std::string path = "f" + std::to_string((batch * 3 + i) % 25);
      asked[path] = std::string(static_cast<size_t>(100 + 30 * i), static_cast<char>('a' + batch));
      BGL_TRY(lake->put(path, asked[path]));
    }
    BGL_TRY(lake->commit().status());
    acknowledged = asked;
  }
  BGL_TRY(lake->compact());
  return lake->close();
}

Contents read(Env& env) {
  Contents out;
  auto lake = Lake::open(env, "/data/l", {});
  if (lake.status().code() == Code::kNotFound) return out;
  EXPECT_TRUE(lake.ok()) << lake.status().message();
  if (!lake.ok()) return out;
  const Status sound = (*lake)->verify();
  EXPECT_TRUE(sound.ok()) << sound.message();
  const Status scanned = (*lake)->scan([&out](const LakeEntry& entry, std::string_view bytes) -> Status {
    out.emplace(entry.path, bytes);
    return {};
  });
  EXPECT_TRUE(scanned.ok()) << scanned.message();
  return out;
}

// Returns false where all of the work found room.
bool try_with_room_for(int64_t bytes, std::set<std::string>& places) {
  sim::SimEnv env(static_cast<uint64_t>(bytes));
  env.set_faults({.disk_bytes = bytes});
  Contents acknowledged, asked;
  const Status status = fill(env, 0, acknowledged, asked);
  if (status.ok()) return false;
  EXPECT_EQ(status.code(), Code::kResourceExhausted) << status.message();
  EXPECT_NE(status.message().find("/data/l"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("No space left on device"), std::string::npos) << status.message();
  // log-7.bgl -> log-
  const size_t name = status.message().find("write /data/l/");
  if (name != std::string::npos) places.insert(status.message().substr(name + 14, 4));
  // Readers need no room.
  const Contents there = read(env);
  EXPECT_TRUE(there == acknowledged || there == asked) << bytes;
  env.set_faults({});
  Contents second = there, second_asked = there;
  const Status next = fill(env, 5, second, second_asked);
  EXPECT_TRUE(next.ok()) << next.message();
  EXPECT_EQ(read(env), second) << bytes;
  return true;
}

TEST(LakeFullDisk, NothingAcknowledgedIsLostAndTheNextWriterGoesOn) {
  std::set<std::string> places;
  int64_t bytes = 1;
  while (!::testing::Test::HasFailure() && try_with_room_for(bytes, places)) bytes += 199;
  EXPECT_FALSE(::testing::Test::HasFailure()) << "room for " << bytes << " bytes";
  EXPECT_GT(bytes, 40000);
  // It happened to every kind of file.
  EXPECT_EQ(places, (std::set<std::string>{"MANI", "inde", "log-", "name", "segm"}));
}

TEST(LakeFullDisk, TheErrorSaysWhatToDo) {
  sim::SimEnv env(1);
  auto lake = std::move(Lake::open(env, "/l", {.write = true, .create = true})).value();
  env.set_faults({.disk_bytes = 3000});
  ASSERT_TRUE(lake->put("a", std::string(5000, 'x')).ok());
  EXPECT_EQ(lake->commit().status().message(),
            "lake /l: cannot write /l/log-1.bgl at byte 32: No space left on device; what was acknowledged is safe: free space and "
            "open it again");
  EXPECT_EQ(lake->seal().code(), Code::kResourceExhausted);
}

}  // namespace
}  // namespace bgl::storage
