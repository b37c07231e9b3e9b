#include "storage/lake/lake.h"

#include <gtest/gtest.h>

#include <map>

#include "base/hash.h"
#include "sim/sim_env.h"

namespace bgl::storage {
namespace {

using Model = std::map<std::string, std::string>;

std::unique_ptr<Lake> must_open(Env& env, LakeOptions options) {
  auto lake = Lake::open(env, "/l", options);
  EXPECT_TRUE(lake.ok()) << lake.status().message();
  return lake.ok() ? std::move(lake).value() : nullptr;
}

void expect_no_segments(Env& env) {
  const auto entries = env.list_dir("/l");
  ASSERT_TRUE(entries.ok());
  for (const DirEntry& entry : entries.value()) EXPECT_FALSE(entry.name.starts_with("segment-") || entry.name.starts_with("index-")) << entry.name;
}

// Everything the lake answers is what the map says.
void expect_same(Lake& lake, const Model& model) {
  const auto entries = lake.ls();
  ASSERT_TRUE(entries.ok()) << entries.status().message();
  ASSERT_EQ(entries.value().size(), model.size());
  auto it = model.begin();
  for (const LakeEntry& entry : entries.value()) {
    ASSERT_EQ(entry.path, it->first);
    ASSERT_EQ(entry.bytes, static_cast<int64_t>(it->second.size()));
    ASSERT_EQ(entry.hash, hash128_hex(it->second));
    ++it;
  }
  Model scanned;
  const Status scan = lake.scan([&](const LakeEntry& entry, std::string_view bytes) -> Status {
    EXPECT_EQ(entry.hash, hash128_hex(bytes));
    EXPECT_TRUE(scanned.emplace(entry.path, bytes).second) << entry.path;
    return {};
  });
  ASSERT_TRUE(scan.ok()) << scan.message();
  ASSERT_EQ(scanned, model);
  std::vector<std::string> paths;
  for (const auto& [path, content] : model) paths.push_back(path);
  paths.push_back("no such file");
  const auto many = lake.get_many(paths);
  ASSERT_TRUE(many.ok()) << many.status().message();
  for (size_t i = 0; i + 1 < paths.size(); ++i) ASSERT_EQ(many.value()[i], model.at(paths[i])) << paths[i];
  ASSERT_EQ(many.value().back(), std::nullopt);
  for (size_t i = 0; i < paths.size(); i += 7) ASSERT_EQ(lake.get(paths[i]).ok(), i + 1 < paths.size());
  Model by_number;
  std::vector<int64_t> numbers(static_cast<size_t>(*lake.record_count()));
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<int64_t>(numbers.size() - 1 - i);
  const auto records = lake.read_records(numbers);
  ASSERT_TRUE(records.ok()) << records.status().message();
  for (const auto& file : records.value()) {
    if (!file) continue;
    ASSERT_TRUE(by_number.emplace(file->path, file->bytes).second) << file->path;
  }
  ASSERT_EQ(by_number, model);
  const LakeStat stat = *lake.stat();
  int64_t bytes = 0;
  for (const auto& [path, content] : model) bytes += static_cast<int64_t>(content.size());
  ASSERT_EQ(stat.files, static_cast<int64_t>(model.size()));
  ASSERT_EQ(stat.bytes, bytes);
}

struct Rng {
  uint64_t state;
  int64_t below(int64_t n) {
    state = hash64({reinterpret_cast<const char*>(&state), 8});
    return static_cast<int64_t>(state % static_cast<uint64_t>(n));
  }
};

std::string random_path(Rng& rng, int64_t space) {
  const int64_t i = rng.below(space);
  std::string path = "d" + std::to_string(i % 7) + "/" + std::to_string(i);
  if (i % 11 == 0) path += std::string("\0\n\xff", 3);  // names are bytes of any kind
  return path;
}

// Seals and merges often; every other one without room for an index.
LakeOptions small_writer(uint64_t seed) {
  return {.write = true,
          .create = true,
          .segment_files = 40,
          .segment_bytes = 20000,
          .merge_runs = 3,
          .index_memory_bytes = seed % 2 == 0 ? 0 : int64_t{1} << 30};
}

TEST(Lake, AgreesWithAMapThroughPutsSealsMergesAndReopens) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    sim::SimEnv env(seed);
    Rng rng{seed};
    Model model;
    const LakeOptions options = small_writer(seed);
    auto lake = must_open(env, options);
    for (int step = 0; step < 120; ++step) {
      std::map<std::string, std::optional<std::string>> batch;
      for (int64_t n = rng.below(25); n > 0; --n) {
        const std::string path = random_path(rng, 400);
        const auto old = model.find(path);
        const bool same = old != model.end() && rng.below(4) == 0;
        const std::string content =
            same ? old->second : std::string(static_cast<size_t>(rng.below(600)), static_cast<char>(step));
        const bool remove = rng.below(5) == 0;
        ASSERT_TRUE((remove ? lake->remove(path) : lake->put(path, content)).ok());
        batch[path] = remove ? std::nullopt : std::optional(content);
      }
      LakeCommit want;
      for (const auto& [path, content] : batch) {
        const auto old = model.find(path);
        if (!content) {
          ++(model.erase(path) > 0 ? want.removed : want.missing);
          continue;
        }
        if (old != model.end() && old->second == content) {
          ++want.unchanged;
          continue;
        }
        ++(old == model.end() ? want.added : want.replaced);
        want.bytes += static_cast<int64_t>(content->size());
        model[path] = *content;
      }
      const auto done = lake->commit();
      ASSERT_TRUE(done.ok()) << done.status().message();
      ASSERT_EQ(done.value().added, want.added);
      ASSERT_EQ(done.value().replaced, want.replaced);
      ASSERT_EQ(done.value().unchanged, want.unchanged);
      ASSERT_EQ(done.value().removed, want.removed);
      ASSERT_EQ(done.value().missing, want.missing);
      ASSERT_EQ(done.value().bytes, want.bytes);
      if (rng.below(10) == 0) {
        expect_same(*lake, model);
        expect_same(*must_open(env, {}), model);
      }
      if (rng.below(20) == 0) {
        const int64_t runs = 1 + rng.below(3);
        const Status compacted = lake->compact(runs);
        ASSERT_TRUE(compacted.ok()) << compacted.message();
        ASSERT_LE(lake->stat()->runs, runs);
        expect_same(*lake, model);
      }
      if (rng.below(15) == 0) {
        ASSERT_TRUE(lake->close().ok());
        lake.reset();
        env.restart(sim::Crash::kPowerCut);
        lake = must_open(env, options);
        expect_same(*lake, model);
      }
    }
    const Status verified = lake->verify();
    ASSERT_TRUE(verified.ok()) << verified.message();
    const LakeStat stat = *lake->stat();
    EXPECT_GT(stat.segments, 2);
    EXPECT_LT(stat.segment_files, 3 * 400);  // merges drop what was replaced
  }
}

TEST(Lake, LsTakesAPrefixOfBytes) {
  sim::SimEnv env(1);
  auto lake = must_open(env, {.write = true, .create = true});
  for (const char* path : {"a", "a/b", "a/c", "ab", "b"}) ASSERT_TRUE(lake->put(path, path).ok());
  ASSERT_TRUE(lake->commit().ok());
  ASSERT_TRUE(lake->seal().ok());
  ASSERT_TRUE(lake->put("a/bb", "new").ok());
  ASSERT_TRUE(lake->put("a/c", "newer").ok());
  ASSERT_TRUE(lake->commit().ok());
  const auto names = [&](std::string_view prefix) {
    std::string all;
    const auto entries = lake->ls(prefix);
    for (const LakeEntry& entry : entries.value()) all += entry.path + "=" + std::to_string(entry.bytes) + " ";
    return all;
  };
  EXPECT_EQ(names("a/"), "a/b=3 a/bb=3 a/c=5 ");
  EXPECT_EQ(names("c"), "");
  EXPECT_EQ(names(""), "a=1 a/b=3 a/bb=3 a/c=5 ab=2 b=1 ");
}

TEST(Lake, OneWriterWhoIsNamed) {
  sim::SimEnv env(1);
  auto lake = must_open(env, {.write = true, .create = true});
  const Status refused = Lake::open(env, "/l", {.write = true}).status();
  EXPECT_EQ(refused.code(), Code::kAlreadyExists);
  EXPECT_EQ(refused.message(), "lake /l is being written by pid 1 (since 2023-11-14 22:13:20)");
  ASSERT_TRUE(lake->put("a", "1").ok());
  ASSERT_TRUE(lake->commit().ok());
  EXPECT_EQ(*must_open(env, {})->get("a"), "1");
  ASSERT_TRUE(lake->close().ok());
  EXPECT_TRUE(Lake::open(env, "/l", {.write = true}).ok());
}

TEST(Lake, ErrorsSayWhatToDo) {
  sim::SimEnv env(1);
  EXPECT_EQ(Lake::open(env, "/l", {}).status().message(), "no lake at /l; \"bgl lake put /l FILES\" makes one");
  ASSERT_TRUE(env.make_dirs("/l").ok());
  ASSERT_TRUE(env.write_file_atomic("/l/thesis.tex", "x").ok());
  EXPECT_EQ(Lake::open(env, "/l", {.write = true, .create = true}).status().message(),
            "/l is no lake and holds other files (thesis.tex); name a new or empty folder");
  ASSERT_TRUE(env.remove("/l/thesis.tex").ok());
  auto lake = must_open(env, {.write = true, .create = true});
  EXPECT_EQ(lake->get("x/y").status().message(), "no file x/y in lake /l");
  EXPECT_EQ(lake->put("", "1").message(), "lake /l: a file needs a path");
  EXPECT_EQ(lake->put(std::string(70000, 'p'), "1").message(),
            "lake /l: path \"" + std::string(200, 'p') + "...\" has 70000 bytes, at most 65535 are possible");
  ASSERT_TRUE(lake->put("a", "1").ok());
  EXPECT_EQ(lake->close().message(), "lake /l: closed with 1 files put and not committed");
  EXPECT_EQ(must_open(env, {})->put("a", "1").message(), "lake /l is open for reading only");
  EXPECT_EQ(Lake::open(env, "/l", {.write = true, .snapshot = "s"}).status().message(), "a snapshot cannot be written to");
  EXPECT_EQ(Lake::open(env, "/l", {.snapshot = "s"}).status().message(), "no snapshot s in lake /l; there are: none");
}

TEST(Lake, SnapshotsKeepTheirDayThroughMerges) {
  sim::SimEnv env(1);
  const LakeOptions options{.write = true, .create = true, .segment_files = 10, .merge_runs = 2};
  auto lake = must_open(env, options);
  Model then;
  for (int i = 0; i < 35; ++i) {
    then[std::to_string(i)] = "then";
    ASSERT_TRUE(lake->put(std::to_string(i), "then").ok());
    if (i % 5 == 0) {
      ASSERT_TRUE(lake->commit().ok());
    }
  }
  ASSERT_TRUE(lake->commit().ok());
  ASSERT_TRUE(lake->snapshot("day-1").ok());
  EXPECT_EQ(lake->snapshot("day-1").message(), "lake /l has a snapshot day-1 already; choose another name");
  EXPECT_EQ(lake->snapshot("a/b").message(), "snapshot name \"a/b\": use letters, digits, \".\", \"_\", \"-\"");
  Model now = then;
  for (int i = 10; i < 80; ++i) {
    env.advance_ns(int64_t{300} * 1'000'000'000);  // old segments are removed ten minutes after a merge
    now[std::to_string(i)] = "now" + std::to_string(i);
    ASSERT_TRUE(lake->put(std::to_string(i), now[std::to_string(i)]).ok());
    ASSERT_TRUE(lake->commit().ok());
  }
  expect_same(*lake, now);
  expect_same(*must_open(env, {.snapshot = "day-1"}), then);
  ASSERT_TRUE(lake->close().ok());
  lake = must_open(env, options);
  expect_same(*must_open(env, {.snapshot = "day-1"}), then);
  ASSERT_TRUE(must_open(env, {.snapshot = "day-1"})->verify().ok());
  EXPECT_EQ(Lake::open(env, "/l", {.snapshot = "day-2"}).status().message(), "no snapshot day-2 in lake /l; there are: day-1");
}

TEST(Lake, CompactionLeavesNothingOfWhatWasRemoved) {
  sim::SimEnv env(1);
  auto lake = must_open(env, {.write = true, .create = true, .segment_files = 10});
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(lake->put(std::to_string(i), std::string(100, 'x')).ok());
    ASSERT_TRUE(lake->commit().ok());
  }
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(lake->remove(std::to_string(i)).ok());
    ASSERT_TRUE(lake->commit().ok());
  }
  EXPECT_EQ(lake->get("5").status().message(), "no file 5 in lake /l");
  ASSERT_TRUE(lake->compact().ok());
  const LakeStat stat = *lake->stat();
  EXPECT_EQ(stat.files, 0);
  EXPECT_EQ(stat.segment_files, 0);
  EXPECT_EQ(stat.segments, 0);
  expect_no_segments(env);
  ASSERT_TRUE(lake->put("5", "again").ok());
  ASSERT_TRUE(lake->commit().ok());
  expect_same(*lake, {{"5", "again"}});
  EXPECT_EQ(lake->compact(0).message(), "lake /l: it cannot be compacted to 0 runs; at least 1");
}

TEST(Lake, ADroppedSnapshotGivesItsRoomBack) {
  sim::SimEnv env(1);
  auto lake = must_open(env, {.write = true, .create = true});
  ASSERT_TRUE(lake->put("a", "1").ok());
  ASSERT_TRUE(lake->commit().ok());
  ASSERT_TRUE(lake->snapshot("one").ok());
  ASSERT_TRUE(lake->remove("a").ok());
  ASSERT_TRUE(lake->commit().ok());
  ASSERT_TRUE(lake->compact().ok());
  expect_same(*must_open(env, {.snapshot = "one"}), {{"a", "1"}});
  const auto kept = lake->snapshots();
  ASSERT_EQ(kept->size(), 1u);
  EXPECT_EQ((*kept)[0].name, "one");
  EXPECT_EQ((*kept)[0].files, 1);
  EXPECT_EQ(lake->drop_snapshot("two").message(), "no snapshot two in lake /l; there are: one");
  ASSERT_TRUE(lake->drop_snapshot("one").ok());
  EXPECT_TRUE(lake->snapshots()->empty());
  expect_no_segments(env);
  EXPECT_EQ(Lake::open(env, "/l", {.snapshot = "one"}).status().message(), "no snapshot one in lake /l; there are: none");
}

TEST(Lake, AReaderRefreshesWhileTheWriterGoesOn) {
  sim::SimEnv env(1);
  const LakeOptions options{.write = true, .create = true, .segment_files = 5, .merge_runs = 2};
  auto lake = must_open(env, options);
  auto reader = must_open(env, {});
  Model model;
  for (int i = 0; i < 60; ++i) {
    model[std::to_string(i % 40)] = std::to_string(i);
    ASSERT_TRUE(lake->put(std::to_string(i % 40), std::to_string(i)).ok());
    ASSERT_TRUE(lake->commit().ok());
    if (i % 7 == 0) {
      ASSERT_TRUE(lake->compact().ok());
    }
    if (i % 3 == 0) {
      ASSERT_TRUE(reader->refresh().ok());
      expect_same(*reader, model);
    }
  }
  EXPECT_EQ(lake->refresh().message(), "lake /l: its writer sees everything already");
}

// A flipped bit anywhere is found by verify() or already by opening, and the message names the file.
TEST(Lake, EveryFlippedByteIsFoundAndNamed) {
  const auto make = [](sim::SimEnv& env) {
    auto lake = must_open(env, {.write = true, .create = true});
    for (int i = 0; i < 12; ++i)
      EXPECT_TRUE(lake->put("f" + std::to_string(i), std::string(static_cast<size_t>(i * 9), 'x')).ok());
    EXPECT_TRUE(lake->commit().ok());
    EXPECT_TRUE(lake->compact().ok());  // a segment; what comes later is a sealed log and a log
    EXPECT_TRUE(lake->snapshot("day").ok());
    for (int i = 0; i < 12; i += 2) EXPECT_TRUE(lake->remove("f" + std::to_string(i)).ok());
    EXPECT_TRUE(lake->commit().ok());
    EXPECT_TRUE(lake->seal().ok());
    EXPECT_TRUE(lake->put("g", "in the log").ok());
    EXPECT_TRUE(lake->commit().ok());
    EXPECT_TRUE(lake->close().ok());
  };
  sim::SimEnv env(1);
  make(env);
  int flips = 0;
  for (const std::string& path : env.all_paths()) {
    if (path.ends_with("/") || path.find("LOCK") != std::string::npos || path.ends_with(".lock")) continue;
    const int64_t size = env.stat(path)->size;
    // The index pages are mostly empty: every byte is under the same checksum.
    for (int64_t at = 0; at<size; at += size> 2000 ? 37 : 1) {
      const auto mask = static_cast<unsigned char>(1 << at % 8);
      env.flip(path, at, mask);
      const Status found = [&]() -> Status {
        BGL_ASSIGN(auto lake, Lake::open(env, "/l", {}));
        BGL_TRY(lake->verify());
        BGL_ASSIGN(const LakeStat stat, lake->stat());
        return stat.torn_bytes > 0 ? data_loss("/l/log-{} is torn", "4.bgl") : Status();
      }();
      ASSERT_FALSE(found.ok()) << path << " byte " << at;
      ASSERT_NE(found.message().find(base_name(path)), std::string::npos) << path << " byte " << at << ": " << found.message();
      env.flip(path, at, mask);
      ++flips;
    }
  }
  EXPECT_GT(flips, 2000);
  EXPECT_TRUE(must_open(env, {})->verify().ok());
}

TEST(Lake, AReaderGoesOnWhileTheWriterSeals) {
  sim::SimEnv env(1);
  auto lake = must_open(env, {.write = true, .create = true});
  ASSERT_TRUE(lake->put("a", "1").ok());
  ASSERT_TRUE(lake->commit().ok());
  auto reader = must_open(env, {});
  ASSERT_TRUE(lake->seal().ok());
  EXPECT_EQ(*reader->get("a"), "1");  // from the log it opened, now a segment
  EXPECT_EQ(*must_open(env, {})->get("a"), "1");
}

}  // namespace
}  // namespace bgl::storage
