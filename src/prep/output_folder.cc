#include "prep/internal/output_folder.h"

#include <algorithm>

namespace bgl::prep {
namespace {

constexpr const char* kLock = "LOCK";

}  // namespace

Result<std::unique_ptr<FileLock>> take_output_folder(Env& env, const std::string& dir, bool has_result,
                                                     std::initializer_list<std::string_view> ours) {
  BGL_TRY(env.make_dirs_synced(dir));
  BGL_ASSIGN(const std::vector<DirEntry> entries, env.list_dir(dir));
  // The lock is the first file of a run, so that a folder without it was not begun by one.
  const bool begun = env.exists(join_path(dir, kLock));
  for (const DirEntry& entry : entries) {
    const bool known = begun && (entry.name == kLock || std::find(ours.begin(), ours.end(), entry.name) != ours.end());
    if (!has_result && !known)
      return invalid_argument("{} is not empty and holds no earlier result ({} is there): name a new or empty folder", dir, entry.name);
  }
  auto lock = env.lock_file(join_path(dir, kLock), lock_holder_text(env));
  if (!lock.ok() && lock.status().code() == Code::kAlreadyExists)
    return make_status(Code::kAlreadyExists, "{} is being written by {}", dir, lock.status().message());
  return lock;
}

}  // namespace bgl::prep
