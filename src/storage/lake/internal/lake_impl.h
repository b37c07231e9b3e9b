// The lake's parts together. lake.cc opens and closes, lake_write.cc changes, lake_read.cc answers, merge.cc merges runs.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/directory_store.h"
#include "storage/lake/internal/lease.h"
#include "storage/lake/internal/log.h"
#include "storage/lake/internal/manifest.h"
#include "storage/lake/internal/names_walk.h"
#include "storage/lake/internal/segment.h"
#include "storage/lake/internal/segment_table.h"
#include "storage/lake/lake.h"

namespace bgl::storage {

// Per segment the ranks that newer files replace, rising.
using DeadRanks = std::map<int64_t, std::vector<int64_t>>;

class LakeImpl final : public Lake {
 public:
  LakeImpl(Env& env, const std::string& dir, LakeOptions options)
      : env_(env), dir_(dir), options_(options), store_(env, dir), segments_(env, store_, dir, options.index_memory_bytes) {}
  Status open();

  Status put(std::string_view path, std::string_view bytes) override;
  Status remove(std::string_view path) override;
  Result<LakeCommit> commit() override;
  Result<std::string> get(std::string_view path) override;
  Result<std::vector<std::optional<std::string>>> get_many(std::span<const std::string> paths) override;
  Result<std::vector<LakeEntry>> ls(std::string_view prefix) override;
  Status ls_each(std::string_view prefix, const std::function<Status(const LakeEntry&)>& fn) override;
  Status scan(const std::function<Status(const LakeEntry&, std::string_view)>& fn) override;
  Result<LakeStat> stat() override;
  Status verify(const std::function<void(int64_t, int64_t)>& progress) override;
  Result<int64_t> record_count() override;
  Result<std::vector<std::optional<LakeFile>>> read_records(std::span<const int64_t> numbers) override;
  Status snapshot(const std::string& name) override;
  Result<std::vector<LakeSnapshot>> snapshots() override;
  Status drop_snapshot(const std::string& name) override;
  Status compact(int64_t runs) override;
  Status refresh() override;
  Status seal() override;
  Status close() override;

 private:
  // lake.cc
  Status create();
  Status load();
  Status load_manifest();
  Result<bool> protect();
  Result<bool> is_current();  // whether the manifest is still the one that was loaded
  std::string manifest_name() const;
  Status open_log();
  Status remove_unreferenced();
  Status require_writer() const;
  Status require_snapshot_name(const std::string& name) const;
  Result<std::vector<std::string>> snapshot_names();
  Status no_snapshot(const std::string& name);
  Result<std::vector<SegmentRow>> read_snapshot(const std::string& name);
  // The segments that some snapshot needs, sorted.
  Result<std::vector<int64_t>> snapshot_segments();

  // lake_write.cc
  // What is at a path before a change of it, and what the change replaces.
  struct Before {
    bool is_live = false;
    int64_t content_bytes = 0;
    Hash128 content_hash;
    Replaced replaced;
  };
  Result<Before> before(std::string_view path);
  Status check_path(std::string_view path) const;
  Result<LakeCommit> commit_buffered();
  Status seal_log();
  // Says of a full disk what to do.
  Status explain(Status status) const;
  // Makes a segment of the log where it lies. nullopt: it holds nothing that a segment needs to know.
  Result<std::optional<SegmentRow>> index_log();
  Status write_log_names(SegmentRow& row);
  Status swap(Manifest next, std::vector<SegmentRow> rows);

  // merge.cc
  Status compact_to(int64_t runs);
  Status merge_runs();
  // The newest runs that are to be merged: their first segment's place in the manifest, or -1.
  int64_t merge_start() const;
  // Replaces the segments from `start` on by one run of `tier`.
  Status merge_from(size_t start, int64_t tier);
  Result<std::vector<SegmentRow>> write_merged(size_t start, int64_t tier);
  struct MergeInput;
  Result<MergeInput> merge_input(size_t start, const DeadRanks& dead);
  // The names of the segments from `start` on as those of the run `merged`.
  Status write_merged_names(size_t start, std::vector<SegmentRow>& merged);
  // Whether a segment before `start` may hold `key`.
  Result<bool> lies_before(size_t start, const Hash128& key);
  Status remove_old_garbage();

  // lake_records.cc
  struct RecordMap;
  Result<std::shared_ptr<const RecordMap>> record_map();

  // lake_read.cc
  // The sealed file of this path: which record it is, and its content when wanted.
  struct Sealed {
    RecordRef ref;
    Segment::Found found;
  };
  Result<std::optional<Sealed>> find_sealed(std::string_view path, bool want_content);
  Result<DeadRanks> dead_ranks();
  Status verify_run(std::span<const SegmentRow> rows, int64_t before, int64_t total,
                    const std::function<void(int64_t, int64_t)>& progress);
  Status verify_replaced();
  Status verify_snapshots();
  // The log's files in the order in which they lie in it.
  using LogFiles = std::map<std::string, LogEntry, std::less<>>;
  std::vector<LogFiles::const_iterator> log_order() const;
  int64_t disk_bytes() const;

  Env& env_;
  std::string dir_;
  LakeOptions options_;
  DirectoryStore store_;
  std::unique_ptr<FileLock> lock_;        // a writer's
  std::unique_ptr<ReaderLease> lease_;    // a reader's; null where it could not announce itself
  Status broken_;  // why nothing more is written until the lake is opened again
  Manifest manifest_;
  std::string version_;
  SegmentTable segments_;
  std::unique_ptr<Log> log_;  // null in a snapshot
  LogFiles log_files_;
  std::map<std::string, std::optional<std::string>, std::less<>> buffered_;  // nullopt: to be removed
  std::mutex record_map_mutex_;
  std::shared_ptr<const RecordMap> record_map_;
  // When merges replaced segments, and which.
  std::vector<std::pair<int64_t, int64_t>> garbage_;
};

}  // namespace bgl::storage
