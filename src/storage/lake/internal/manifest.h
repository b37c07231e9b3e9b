// MANIFEST: the lake's root, one row per segment, swapped atomically. Text, one JSON value a line:
//
//   {"format":"bgl lake","version":1,"next_id":9,"log":8,"segments":2}
//   {"id":3,"run":3,...}            a row per segment, oldest first (segment_row.h)
//   {"check":"<XXH3-128 of all bytes before this line, 32 hex digits>"}
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "storage/lake/internal/segment_row.h"

namespace bgl::storage {

struct Manifest {
  int64_t next_id = 1;  // for the next log, segment or run
  int64_t log_id = 0;   // 0 in a snapshot, which has no log
  std::vector<SegmentRow> segments;
};

std::string write_manifest(const Manifest& manifest);
// `where` names the file in messages.
Result<Manifest> parse_manifest(std::string_view text, const std::string& where);

}  // namespace bgl::storage
