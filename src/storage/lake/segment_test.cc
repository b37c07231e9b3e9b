#include "storage/lake/internal/segment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "sim/sim_env.h"
#include "storage/directory_store.h"
#include "storage/lake/internal/names.h"

namespace bgl::storage {
namespace {

class SegmentTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(env_.make_dirs("/l").ok()); }

  // Files "dir/i" of i % `sizes` bytes as segment 7 with prefix_bits 0.
  SegmentRow write(int64_t n, int64_t sizes) {
    for (int64_t i = 0; i < n; ++i) {
      files_["dir/" + std::to_string(i)] = std::string(static_cast<size_t>(i % sizes), static_cast<char>('a' + i % 26));
    }
    std::vector<std::pair<Hash128, std::string>> order;
    int64_t bytes = 0;
    for (const auto& [path, content] : files_) {
      order.emplace_back(path_key(path), path);
      bytes += record_bytes(static_cast<int64_t>(path.size()), static_cast<int64_t>(content.size()));
    }
    std::sort(order.begin(), order.end());
    auto writer = std::move(SegmentWriter::create(store_, {.id = 7, .expected_files = n, .expected_bytes = bytes})).value();
    for (const auto& [key, path] : order) {
      const std::string& content = files_[path];
      EXPECT_TRUE(writer->add(key, {path, static_cast<int64_t>(content.size()), hash128(content)}, content).ok());
    }
    SegmentRow row = std::move(writer->finish({{1, 2}, {1, 9}, {3, 0}}, 100)).value();
    auto names = std::move(NamesWriter::create(store_, row.id)).value();
    for (const auto& [path, content] : files_) {
      EXPECT_TRUE(names->add({path, static_cast<int64_t>(content.size()), hash128(content)}).ok());
    }
    EXPECT_TRUE(names->finish(row).ok());
    return row;
  }

  std::string get(SegmentReader& reader, const std::string& path) {
    const auto hit = reader.locate(path_key(path));
    if (!hit.ok()) return hit.status().message();
    if (hit.value().count == 0) return "absent";
    const auto found = reader.read(hit.value(), path, true);
    if (!found.ok()) return found.status().message();
    return found.value() ? found.value()->content : "absent";
  }

  sim::SimEnv env_{1};
  DirectoryStore store_{env_, "/l"};
  std::map<std::string, std::string> files_;
};

TEST_F(SegmentTest, FindsEveryFileAndNoOther) {
  const SegmentRow row = write(3000, 700);
  SegmentReader reader(store_, "/l", row);
  for (const auto& [path, content] : files_) ASSERT_EQ(get(reader, path), content) << path;
  for (int i = 3000; i < 6000; ++i) ASSERT_EQ(get(reader, "dir/" + std::to_string(i)), "absent");
  EXPECT_EQ(*reader.supersedes(), (std::vector<RecordRef>{{1, 2}, {1, 9}, {3, 0}}));
  EXPECT_EQ(row.files, 3000);
  EXPECT_EQ(env_.stat("/l/segment-7.bgl")->size, row.segment_bytes);
}

// An index that finds no room in memory is read by the page.
TEST_F(SegmentTest, AnswersWithoutRoomForTheIndex) {
  const SegmentRow row = write(9000, 3);
  ASSERT_GT(row.index_bytes, 2 * kIndexPageBytes);
  IndexBudget budget(row.index_bytes - 1);
  SegmentReader lean(store_, "/l", row, &budget);
  SegmentReader full(store_, "/l", row);
  for (const auto& [path, content] : files_) ASSERT_EQ(get(lean, path), content);
  for (int64_t rank = 0; rank < row.files; ++rank) {
    const auto hit = lean.locate_rank(rank), want = full.locate_rank(rank);
    ASSERT_TRUE(hit.ok() && want.ok());
    ASSERT_EQ(hit->rank, want->rank);
    ASSERT_EQ(hit->begin, want->begin);
    ASSERT_EQ(hit->end, want->end);
  }
  {
    IndexBudget enough(row.index_bytes);
    SegmentReader first(store_, "/l", row, &enough);
    EXPECT_EQ(get(first, files_.begin()->first), files_.begin()->second);
    EXPECT_FALSE(enough.take(1));
  }
}

TEST_F(SegmentTest, WalksRecordsInOrderAlsoHugeOnes) {
  files_["huge"] = std::string(9 << 20, 'h');
  files_["empty"] = "";
  const SegmentRow row = write(100, 50);
  SegmentReader reader(store_, "/l", row);
  std::map<std::string, std::string> seen;
  int64_t next = 0;
  ASSERT_TRUE(reader
                  .for_each([&](int64_t rank, const RecordHead& head, std::string_view content) -> Status {
                    EXPECT_EQ(rank, next++);
                    seen.emplace(head.path, content);
                    return {};
                  })
                  .ok());
  EXPECT_EQ(seen, files_);
  EXPECT_EQ(get(reader, "huge").size(), size_t{9} << 20);
  EXPECT_TRUE(reader.verify([](int64_t) {}, [](const RecordHead&) {}).ok());
}

TEST_F(SegmentTest, NamesComeSortedFromAnyPath) {
  const SegmentRow row = write(5000, 3);
  for (const std::string from : {"", "dir/3", "dir/4999", "dir/99999", "zzz"}) {
    auto reader = std::move(NamesReader::open(store_, "/l", row, from)).value();
    for (auto it = files_.lower_bound(from); it != files_.end(); ++it) {
      ASSERT_TRUE(reader->valid());
      ASSERT_EQ(reader->entry().path, it->first);
      ASSERT_EQ(reader->entry().content_hash, hash128(it->second));
      ASSERT_TRUE(reader->next().ok());
    }
    EXPECT_FALSE(reader->valid());
  }
  EXPECT_LT(row.names_bytes, 5000 * 12);  // hashes of three contents compress; paths cost next to nothing
}

// Every byte of both files is under a checksum: whichever is flipped, verify() or listing says so and names the file.
TEST_F(SegmentTest, EveryFlippedByteIsSeen) {
  const SegmentRow row = write(40, 30);
  for (int64_t at = 0; at < row.segment_bytes; ++at) {
    env_.flip("/l/segment-7.bgl", at, 0x10);
    SegmentReader reader(store_, "/l", row);
    const Status status = reader.verify([](int64_t) {}, [](const RecordHead&) {});
    ASSERT_EQ(status.code(), Code::kDataLoss) << at;
    ASSERT_EQ(status.message().rfind("/l/segment-7.bgl: ", 0), 0u) << status.message();
    env_.flip("/l/segment-7.bgl", at, 0x10);
  }
  for (int64_t at = 0; at < row.names_bytes; ++at) {
    env_.flip("/l/names-7.bgl", at, 0x10);
    const auto names = NamesReader::open(store_, "/l", row, "");
    ASSERT_EQ(names.status().code(), Code::kDataLoss) << at;
    ASSERT_EQ(names.status().message().rfind("/l/names-7.bgl: ", 0), 0u) << names.status().message();
    env_.flip("/l/names-7.bgl", at, 0x10);
  }
}

TEST_F(SegmentTest, DamageIsNamedExactly) {
  const SegmentRow row = write(3, 30);
  std::string whole = *env_.read_file("/l/segment-7.bgl");
  const size_t path_at = whole.find("dir/2");
  const int64_t record_at = static_cast<int64_t>(path_at) - kRecordHeader;
  env_.flip("/l/segment-7.bgl", static_cast<int64_t>(path_at) + 6, 1);
  {
    SegmentReader reader(store_, "/l", row);
    EXPECT_EQ(get(reader, "dir/2"), fmt::format("/l/segment-7.bgl: record at byte {}: checksum of file \"dir/2\" differs; "
                                                "restore this file from a copy",
                                                record_at));
  }
  ASSERT_TRUE(env_.write_file_atomic("/l/segment-7.bgl", whole.substr(0, whole.size() - 1)).ok());
  DirectoryStore fresh(env_, "/l");
  SegmentReader cut(fresh, "/l", row);
  EXPECT_EQ(get(cut, "dir/2"),
            fmt::format("/l/segment-7.bgl: it has {} bytes, the manifest says {}; restore this file from a copy",
                        whole.size() - 1, whole.size()));
}

TEST_F(SegmentTest, APartOfTheKeysHasItsOwnPrefix) {
  std::vector<std::pair<Hash128, std::string>> order;
  for (int i = 0; order.size() < 500; ++i) {
    const std::string path = std::to_string(i);
    if (path_key(path).high >> 61 == 5) order.emplace_back(path_key(path), path);
  }
  std::sort(order.begin(), order.end());
  auto writer = std::move(SegmentWriter::create(
                              store_, {.id = 1, .prefix_bits = 3, .prefix = 5, .expected_files = 500, .expected_bytes = 50000}))
                    .value();
  for (const auto& [key, path] : order)
    ASSERT_TRUE(writer->add(key, {path, static_cast<int64_t>(path.size()), hash128(path)}, path).ok());
  SegmentRow row = std::move(writer->finish({}, 0)).value();
  SegmentReader reader(store_, "/l", row);
  for (const auto& [key, path] : order) ASSERT_EQ(get(reader, path), path);
  EXPECT_LT(row.index_bytes, 2 * kIndexPageBytes);  // keys spread evenly once the prefix is taken off
}

}  // namespace
}  // namespace bgl::storage
