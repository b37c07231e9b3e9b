// A unit of work: some files of one source, made into documents that passed the filters. Its key names everything it is made
// from (contents of the files, reader, filters, this code's version), so a unit that exists under its key is right.
//
//   WORK/<key>.docs.zst    {"id", "title", "text"} a line: the documents that passed
//   WORK/<key>.drops.zst   {"id", "rule", "value"} a line: the others
//   WORK/<key>.sig         written last; its presence says that the unit is whole:
//     offset   size   content
//     0        8      "BGLUNIT1"
//     8        8      N documents that passed (u64, little-endian as all that follows)
//     16       8      B bands
//     24       8      documents read
//     32       8      bytes of text read
//     40       ...    N times: exact hash (high, low), bytes of text, B band hashes (u64 each)
//     end - 8  8      XXH3-64 of all before
#pragma once

#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "prep/config.h"
#include "prep/dedup.h"
#include "prep/files.h"

namespace bgl::prep {

struct Unit {
  size_t source = 0;  // index into PrepConfig::sources
  int number = 0;     // within the source
  std::vector<FileEntry> files;
  std::string key;
};

// Files go to the sources in the order of the configuration: a file belongs to every source whose patterns match it. Units hold
// neighbours by path: up to 64 files or 16 MiB.
Result<std::vector<Unit>> plan_units(const PrepConfig& config, const std::vector<FileEntry>& files);

struct UnitSummary {
  int64_t documents_in = 0, bytes_in = 0;
  std::vector<Signature> signatures;  // of the documents that passed, in order
  std::vector<int64_t> text_bytes;
};

struct UnitDocument {
  std::string id, title, text;
};
struct UnitDrop {
  std::string id, rule, value;  // value: JSON
};

// Does nothing when the unit is there. A file that cannot be read as documents is dropped with rule "unreadable".
Status make_unit(Env& env, const std::string& work, const PrepConfig& config, const Unit& unit, FileSource& files);
Result<UnitSummary> read_unit_summary(Env& env, const std::string& work, const Unit& unit);
Result<std::vector<UnitDocument>> read_unit_documents(Env& env, const std::string& work, const Unit& unit);
Result<std::vector<UnitDrop>> read_unit_drops(Env& env, const std::string& work, const Unit& unit);

}  // namespace bgl::prep
