// names-N.bgl: the paths of segment N in sorted order, apart from the bytes, so that listing reads little and getting reads
// none.
//
//   0        "BGLNAM1\n"
//   8        blocks, one after another, each a zstd frame of entries:
//              varint shared    bytes this path has in common with the one before in the block (0 for the first)
//              varint rest, then that many bytes of path
//              varint content bytes, or 2^48 for a path that was removed
//              u64 u64          XXH3-128 of the content
//   then     directory, a zstd frame; for each block:
//              varint path bytes, first path; varint raw bytes; varint frame bytes; u64 XXH3-64 of the frame
//   end-64   footer: "BGLNAMF1", u64 segment id, u64 files, u64 blocks, u64 directory frame at, u64 its frame bytes,
//            u64 its raw bytes, u64 XXH3-64 of the directory frame
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/status.h"
#include "storage/lake/internal/segment_row.h"
#include "storage/object_store.h"

namespace bgl::storage {

struct NameEntry {
  std::string path;
  int64_t content_bytes = 0;
  Hash128 content_hash;
  bool deleted = false;  // the path was removed
};

// Sorts `entries` by path and writes names-ID.bgl; sets names_bytes and names_check of `row`.
Status write_names(ObjectStore& store, std::vector<NameEntry> entries, SegmentRow& row);

// Walks the paths of one segment in order. Holds the directory and one block.
class NamesReader {
 public:
  // `dir` only names the file in messages. Stands at the first path >= `from`.
  static Result<std::unique_ptr<NamesReader>> open(ObjectStore& store, const std::string& dir, const SegmentRow& row,
                                                   std::string_view from);
  // False at the end.
  bool valid() const { return valid_; }
  const NameEntry& entry() const { return entry_; }
  Status next();

 private:
  struct Block {
    std::string first;
    int64_t at = 0;
    int64_t raw_bytes = 0;
    int64_t frame_bytes = 0;
    uint64_t check = 0;
  };
  NamesReader(ObjectStore& store, const std::string& dir, const SegmentRow& row);
  Status load_directory();
  Status load_block(size_t number);
  Status damaged(const std::string& what) const;

  ObjectStore& store_;
  std::string key_;
  std::string where_;
  SegmentRow row_;
  std::vector<Block> blocks_;
  size_t next_block_ = 0;
  std::string raw_;
  std::string_view left_;  // of raw_
  NameEntry entry_;
  bool valid_ = false;
};

}  // namespace bgl::storage
