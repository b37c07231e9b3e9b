#include "storage/directory_store.h"

#include <gtest/gtest.h>

#include "base/hash.h"
#include "sim/sim_env.h"

namespace bgl::storage {
namespace {

TEST(DirectoryStore, ObjectsAppearWholeAtCommit) {
  sim::SimEnv env(1);
  ASSERT_TRUE(env.make_dirs("/s").ok());
  DirectoryStore store(env, "/s");
  auto writer = std::move(store.create("a/b")).value();
  ASSERT_TRUE(writer->append("hello ").ok());
  EXPECT_EQ(store.size("a/b").status().code(), Code::kNotFound);
  ASSERT_TRUE(writer->append("world").ok());
  ASSERT_TRUE(writer->commit().ok());
  EXPECT_EQ(*store.get("a/b"), "hello world");
  EXPECT_EQ(*store.get_range("a/b", 6, 3), "wor");
  EXPECT_EQ(store.get_range("a/b", 6, 9).status().message(),
            "/s/a/b: ends at byte 11, 9 bytes were expected at byte 6: the file was cut");
  { auto dropped = std::move(store.create("c")).value(); }
  ASSERT_TRUE(store.put("a/c", "x").ok());
  ASSERT_TRUE(store.put("a/c", "xy").ok());
  EXPECT_EQ(*store.get("a/c"), "xy");
  const auto all = *store.list("a/");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].key, "a/c");
  EXPECT_EQ(all[1].bytes, 2);
  EXPECT_EQ(store.list("")->size(), 2u);
  ASSERT_TRUE(store.remove("a/c").ok());
  ASSERT_TRUE(store.remove("a/c").ok());
  EXPECT_EQ(store.list("a/")->size(), 1u);
}

TEST(DirectoryStore, KeysAreChecked) {
  EXPECT_TRUE(check_key("a-b/C_1.x").ok());
  EXPECT_EQ(check_key("a//b").message(),
            "object key \"a//b\": a part is empty; use parts of letters, digits, \".\", \"_\", \"-\", joined by \"/\"");
  for (const char* key : {"", "/a", "a/", "../a", "a/./b", "a b", "a\n", "a.tmp", "b.lock/c"}) {
    EXPECT_EQ(check_key(key).code(), Code::kInvalidArgument) << key;
  }
}

TEST(DirectoryStore, ManifestsAreSwappedByComparison) {
  sim::SimEnv env(1);
  ASSERT_TRUE(env.make_dirs("/s").ok());
  DirectoryStore store(env, "/s");
  EXPECT_EQ(store.read_manifest("M").status().code(), Code::kNotFound);
  const std::string one = *store.swap_manifest("M", "", "one");
  EXPECT_EQ(store.swap_manifest("M", "", "other").status().message(), "manifest /s/M was changed by somebody else");
  const std::string two = *store.swap_manifest("M", one, "two");
  EXPECT_EQ(store.swap_manifest("M", one, "three").status().code(), Code::kAlreadyExists);
  EXPECT_EQ(store.read_manifest("M")->bytes, "two");
  EXPECT_EQ(store.read_manifest("M")->version, two);
}

// At whatever operation the process stops, the object is the old one, the new one or absent as before, and a put that was
// answered stays.
TEST(DirectoryStore, EveryStopLeavesOldOrNew) {
  for (int64_t stop_at = 1; stop_at < 60; ++stop_at) {
    for (const auto crash : {sim::Crash::kKill, sim::Crash::kPowerCut}) {
      sim::SimEnv env(static_cast<uint64_t>(stop_at));
      ASSERT_TRUE(env.make_dirs("/s").ok());
      ASSERT_TRUE(env.sync_dir("/").ok());
      env.restart(sim::Crash::kKill);
      env.set_faults({.stop_at = stop_at});
      const std::string first(3000, 'a'), second(3000, 'b');
      bool first_done = false, second_done = false, swapped = false;
      {
        DirectoryStore store(env, "/s");
        first_done = store.put("d/o", first).ok();
        second_done = store.put("d/o", second).ok();
        swapped = store.swap_manifest("M", "", "manifest").ok();
      }
      const bool stopped = env.stopped();
      env.restart(crash);
      DirectoryStore store(env, "/s");
      const auto object = store.get("d/o");
      const std::string bytes = object.ok() ? object.value() : "";
      EXPECT_TRUE(bytes == second || (!second_done && bytes == first) || (!first_done && bytes.empty())) << stop_at;
      const auto manifest = store.read_manifest("M");
      EXPECT_TRUE(manifest.ok() ? manifest.value().bytes == "manifest" : !swapped) << stop_at;
      ASSERT_TRUE(store.remove_leftovers().ok());
      for (const auto& path : env.all_paths()) EXPECT_EQ(path.find(".tmp"), std::string::npos) << path;
      if (!stopped) return;  // every operation has been tried
    }
  }
  FAIL() << "the workload has more operations than were tried";
}

}  // namespace
}  // namespace bgl::storage
