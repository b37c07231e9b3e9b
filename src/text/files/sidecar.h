// manifest.json: checksums beside files whose formats have none.
//
//   {"check":"<XXH3-128 of the file's other text: the same object without this key, as written>",
//    "files":{"a/b":{"bytes":12,"xxh3_128":"<32 hex digits>"},...},"format":"bgl files","version":1}
//
// A file that was added later is in no manifest; that is told, and is no error. A manifest.json that another program wrote is a file like others.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"

namespace bgl::text {

inline constexpr const char* kSidecarName = "manifest.json";

struct SidecarReport {
  int64_t files = 0;  // whose checksums are written or hold
  int64_t bytes = 0;
  std::vector<std::string> unlisted;  // files of the folder that the manifest does not name
};
using SidecarProgress = std::function<void(int64_t done_bytes, int64_t total_bytes)>;

// The manifest of a folder, itself checked.
class Sidecar {
 public:
  // A folder without one, or with another program's, gives one that names nothing. kDataLoss: it is ours, and damaged.
  static Result<Sidecar> open(Env& env, const std::string& dir);
  bool present() const { return present_; }
  bool names(const std::string& file) const { return files_.count(file) > 0; }
  // Reads the named file, or all that are named, in pieces of 1 MiB at the speed of memory. kDataLoss names the first that is changed
  // or gone, and says what to do. A file that is not named is not read.
  Status check(const std::string& file) const;
  Status check_all(const SidecarProgress& progress = {}) const;

 private:
  friend Result<SidecarReport> verify_sidecar(Env&, const std::string&, const SidecarProgress&);
  struct Facts {
    int64_t bytes = 0;
    std::string hash;
  };
  Status check_one(const std::string& name, const Facts& facts, const std::function<void(int64_t)>& read_bytes) const;
  Env* env_ = nullptr;
  std::string dir_;
  bool present_ = false;
  std::map<std::string, Facts> files_;
};

// Replaces the manifest of `dir`: every file below it but itself and LOCK files. kInvalidArgument for a name that is not UTF-8, which JSON
// cannot hold; kAlreadyExists where manifest.json is another program's.
Result<SidecarReport> write_sidecar(Env& env, const std::string& dir, const SidecarProgress& progress = {});
// check_all(), and what is in the folder beside. kNotFound when there is no manifest of ours.
Result<SidecarReport> verify_sidecar(Env& env, const std::string& dir, const SidecarProgress& progress = {});
// What the manifest beside one file says of it; OK where there is none.
Status check_recorded(Env& env, const std::string& path);

}  // namespace bgl::text
