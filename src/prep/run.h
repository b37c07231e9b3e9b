// Raw files to clean documents.
//
//   CLEAN/documents/<source>-<key>.jsonl.zst   kept: {"domain", "source", "split", "licence", "id", "text"} a line, and "title"
//   and
//                                              "url" where there is one; split is "train" or "heldout"
//   CLEAN/drops/<source>-<key>.jsonl.zst       not kept: {"domain", "source", "id", "rule", "value"} a line
//   CLEAN/samples.json                         a few documents of every rule, and kept ones, with the beginnings of their texts
//   CLEAN/summary.json                         what came in, what was kept, what each rule dropped, and the files in order;
//   written last CLEAN/config.toml                          the configuration with every default CLEAN/units/ finished units,
//   by what they are made of: remove it to save space
//
// The result depends on the files and the configuration only: not on threads, interruptions or what ran before. A unit is some
// neighbouring files; an added or changed file makes its unit again, and the files of documents of which one's fate changed.
// Memory: a few times `limits.document_bytes` per thread; `prep.memory_mb` for the hashes of near duplicates, and 9 bytes a
// document.
#pragma once

#include <functional>
#include <string>

#include "base/env.h"
#include "base/status.h"
#include "prep/config.h"

namespace bgl::prep {

struct RunOptions {
  std::string in;   // a lake or a folder
  std::string out;  // CLEAN
  // Called from one thread at a time as units finish.
  std::function<void(int64_t done, int64_t total)> progress;
};

struct RunReport {
  bool nothing_to_do = false;  // the result was there already
  int64_t units = 0, units_made = 0;
  int64_t documents_in = 0, documents_kept = 0;
  int64_t bytes_kept = 0;
};

// One run per `out` at a time; a second is told who has it (kAlreadyExists).
Result<RunReport> run(Env& env, const PrepConfig& config, const RunOptions& options);

// The table of CLEAN/summary.json for people: a row per domain and source, and what each rule dropped.
Result<std::string> report_table(Env& env, const std::string& clean);
// A page for judging the rules: the table, and for every source and rule texts that it dropped beside texts of the source that
// are kept, with what was measured.
Result<std::string> report_page(Env& env, const std::string& clean);
// CLEAN/summary.json as it is.
Result<std::string> report_json(Env& env, const std::string& clean);

}  // namespace bgl::prep
