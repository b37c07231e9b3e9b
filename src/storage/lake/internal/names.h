// names-N.bgl: paths in sorted order, apart from the bytes, so that listing reads little and getting reads none. The names files
// of a run follow one another in the order of paths, whatever the hash order does with the records, so that a part is listed
// from a few files of each run (names_walk.h).
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

// Writes one names file; holds one block and the directory.
class NamesWriter {
 public:
  static Result<std::unique_ptr<NamesWriter>> create(ObjectStore& store, int64_t id);
  // In rising order of path.
  Status add(const NameEntry& entry);
  // Commits the object; sets names_bytes and names_check of `row`.
  Status finish(SegmentRow& row);

 private:
  NamesWriter() = default;
  Status end_block();
  int64_t id_ = 0;
  std::unique_ptr<ObjectWriter> out_;
  std::string raw_;     // of the block
  std::string first_;   // path of the block
  std::string before_;  // the path added last
  std::string directory_;
  uint64_t at_ = 0, blocks_ = 0, files_ = 0;
};

// Walks the paths of one names file in order. Holds the directory and one block.
class NamesReader {
 public:
  // `dir` only names the file in messages. Stands at the first path >= `from`.
  static Result<std::unique_ptr<NamesReader>> open(ObjectStore& store, const std::string& dir, const SegmentRow& row,
                                                   std::string_view from);
  // The least path; "" when there is none. Reads the directory only.
  static Result<std::string> first_path(ObjectStore& store, const std::string& dir, const SegmentRow& row);
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
