// log-N.bgl: the lake's newest files, appended in batches; one batch is one write and one fsync (group commit).
//
//   0   "BGLLOG1\n", u64 log id, u64 zero, u64 XXH3-64 of bytes 0..23
//   32  batches, each beginning at a multiple of 8, zeros between:
//       0  u32 "BTCH"     4  u32 records     8  u64 body bytes     16 u64 XXH3-64 of the body
//       24 u64 XXH3-64 of bytes 0..23, seeded with log id and the batch's place, so that stale bytes never look like a batch
//       32 body: per record
//          0  u48 segment, u16 content bytes, bits 32..47, u32 rank, u32 content bytes, bits 0..31: the sealed file it
//             replaces (segment 0: none; the u16 all ones: a sealed tombstone)
//          16 record (record.h)
//
// Recovery. A batch counts when both its checksums hold. The first that does not is the torn tail of a batch nobody was told
// about, and is cut off, unless a whole batch follows: then acknowledged bytes were damaged, and that is an error.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/hash.h"
#include "base/status.h"
#include "storage/lake/internal/record.h"
#include "storage/lake/internal/segment.h"

namespace bgl::storage {

struct Replaced {
  RecordRef ref;  // segment 0: none
  int64_t content_bytes = 0;
  bool deleted = false;  // what is replaced is a tombstone
  bool is_live() const { return ref.segment != 0 && !deleted; }
};

// A committed record of the log, without its content.
struct LogEntry {
  int64_t record_at = 0;  // byte of the record in the file
  int64_t content_bytes = 0;
  Hash128 content_hash;
  bool deleted = false;  // the path was removed
  Replaced replaced;
};

// Whether a seal keeps it: a removal of what was never sealed, or is sealed as removed, leaves nothing.
inline bool is_sealed(const LogEntry& entry) { return !entry.deleted || entry.replaced.is_live(); }

// A file, or the removal of one.
struct LogPut {
  std::string_view path;
  std::string_view content;
  Hash128 content_hash;
  bool deleted = false;
  Replaced replaced;
};

class Log {
 public:
  // Creates an empty log, synced.
  static Status create(Env& env, const std::string& dir, int64_t id);
  // Reads the log, calling `fn` for every committed record in order. `write`: cuts a torn tail off and allows append().
  static Result<std::unique_ptr<Log>> open(Env& env, const std::string& dir, int64_t id, bool write,
                                           const std::function<void(std::string_view path, const LogEntry&)>& fn);

  // Writes and syncs one batch; `entries` get one element per put. After an error the log takes nothing more, because what of
  // the batch reached the disk is not known: open it again.
  Status append(const std::vector<LogPut>& puts, std::vector<LogEntry>& entries);
  // The content of a committed record, checked.
  Result<std::string> read(std::string_view path, const LogEntry& entry) const;
  int64_t bytes() const { return end_; }
  // The error after which nothing more is taken.
  const Status& broken() const { return broken_; }
  // After the last whole batch when the log was opened: of a batch whose writer was killed, or that was damaged.
  int64_t torn_bytes() const { return torn_; }
  // Checks every committed byte again.
  Status verify() const;

 private:
  Log(std::unique_ptr<File> file, std::string where, int64_t id) : file_(std::move(file)), where_(std::move(where)), id_(id) {}
  uint64_t place_seed(int64_t at) const;
  struct Batch {
    uint32_t records = 0;
    int64_t body_bytes = 0;
    std::string body;
  };
  // The whole batch at `at`, or false.
  Result<bool> read_batch(int64_t at, int64_t size, Batch& batch) const;
  Result<bool> batch_follows(int64_t at, int64_t size) const;
  Status replay(int64_t from, int64_t size, const std::function<void(std::string_view, const LogEntry&)>& fn,
                int64_t& end) const;
  Status damaged(const std::string& what) const;

  std::unique_ptr<File> file_;
  std::string where_;
  int64_t id_;
  int64_t end_ = 0;  // of the last whole batch
  int64_t torn_ = 0;
  Status broken_;  // why nothing more is taken
};

}  // namespace bgl::storage
