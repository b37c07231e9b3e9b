#include "storage/lake/internal/log.h"

#include <gtest/gtest.h>

#include <map>

#include "sim/sim_env.h"
#include "storage/lake/internal/manifest.h"

namespace bgl::storage {
namespace {

using Seen = std::map<std::string, std::string>;

Result<Seen> replay_all(Env& env, bool write = false) {
  std::vector<std::pair<std::string, LogEntry>> entries;
  BGL_ASSIGN(auto log, Log::open(env, "/l", 1, write,
                                 [&](std::string_view path, const LogEntry& entry) { entries.emplace_back(path, entry); }));
  Seen seen;
  for (const auto& [path, entry] : entries) {
    BGL_ASSIGN(seen[path], log->read(path, entry));
  }
  return seen;
}

Status append(Log& log, std::initializer_list<std::pair<std::string, std::string>> files) {
  std::vector<LogPut> puts;
  for (const auto& [path, content] : files) puts.push_back({path, content, hash128(content), false, {{4, 5}, 6}});
  std::vector<LogEntry> entries;
  return log.append(puts, entries);
}

class LogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(env_.make_dirs("/l").ok());
    ASSERT_TRUE(env_.sync_dir("/").ok());
    ASSERT_TRUE(Log::create(env_, "/l", 1).ok());
  }
  std::unique_ptr<Log> open() {
    return std::move(Log::open(env_, "/l", 1, true, [](std::string_view, const LogEntry&) {})).value();
  }
  sim::SimEnv env_{5};
};

TEST_F(LogTest, WhatIsAppendedIsReplayed) {
  auto log = open();
  ASSERT_TRUE(append(*log, {{"a", "1"}, {"b", std::string(5000, 'x')}}).ok());
  ASSERT_TRUE(append(*log, {{"a", "22"}, {"c", ""}}).ok());
  EXPECT_EQ(*replay_all(env_), (Seen{{"a", "22"}, {"b", std::string(5000, 'x')}, {"c", ""}}));
  std::vector<Replaced> replaced;
  auto again = Log::open(env_, "/l", 1, false, [&](std::string_view, const LogEntry& e) { replaced.push_back(e.replaced); });
  ASSERT_EQ(replaced.size(), 4u);
  EXPECT_EQ(replaced[3].ref, (RecordRef{4, 5}));
  EXPECT_EQ(replaced[3].content_bytes, 6);
  EXPECT_TRUE((*again)->verify().ok());
}

TEST_F(LogTest, ACutAtAnyByteLosesOnlyTheLastBatch) {
  auto log = open();
  ASSERT_TRUE(append(*log, {{"a", "1"}}).ok());
  const int64_t one = log->bytes();
  ASSERT_TRUE(append(*log, {{"b", "2"}, {"c", std::string(100, 'c')}}).ok());
  const int64_t two = log->bytes();
  const std::string whole = *env_.read_file("/l/log-1.bgl");
  ASSERT_EQ(static_cast<int64_t>(whole.size()), two);
  for (int64_t cut = one; cut < two; ++cut) {
    ASSERT_TRUE(env_.write_file_atomic("/l/log-1.bgl", whole.substr(0, static_cast<size_t>(cut))).ok());
    const Seen seen = std::move(replay_all(env_)).value();
    ASSERT_EQ(seen.count("a"), 1u);
    // Only padding may be missing from a batch that still counts.
    ASSERT_EQ(seen.size(), cut > two - 8 && seen.size() == 3 ? 3u : 1u) << cut;
    auto writer = open();
    ASSERT_TRUE(append(*writer, {{"d", "4"}}).ok());
    ASSERT_EQ(replay_all(env_)->count("d"), 1u) << cut;
  }
}

TEST_F(LogTest, DamageBeforeAWholeBatchIsAnError) {
  auto log = open();
  ASSERT_TRUE(append(*log, {{"a", "1"}}).ok());
  const int64_t one = log->bytes();
  ASSERT_TRUE(append(*log, {{"b", "2"}}).ok());
  for (int64_t at = 32; at < one; ++at) {
    env_.flip("/l/log-1.bgl", at, 1);
    const auto seen = replay_all(env_);
    if (!seen.ok() && seen.status().message().ends_with("are not zero; restore this file from a copy")) {
      EXPECT_GT(at, one - 8);
    } else if (!seen.ok()) {
      EXPECT_EQ(
          seen.status().message(),
          "/l/log-1.bgl: the batch at byte 32 is damaged and a later one is whole: committed files are lost; restore this "
          "file from a copy");
    } else {
      EXPECT_GE(at, one - 8) << at;  // padding carries nothing
      EXPECT_EQ(seen.value().size(), 2u);
    }
    env_.flip("/l/log-1.bgl", at, 1);
  }
  env_.flip("/l/log-1.bgl", 9, 1);
  EXPECT_EQ(replay_all(env_).status().message(), "/l/log-1.bgl: its header is not as written; restore this file from a copy");
}

TEST_F(LogTest, AfterAFailedSyncNothingMoreIsTaken) {
  auto log = open();
  ASSERT_TRUE(append(*log, {{"a", "1"}}).ok());
  env_.set_faults({.fail_at = env_.operations() + 2});
  EXPECT_EQ(append(*log, {{"b", "2"}}).message(), "cannot sync /l/log-1.bgl: Input/output error");
  EXPECT_EQ(append(*log, {{"c", "3"}}).message(), "cannot sync /l/log-1.bgl: Input/output error");
}

TEST(LakeManifest, RoundTripAndDamage) {
  Manifest manifest;
  manifest.next_id = 12;
  manifest.log_id = 11;
  SegmentRow row;
  row.id = 3;
  row.files = 7;
  row.prefix_bits = 40;
  row.prefix = (int64_t{1} << 40) - 1;
  row.segment_check = {1, UINT64_MAX};
  std::string text = write_manifest(manifest, std::vector{row, row});
  std::vector<SegmentRow> rows;
  const Manifest back = std::move(parse_manifest(text, "M", rows)).value();
  EXPECT_EQ(back.next_id, 12);
  EXPECT_EQ(back.log_id, 11);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1].prefix, row.prefix);
  EXPECT_EQ(rows[1].segment_check, (Hash128{1, UINT64_MAX}));
  EXPECT_EQ(parse_manifest(text.substr(0, 50), "M", rows).status().message(),
            "M: it is cut: its checksum is missing; restore this file from a copy or from a snapshot");
  for (size_t i = 0; i < text.size(); ++i) {
    text[i] = static_cast<char>(text[i] ^ 1);
    EXPECT_EQ(parse_manifest(text, "M", rows).status().code(), Code::kDataLoss) << i;
    text[i] = static_cast<char>(text[i] ^ 1);
  }
}

// A lake of the version before is read: its runs have the names of each segment beside it.
TEST(LakeManifest, ReadsTheVersionBefore) {
  std::string text =
      R"({"columns":["id","run","tier","files","bytes","tombstones","supersedes","revived","superseded_bytes","prefix_bits",)"
      R"("prefix","segment_bytes","names_bytes","index_bytes","segment_check","names_check"],"format":"bgl lake","log":5,)"
      R"("next_id":6,"segments":1,"version":2})"
      "\n"
      R"([2,2,0,3,14,0,0,0,0,0,0,8320,166,4096,"d2080a3a9fc9f231f9a3738fc4da2d78","dbd82266add56603c5aad1e859ef5e47"])"
      "\n";
  text += "{\"check\":\"" + hash128_hex(text) + "\"}\n";
  std::vector<SegmentRow> rows;
  const auto manifest = parse_manifest(text, "M", rows);
  ASSERT_TRUE(manifest.ok()) << manifest.status().message();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].index_bytes, 4096);
  EXPECT_EQ(rows[0].run_names, 0);
  ASSERT_TRUE(parse_manifest(write_manifest(*manifest, rows), "M", rows).ok());
  EXPECT_EQ(rows[0].run_names, 0);
}

}  // namespace
}  // namespace bgl::storage
