// Readers that have an older lake before them while the writer merges, compacts and drops: what they need stays.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <thread>
#include <utility>

#include "sim/sim_env.h"
#include "storage/lake/lake.h"
#include "storage/lake/sampler.h"

namespace bgl::storage {
namespace {

constexpr LakeOptions kOften{.write = true, .create = true, .segment_files = 20, .merge_runs = 4};

std::unique_ptr<Lake> opened(Env& env, const std::string& dir, LakeOptions options) {
  auto lake = Lake::open(env, dir, options);
  EXPECT_TRUE(lake.ok()) << lake.status().message();
  return lake.ok() ? std::move(lake).value() : nullptr;
}

std::string name(int64_t i) { return "f" + std::to_string(i); }

// Every file with the content `text` and its number.
void put_all(Lake& lake, const std::string& text, int files) {
  for (int i = 0; i < files; ++i) {
    ASSERT_TRUE(lake.put(name(i), text + std::to_string(i)).ok());
    if (i % 10 == 9) {
      ASSERT_TRUE(lake.commit().ok());
    }
  }
  ASSERT_TRUE(lake.commit().ok());
}

// Reads all in every way; the lake must be of one moment: `text` with each file's number.
Status read_all_of(Lake& lake, const std::string& text, int files) {
  std::vector<std::string> paths;
  for (int i = 0; i < files; ++i) {
    paths.push_back(name(i));
    BGL_ASSIGN(const std::string bytes, lake.get(paths.back()));
    if (bytes != text + std::to_string(i)) return data_loss("get({}) gave {}", paths.back(), bytes);
  }
  BGL_ASSIGN(const auto many, lake.get_many(paths));
  for (int i = 0; i < files; ++i) {
    if (many[static_cast<size_t>(i)] != text + std::to_string(i)) return data_loss("get_many: file {}", i);
  }
  int64_t scanned = 0;
  BGL_TRY(lake.scan([&](const LakeEntry&, std::string_view bytes) -> Status {
    ++scanned;
    return bytes.starts_with(text) ? Status() : data_loss("scan gave {}", bytes);
  }));
  BGL_ASSIGN(const auto entries, lake.ls());
  BGL_ASSIGN(auto sampler, LakeSampler::open(lake, {}));
  BGL_ASSIGN(const auto samples, sampler.next(files));
  const bool is_whole = scanned == files && entries.size() == paths.size() && samples.size() == paths.size();
  return is_whole ? Status() : data_loss("{} scanned, {} listed, {} sampled", scanned, entries.size(), samples.size());
}

int64_t count_files(Env& env, const std::string& kind) {
  int64_t n = 0;
  const auto entries = env.list_dir("/l");
  for (const DirEntry& entry : entries.value()) n += entry.name.starts_with(kind);
  return n;
}

TEST(LakeReaders, WhatAReaderNeedsStaysUntilItEnds) {
  sim::SimEnv env(1);
  auto writer = opened(env, "/l", kOften);
  put_all(*writer, "old ", 95);  // segments, sealed logs and a log
  auto reader = opened(env, "/l", {});
  ASSERT_EQ(*reader->get("f0"), "old 0");  // the rest is not opened yet
  ASSERT_TRUE(writer->snapshot("day").ok());
  auto of_day = opened(env, "/l", {.snapshot = "day"});
  for (const char* text : {"new ", "newer "}) {
    put_all(*writer, text, 95);
    ASSERT_TRUE(writer->compact().ok());
  }
  ASSERT_TRUE(writer->drop_snapshot("day").ok());
  for (Lake* lake : {reader.get(), of_day.get()}) {
    const Status whole = read_all_of(*lake, "old ", 95);
    EXPECT_TRUE(whole.ok()) << whole.message();
  }
  ASSERT_TRUE(reader->refresh().ok());
  EXPECT_TRUE(read_all_of(*reader, "newer ", 95).ok());
  reader.reset();
  of_day.reset();
  ASSERT_TRUE(writer->compact().ok());
  EXPECT_EQ(count_files(env, "segment-"), writer->stat()->segments);
  EXPECT_EQ(count_files(env, "log-"), 1);
  EXPECT_TRUE(env.list_dir("/l/readers")->empty());
}

// A reader that is killed leaves its lease without the lock.
TEST(LakeReaders, AKilledReadersLeaseHoldsNothing) {
  sim::SimEnv env(1);
  put_all(*opened(env, "/l", kOften), "old ", 60);
  auto reader = opened(env, "/l", {});
  env.restart(sim::Crash::kKill);
  EXPECT_EQ(env.list_dir("/l/readers")->size(), 1u);
  auto writer = opened(env, "/l", kOften);
  put_all(*writer, "new ", 60);
  ASSERT_TRUE(writer->compact().ok());
  EXPECT_EQ(count_files(env, "segment-"), writer->stat()->segments);
  EXPECT_TRUE(env.list_dir("/l/readers")->empty());
}

// Where the folder cannot be written to, the reader reads, and is told when it was too slow.
TEST(LakeReaders, WithoutALeaseTheReaderIsTold) {
  sim::SimEnv env(1);
  auto writer = opened(env, "/l", kOften);
  put_all(*writer, "old ", 60);
  env.set_faults({.fail_at = env.operations() + 1});
  auto reader = opened(env, "/l", {});
  EXPECT_FALSE(env.exists("/l/readers"));
  put_all(*writer, "new ", 60);
  ASSERT_TRUE(writer->compact().ok());
  const Status gone = read_all_of(*reader, "old ", 60);
  EXPECT_EQ(gone.code(), Code::kUnavailable) << gone.message();
  EXPECT_NE(gone.message().find("it is gone; if the lake was merged since it was opened, open it again"), std::string::npos);
  ASSERT_TRUE(reader->refresh().ok());
  EXPECT_TRUE(read_all_of(*reader, "new ", 60).ok());
}

// An Env in which something happens once, just before a log is opened.
class BeforeALog final : public Env {
 public:
  BeforeALog(Env& env, std::function<void()> happens) : env_(env), happens_(std::move(happens)) {}
  int64_t now_ns() override { return env_.now_ns(); }
  int64_t wall_ns() override { return env_.wall_ns(); }
  int64_t process_id() override { return env_.process_id(); }
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    if (happens_ && path.find("/log-") != std::string::npos) std::exchange(happens_, nullptr)();
    return env_.open(path, mode);
  }
  Result<std::unique_ptr<FileView>> map(const std::string& path) override { return env_.map(path); }
  Status rename(const std::string& from, const std::string& to) override { return env_.rename(from, to); }
  Status remove(const std::string& path) override { return env_.remove(path); }
  Result<std::vector<DirEntry>> list_dir(const std::string& path) override { return env_.list_dir(path); }
  Status make_dirs(const std::string& path) override { return env_.make_dirs(path); }
  Result<FileStat> stat(const std::string& path) override { return env_.stat(path); }
  Status sync_dir(const std::string& path) override { return env_.sync_dir(path); }
  Result<std::unique_ptr<FileLock>> lock_file(const std::string& path, const std::string& text) override {
    return env_.lock_file(path, text);
  }

 private:
  Env& env_;
  std::function<void()> happens_;
};

// The log goes on under the manifest after a compaction: what it then says is replaced lies in segments of that manifest.
TEST(LakeReaders, AnOpenTakesManifestAndLogOfOneMoment) {
  sim::SimEnv env(1);
  auto writer = opened(env, "/l", {.write = true, .create = true});
  for (const char* text : {"old ", "older "}) {
    put_all(*writer, text, 60);
    ASSERT_TRUE(writer->seal().ok());
  }
  BeforeALog slow(env, [&] {
    ASSERT_TRUE(writer->compact().ok());
    put_all(*writer, "new ", 60);
  });
  auto reader = opened(slow, "/l", {});
  const Status whole = read_all_of(*reader, "new ", 60);
  EXPECT_TRUE(whole.ok()) << whole.message();
}

// The same with processes' own clocks: two readers open, read and refresh while the writer replaces and compacts.
TEST(LakeReaders, ReadWhileTheWriterCompacts) {
  const std::string dir = std::filesystem::temp_directory_path() / ("bgl-readers-" + std::to_string(real_env().process_id()));
  ASSERT_TRUE(real_env().remove_all(dir).ok());
  auto writer = opened(real_env(), dir, kOften);
  const auto text = [](int round) { return fmt::format("{:03} ", round); };
  put_all(*writer, text(0), 60);
  ASSERT_TRUE(writer->seal().ok());
  std::atomic<bool> done = false;
  std::atomic<int> reads = 0;
  const auto read = [&](bool reopen) {
    auto lake = opened(real_env(), dir, {});
    while (!done && lake) {
      const auto first = lake->get(name(0));
      const Status whole = first.ok() ? read_all_of(*lake, first->substr(0, 4), 60) : first.status();
      EXPECT_TRUE(whole.ok()) << whole.message();
      if (!whole.ok()) return;
      ++reads;
      if (reopen) {
        lake = opened(real_env(), dir, {});
      } else {
        EXPECT_TRUE(lake->refresh().ok());
      }
    }
  };
  std::thread refreshes(read, false), reopens(read, true);
  for (int round = 1; round <= 12; ++round) {
    // One commit a round, so that every manifest and log is of one moment.
    for (int i = 0; i < 60; ++i) EXPECT_TRUE(writer->put(name(i), text(round) + std::to_string(i)).ok());
    EXPECT_TRUE(writer->commit().ok());
    const Status compacted = writer->compact();
    EXPECT_TRUE(compacted.ok()) << compacted.message();
  }
  while (reads < 4 && !::testing::Test::HasFailure()) std::this_thread::yield();
  done = true;
  refreshes.join();
  reopens.join();
  EXPECT_TRUE(writer->close().ok());
  EXPECT_TRUE(real_env().remove_all(dir).ok());
}

}  // namespace
}  // namespace bgl::storage
