// The lake's parts together. lake.cc opens and closes, lake_write.cc changes, lake_read.cc answers, merge.cc merges runs.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/directory_store.h"
#include "storage/lake/internal/log.h"
#include "storage/lake/internal/manifest.h"
#include "storage/lake/internal/names.h"
#include "storage/lake/internal/segment.h"
#include "storage/lake/lake.h"

namespace bgl::storage {

// Per segment the ranks that newer files replace, rising.
using DeadRanks = std::map<int64_t, std::vector<int64_t>>;

class LakeImpl final : public Lake {
 public:
  LakeImpl(Env& env, const std::string& dir, LakeOptions options) : env_(env), dir_(dir), options_(options), store_(env, dir) {}
  Status open();

  Status put(std::string_view path, std::string_view bytes) override;
  Result<LakeCommit> commit() override;
  Result<std::string> get(std::string_view path) override;
  Result<std::vector<std::optional<std::string>>> get_many(std::span<const std::string> paths) override;
  Result<std::vector<LakeEntry>> ls(std::string_view prefix) override;
  Status ls_each(std::string_view prefix, const std::function<Status(const LakeEntry&)>& fn) override;
  Status scan(const std::function<Status(const LakeEntry&, std::string_view)>& fn) override;
  Result<LakeStat> stat() override;
  Status verify(const std::function<void(int64_t, int64_t)>& progress) override;
  Status snapshot(const std::string& name) override;
  Status seal() override;
  Status close() override;

 private:
  // lake.cc
  Status create();
  Status load();
  Status load_manifest();
  Status open_log();
  Status remove_unreferenced();
  Status require_writer() const;
  // Segments and names that some snapshot needs.
  Result<std::set<std::string>> snapshot_objects();

  // lake_write.cc
  struct Change {
    LogPut put;
    bool is_new = false;
  };
  // What putting `content` at `path` changes; nullopt: nothing.
  Result<std::optional<Change>> change_of(std::string_view path, std::string_view content);
  Result<SegmentRow> write_log_segment();
  Status swap(Manifest next);

  // merge.cc
  Status merge_runs();
  // The newest runs that are to be merged: their first segment's place in the manifest, or -1.
  int64_t merge_start() const;
  Result<std::vector<SegmentRow>> merge_from(size_t start);
  Status remove_old_garbage();

  // lake_read.cc
  // The sealed file of this path: which record it is, and its content when wanted.
  struct Sealed {
    RecordRef ref;
    SegmentReader::Found found;
  };
  Result<std::optional<Sealed>> find_sealed(std::string_view path, bool want_content);
  Result<DeadRanks> dead_ranks();
  Status verify_segment(SegmentReader& segment, int64_t before, int64_t total,
                        const std::function<void(int64_t, int64_t)>& progress);
  Status verify_replaced();
  int64_t disk_bytes() const;

  Env& env_;
  std::string dir_;
  LakeOptions options_;
  DirectoryStore store_;
  std::unique_ptr<FileLock> lock_;
  Status broken_;  // why nothing more is written until the lake is opened again
  Manifest manifest_;
  std::string version_;
  std::vector<std::unique_ptr<SegmentReader>> segments_;  // as manifest_.segments: oldest first
  std::unique_ptr<Log> log_;                              // null in a snapshot
  std::map<std::string, LogEntry, std::less<>> log_files_;
  std::map<std::string, std::string, std::less<>> buffered_;
  // Objects that merges replaced, and when.
  std::vector<std::pair<int64_t, std::string>> garbage_;
};

}  // namespace bgl::storage
