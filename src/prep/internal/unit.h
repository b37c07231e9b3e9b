// A unit of work: some files of one source, made into documents that passed the filters. Its key names everything it is made
// from (contents of the files, reader, limits, filters, this code's version), so a unit that exists under its key is right.
//
//   WORK/<key>.docs.zst      {"id", "text", "title", "url"} a line: the documents that passed; "title" and "url" where there is
//   one WORK/<key>.drops.zst     {"id", "rule", "value"} a line: the others WORK/<key>.samples.json  a few of both with the
//   beginnings of their texts, for the report WORK/<key>.sig           written last; its presence says that the unit is whole.
//   u64 are little-endian:
//     N times   exact hash (high, low), bytes of text, B band hashes: u64 each
//     J bytes   JSON: {"documents_in", "bytes_in", "drops": {rule: n}, "masked": {kind: n}}
//     40 bytes  N, B, J, XXH3-64 of all before, "BGLUNIT2"
//
// Documents go from the file to the disk one by one: a unit takes the memory of one document, whatever its files hold.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "prep/config.h"
#include "prep/decontaminate.h"
#include "prep/dedup.h"
#include "prep/files.h"

namespace bgl::prep {

struct Unit {
  size_t source = 0;  // index into PrepConfig::sources
  std::vector<FileEntry> files;
  std::string key;
};

// Files go to the sources in the order of the configuration: a file belongs to every source whose patterns match it. Units hold
// neighbours by path, up to 64 files or 16 MiB; a larger file is a unit of its own. Where a unit ends is decided by the paths
// and sizes near its end, so that a file more or less changes the unit it is in, seldom the next, and no others.
Result<std::vector<Unit>> plan_units(const PrepConfig& config, const Evaluations& evaluations,
                                     const std::vector<FileEntry>& files);

// What units are made with.
struct Workshop {
  Env& env;
  const std::string& work;
  const PrepConfig& config;
  const Evaluations& evaluations;
  FileSource& files;
};
// Does nothing when the unit is there. What cannot be read as documents is dropped, with the reason.
Status make_unit(const Workshop& shop, const Unit& unit);

struct UnitCounts {
  int64_t documents_in = 0, bytes_in = 0;
  std::map<std::string, int64_t> drops, masked;
};

// The .sig file of a finished unit, mapped.
class UnitSignatures {
 public:
  // kDataLoss "...: damaged; remove it and run again".
  static Result<UnitSignatures> open(Env& env, const std::string& work, const Unit& unit);
  size_t size() const { return size_; }
  const UnitCounts& counts() const { return counts_; }
  Hash128 exact(size_t i) const { return {row(i)[0], row(i)[1]}; }
  int64_t text_bytes(size_t i) const { return static_cast<int64_t>(row(i)[2]); }
  std::span<const uint64_t> bands(size_t i) const { return {row(i) + 3, bands_}; }

 private:
  const uint64_t* row(size_t i) const { return reinterpret_cast<const uint64_t*>(view_->bytes().data()) + i * (3 + bands_); }
  std::unique_ptr<FileView> view_;
  size_t size_ = 0, bands_ = 0;
  UnitCounts counts_;
};

// Calls fn for every line of WORK/<key>.docs.zst or .drops.zst, without its line end.
Status each_unit_document(Env& env, const std::string& work, const Unit& unit,
                          const std::function<Status(std::string_view)>& fn);
Status each_unit_drop(Env& env, const std::string& work, const Unit& unit, const std::function<Status(std::string_view)>& fn);

struct Sample {
  uint64_t order = 0;                        // hash of the id: samples of all units are drawn by it
  int64_t number = -1;                       // of the document among those that passed; -1: it was dropped
  std::string id, rule, value, title, text;  // value: JSON; text: its beginning
};
Result<std::vector<Sample>> read_unit_samples(Env& env, const std::string& work, const Unit& unit);

}  // namespace bgl::prep
