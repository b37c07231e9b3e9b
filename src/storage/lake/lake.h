// The lake: very many small files kept as few large ones. Files are appended to a log, one fsync per commit(); seal() makes the
// log a segment where it lies, by an index beside it; merges put sealed logs into hash order, in segments of about 10^5 files
// whose index costs about 2 bytes of memory per file. Either finds any file with one read. The manifest has one row per segment,
// never one per file.
//
//   DIR/MANIFEST            the list of segments and the name of the log (manifest.h), swapped atomically
//   DIR/log-N.bgl           the active log, or a sealed one (log.h)
//   DIR/index-N.bgl         what makes a segment of a sealed log (sealed_log.h)
//   DIR/segment-N.bgl       records in hash order, index, footer (segment.h)
//   DIR/names-N.bgl         a part of the paths of the segment's run, sorted, front-coded (names.h)
//   DIR/snapshots/NAME      a manifest kept under a name
//   DIR/LOCK                held by the one writer; names it
//   DIR/readers/NAME        held by a reader; says what it needs (lease.h)
//
// Sealed logs are runs of tier 0; four of them, and eight runs of every other tier, are merged into one of the next, cut into
// segments by hash, so 10^7 files lie in at most about 14 places and a look-up reads once and, wrongly, in one of five cases once
// more (index_page.h). A sealed log's index takes 8 bytes per file.
//
// Meaning: a map from path (bytes of any kind, at most 65535, not empty) to content (at most 4 GiB). The newest put or
// removal wins; a put of the bytes that are there already changes nothing.
// One writer at a time, any number of readers, in any process; a reader sees the lake as it was when opened or refreshed. It
// says so under DIR/readers, with a lock that ends with its process, and what it needs stays through merges, compact() and
// drop_snapshot() until it refreshes or ends; the writer after that removes it. A reader that cannot write there is not protected:
// a merge removes old segments ten minutes after it, compact() and the next writer at once, and the reader is then told to refresh
// or open the lake again (kUnavailable). Not thread-safe except get(), get_many(), read_records() and ls() of a lake opened
// without `write`.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/status.h"

namespace bgl::storage {

struct LakeOptions {
  bool write = false;
  bool create = false;  // with `write`: makes the folder when there is no lake
  int64_t segment_files = 100000;
  int64_t segment_bytes = int64_t{1} << 30;
  // When this many runs of one tier (half as many sealed logs) have come together they are merged into one run of the next, so
  // that a file is looked for in few places; 0: never.
  int64_t merge_runs = 8;
  // For the indexes of segments, about 2 bytes a file. Where they take more, a look-up in a segment whose index found no room
  // reads a page of 4 KiB first.
  int64_t index_memory_bytes = int64_t{4} << 30;
  // Reads the lake as it was at this snapshot. Not with `write`.
  std::string snapshot = {};
};

struct LakeEntry {
  std::string path;
  int64_t bytes = 0;
  std::string hash;  // XXH3-128 of the content, 32 hex digits
};

struct LakeCommit {
  int64_t added = 0;      // paths that were not there
  int64_t replaced = 0;   // paths whose content changed
  int64_t unchanged = 0;  // paths whose bytes were there already
  int64_t removed = 0;    // paths that are gone
  int64_t missing = 0;    // paths to remove that were not there
  int64_t bytes = 0;      // content of the added and replaced
};

struct LakeStat {
  int64_t files = 0;  // live
  int64_t bytes = 0;  // content of the live files
  int64_t segments = 0;
  int64_t runs = 0;                // places where a file may lie, the log not counted
  int64_t segment_files = 0;       // records in segments, replaced ones and tombstones too
  int64_t log_files = 0;           // committed, not yet sealed
  int64_t disk_bytes = 0;          // segments, names and log
  int64_t names_bytes = 0;         // of these, the names
  int64_t index_memory_bytes = 0;  // held in memory to find a sealed file with one read
  int64_t torn_bytes = 0;  // of the log, after its last whole batch: a batch being written, or torn by a kill, or damaged
};

struct LakeSnapshot {
  std::string name;
  int64_t files = 0;
  int64_t bytes = 0;
};

struct LakeFile {
  std::string path;
  std::string bytes;
};

class Lake {
 public:
  // Errors: kNotFound "no lake at DIR; ..." unless create; kAlreadyExists "lake DIR is being written by pid N (since T)".
  // A writer first recovers the log: what a killed writer had acknowledged is there, a torn tail is cut off.
  static Result<std::unique_ptr<Lake>> open(Env& env, const std::string& dir, LakeOptions options = {});
  virtual ~Lake() = default;

  // Buffers the file; nothing is promised before commit(). Memory: the buffered bytes.
  virtual Status put(std::string_view path, std::string_view bytes) = 0;
  // Buffers the removal of the file; commit() counts it as missing when there is none.
  virtual Status remove(std::string_view path) = 0;
  // One write and one fsync for all buffered files and removals; when it returns OK they survive kill and power cut. Seals when
  // the log has reached segment_files or segment_bytes. After an error open the lake again; what was acknowledged before is safe,
  // on a full disk (kResourceExhausted) too.
  virtual Result<LakeCommit> commit() = 0;

  // kNotFound "no file PATH in lake DIR"; kDataLoss with file and offset when the bytes are not those put. Sees committed
  // files.
  virtual Result<std::string> get(std::string_view path) = 0;
  // One entry per path, nullopt where there is no such file; reads are done in disk order.
  virtual Result<std::vector<std::optional<std::string>>> get_many(std::span<const std::string> paths) = 0;
  // Live files whose path starts with `prefix`, sorted by path bytes.
  virtual Result<std::vector<LakeEntry>> ls(std::string_view prefix = {}) = 0;
  // As ls() without holding the list.
  virtual Status ls_each(std::string_view prefix, const std::function<Status(const LakeEntry&)>& fn) = 0;
  // Every live file once, in disk order: sequential reads. The view is valid during the call.
  virtual Status scan(const std::function<Status(const LakeEntry&, std::string_view bytes)>& fn) = 0;
  // The records of segments and log by number, from 0 to record_count() - 1, in disk order: for reading at random without a
  // list of names. nullopt: the record was replaced or removed. Numbers hold until the next commit, seal, compaction or
  // refresh.
  virtual Result<int64_t> record_count() = 0;
  virtual Result<std::vector<std::optional<LakeFile>>> read_records(std::span<const int64_t> numbers) = 0;
  virtual Result<LakeStat> stat() = 0;
  // Reads everything, the snapshots too, and checks every checksum; the first fault is returned as kDataLoss with file and
  // offset. A torn end of the log is no fault: see LakeStat::torn_bytes.
  virtual Status verify(const std::function<void(int64_t done_bytes, int64_t total_bytes)>& progress = {}) = 0;

  // Seals, then keeps today's state under `name` (letters, digits, ".", "_", "-"); kAlreadyExists when taken.
  virtual Status snapshot(const std::string& name) = 0;
  // Sorted by name.
  virtual Result<std::vector<LakeSnapshot>> snapshots() = 0;
  // Forgets a snapshot and removes what only it needed; kNotFound "no snapshot ...".
  virtual Status drop_snapshot(const std::string& name) = 0;
  // Seals, then merges the newest runs until there are at most `runs` and no sealed log, and removes what is not needed any more
  // at once.
  virtual Status compact(int64_t runs = 1) = 0;
  // For readers: sees what was committed since the lake was opened.
  virtual Status refresh() = 0;
  // Makes a segment of the log, which writes an index and names but no content. Does nothing when the log is empty.
  virtual Status seal() = 0;
  // Fails when files are buffered and not committed. The lock is free afterwards.
  virtual Status close() = 0;
};

}  // namespace bgl::storage
