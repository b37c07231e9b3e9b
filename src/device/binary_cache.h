// Compiled kernels kept on disk: $BGL_CACHE_DIR, else $XDG_CACHE_HOME/bagualu, else ~/.cache/bagualu. BGL_CACHE_DIR="" keeps
// nothing. A file may be deleted at any time, and several processes may share the folder: files are written under another name
// and renamed. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/status.h"

namespace bgl::device {

class BinaryCache {
 public:
  explicit BinaryCache(std::string folder);
  // The process's own, by the environment.
  static BinaryCache& shared();

  // The bytes kept under `key` (any text: source, features, versions), or empty. A file that is cut short or flipped is said in
  // a log line and treated as absent.
  std::string get(std::string_view key) const;
  // Keeps them; a failure (disk full, no permission) is said once and costs nothing but the next compilation.
  void put(std::string_view key, std::string_view bytes) const;

  // Whether a file of that name is one of ours, and whether its bytes are whole; kDataLoss says what is wrong.
  static bool is_kept_name(std::string_view name);
  // The paths of those in `folder`; none where there is no such folder.
  static Result<std::vector<std::string>> files(Env& env, const std::string& folder);
  static Status check_file(const std::string& path);

  const std::string& folder() const { return folder_; }
  std::string path_of(std::string_view key) const;

 private:
  std::string folder_;  // empty: nothing is kept
};

}  // namespace bgl::device
