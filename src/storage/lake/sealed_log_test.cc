#include "storage/lake/internal/sealed_log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "sim/sim_env.h"
#include "storage/directory_store.h"

namespace bgl::storage {
namespace {

// A log in which records replace one another, and one that is longer than a place can say.
class SealedLogTest : public ::testing::Test {
 protected:
  SealedLogTest() {
    EXPECT_TRUE(env_.make_dirs("/l").ok());
    EXPECT_TRUE(Log::create(env_, "/l", 5).ok());
    auto log = std::move(Log::open(env_, "/l", 5, true, [](std::string_view, const LogEntry&) {})).value();
    std::map<std::string, LogEntry> last;
    for (int batch = 0; batch < 4; ++batch) {
      std::vector<std::string> paths;
      for (int i = 0; i < 2000; ++i) paths.push_back("d/" + std::to_string(i + 1500 * batch));
      if (batch == 2) paths.push_back("huge");
      std::vector<LogPut> puts;
      for (const std::string& path : paths) {
        files_[path] = path == "huge" ? std::string(5 << 20, 'h') : std::string(path.size() * 9, static_cast<char>('a' + batch));
        puts.push_back({path, files_[path], hash128(files_[path])});
      }
      std::vector<LogEntry> entries;
      EXPECT_TRUE(log->append(puts, entries).ok());
      for (size_t i = 0; i < paths.size(); ++i) last[paths[i]] = entries[i];
    }
    std::vector<LoggedRecord> records;
    for (const auto& [path, entry] : last) {
      records.push_back({path_key(path), entry.record_at, record_bytes(static_cast<int64_t>(path.size()), entry.content_bytes)});
    }
    std::sort(records.begin(), records.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
    row_ = std::move(write_log_index(store_, 5, log->bytes(), records, {{2, 7}, {3, 1}})).value();
  }
  Status verify() {
    SealedLog log(env_, store_, "/l", row_);
    return log.verify([](int64_t) {}, [](const RecordHead&) {});
  }
  sim::SimEnv env_{1};
  DirectoryStore store_{env_, "/l"};
  std::map<std::string, std::string> files_;
  SegmentRow row_;
};

TEST_F(SealedLogTest, FindsTheNewestOfEveryFileAndNoOther) {
  SealedLog log(env_, store_, "/l", row_);
  for (const auto& [path, content] : files_) {
    const auto hit = log.locate(path_key(path));
    ASSERT_TRUE(hit.ok() && hit->count > 0) << path;
    for (const bool want_content : {true, false}) {
      const auto found = log.read(*hit, path, want_content);
      ASSERT_TRUE(found.ok() && *found) << path;
      EXPECT_EQ((*found)->content_hash, hash128(content)) << path;
      EXPECT_EQ((*found)->content, want_content ? content : "") << path;
      const auto record = log.read_rank(*log.locate_rank((*found)->rank));
      ASSERT_TRUE(record.ok());
      EXPECT_EQ(record->path, path);
    }
  }
  for (int i = 0; i < 3000; ++i) {
    const std::string path = "absent/" + std::to_string(i);
    const auto hit = log.locate(path_key(path));
    ASSERT_TRUE(hit.ok());
    if (hit->count > 0) {
      EXPECT_FALSE(*log.read(*hit, path, false));
    }
  }
  EXPECT_EQ(*log.supersedes(), (std::vector<RecordRef>{{2, 7}, {3, 1}}));
}

TEST_F(SealedLogTest, WalksInOrderOfArrivalAndOfHashes) {
  SealedLog log(env_, store_, "/l", row_);
  std::map<std::string, std::string> arrived, sorted;
  std::vector<int64_t> ranks;
  ASSERT_TRUE(log.for_each([&](int64_t rank, const RecordHead& head, std::string_view content) -> Status {
                   ranks.push_back(rank);
                   arrived.emplace(head.path, content);
                   return {};
                 }).ok());
  EXPECT_EQ(arrived, files_);
  EXPECT_FALSE(std::is_sorted(ranks.begin(), ranks.end()));
  auto cursor = std::move(log.cursor()).value();
  Hash128 before;
  while (*cursor->next()) {
    const Hash128 key = path_key(cursor->head().path);
    EXPECT_LT(before, key);
    before = key;
    sorted.emplace(cursor->head().path, cursor->content());
  }
  EXPECT_EQ(sorted, files_);
  EXPECT_TRUE(verify().ok());
}

TEST_F(SealedLogTest, DamageIsNamed) {
  env_.flip("/l/index-5.bgl", 5000, 1);
  EXPECT_EQ(verify().message(), "/l/index-5.bgl: checksum of its bytes differs; restore this file from a copy");
  env_.flip("/l/index-5.bgl", 5000, 1);
  env_.flip("/l/log-5.bgl", row_.segment_bytes - 20, 1);
  EXPECT_NE(verify().message().find("/l/log-5.bgl: the batch at byte"), std::string::npos) << verify().message();
  env_.flip("/l/log-5.bgl", row_.segment_bytes - 20, 1);
  row_.supersedes = 1;
  EXPECT_NE(verify().message().find("/l/index-5.bgl: it has"), std::string::npos) << verify().message();
}

}  // namespace
}  // namespace bgl::storage
