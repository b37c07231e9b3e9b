// MANIFEST: the lake's root, one row per segment, swapped atomically. Text, one JSON value a line:
//
//   {"format":"bgl lake","version":3,"next_id":9,"log":8,"segments":2,"columns":["id","run",...]}
//   [3,3,0,...]                     a row per segment, oldest first, its values in the order of `columns` (segment_row.h)
//   {"check":"<XXH3-128 of all bytes before this line, 32 hex digits>"}
//
// Version 2, which lacks the columns run_names and form, is read too; what is written is version 3.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "storage/lake/internal/segment_row.h"

namespace bgl::storage {

struct Manifest {
  int64_t next_id = 1;  // for the next log, segment or run
  int64_t log_id = 0;   // 0 in a snapshot, which has no log
};

std::string write_manifest(const Manifest& manifest, std::span<const SegmentRow> rows);
// Fills `rows`. `where` names the file in messages.
Result<Manifest> parse_manifest(std::string_view text, const std::string& where, std::vector<SegmentRow>& rows);

}  // namespace bgl::storage
