// What `bgl verify` can check: one row per kind of thing on disk. A new kind is a recognise, a verify and a row in
// artefacts.cc. A format whose files hold no checksums is kept beside a manifest.json (text/files/sidecar.h) and needs no row of
// its own.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"

namespace bgl::cli {

struct VerifyReport {
  int64_t files = 0;
  int64_t bytes = 0;
  std::vector<std::string> unlisted;  // files that no checksum covers
};

// Hears how many of how many bytes are checked.
using VerifyProgress = std::function<void(int64_t done_bytes, int64_t total_bytes)>;

struct ArtefactKind {
  const char* name;  // "lake"
  const char* mark;  // by what it is known, for the message when nothing is recognised
  bool (*recognise)(Env& env, const std::string& path);
  // Reads everything; kDataLoss names the file and where in it.
  Result<VerifyReport> (*verify)(Env& env, const std::string& path, const VerifyProgress& progress);
};

// In the order in which they are tried.
std::span<const ArtefactKind> artefact_kinds();

// A thing on disk and its kind.
struct Artefact {
  std::string path;
  const ArtefactKind* kind;
};
// `path`, where it is of a kind; else what is of a kind in the folders below it. What lies below a folder with a manifest.json of files is
// looked at too, for its own checksums.
Result<std::vector<Artefact>> find_artefacts(Env& env, const std::string& path);

// Of the lake at `path`, or of a snapshot of it. More than Lake::verify(): a torn end of the log is told too.
Result<VerifyReport> verify_lake(Env& env, const std::string& path, const std::string& snapshot,
                                 const VerifyProgress& progress);

}  // namespace bgl::cli
