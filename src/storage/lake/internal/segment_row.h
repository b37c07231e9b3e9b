// A segment as the manifest knows it: all that opening, counting and choosing segments need.
#pragma once

#include <cstdint>
#include <string>

#include "base/hash.h"

namespace bgl::storage {

struct SegmentRow {
  int64_t id = 0;
  int64_t run = 0;   // segments written by one merge share a run; a sealed log is a run of its own
  int64_t tier = 0;  // 0: a sealed log; t + 1: merged from runs of tier t
  int64_t files = 0;
  int64_t bytes = 0;       // of content
  int64_t tombstones = 0;  // of `files`: paths that were removed
  // Records of older segments that this one's records replace, and how many of them are tombstones.
  int64_t supersedes = 0;
  int64_t revived = 0;
  int64_t superseded_bytes = 0;
  // The segment's path keys all begin with the `prefix_bits` bits `prefix`.
  int64_t prefix_bits = 0;
  int64_t prefix = 0;
  int64_t segment_bytes = 0;  // of the file segment-ID.bgl, or log-ID.bgl
  int64_t names_bytes = 0;    // of the file names-ID.bgl
  int64_t index_bytes = 0;    // in memory when the segment is in use
  // 1: the names files of the run's segments follow one another in the order of paths; 0 (written before version 3): each has
  // the paths of its own segment.
  int64_t run_names = 1;
  static constexpr int64_t kHashOrder = 0;  // segment-ID.bgl (segment.h)
  static constexpr int64_t kSealedLog = 1;  // log-ID.bgl and index-ID.bgl (sealed_log.h)
  int64_t form = kHashOrder;
  Hash128 segment_check;      // XXH3-128 of the segment's, or the log's index's, footer, which holds checksums of the rest
  Hash128 names_check;        // the same for the names

  int64_t live_files() const { return files - tombstones - (supersedes - revived); }  // may be negative
  // Of all its files on disk.
  int64_t disk_bytes() const {
    return segment_bytes + names_bytes + (form == kSealedLog ? 64 + index_bytes + 12 * supersedes + 128 : 0);
  }
  bool may_hold(const Hash128& key) const {
    return prefix_bits == 0 || static_cast<int64_t>(key.high >> (64 - prefix_bits)) == prefix;
  }
};

inline std::string segment_key(int64_t id) { return "segment-" + std::to_string(id) + ".bgl"; }
inline std::string names_key(int64_t id) { return "names-" + std::to_string(id) + ".bgl"; }
inline std::string index_key(int64_t id) { return "index-" + std::to_string(id) + ".bgl"; }
inline std::string log_key(int64_t id) { return "log-" + std::to_string(id) + ".bgl"; }

}  // namespace bgl::storage
