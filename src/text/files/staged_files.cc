#include "text/files/staged_files.h"

#include <set>
#include <utility>

#include "text/files/sidecar.h"

namespace bgl::text {

Result<StagedFiles> StagedFiles::begin(Env& env, const std::string& dir) {
  const std::string stage = join_path(dir, ".partial");
  BGL_TRY(env.remove_all(stage));
  BGL_TRY(env.make_dirs_synced(stage));
  return StagedFiles(env, dir, stage);
}

StagedFiles::StagedFiles(StagedFiles&& other) noexcept
    : env_(std::exchange(other.env_, nullptr)),
      dir_(std::move(other.dir_)),
      stage_(std::move(other.stage_)),
      replaced_(std::move(other.replaced_)) {}

StagedFiles::~StagedFiles() {
  if (env_) (void)!env_->remove_all(stage_).ok();
}

Status StagedFiles::publish() {
  BGL_TRY(write_sidecar(*env_, stage_).status());
  BGL_ASSIGN(const auto entries, env_->list_dir(stage_));
  std::set<std::string> staged;
  for (const DirEntry& e : entries) {
    staged.insert(e.name);
    if (e.name != kSidecarName) BGL_TRY(env_->rename(join_path(stage_, e.name), join_path(dir_, e.name)));
  }
  for (const std::string& name : replaced_) {
    const std::string path = join_path(dir_, name);
    if (!staged.count(name) && env_->exists(path)) BGL_TRY(env_->remove(path));
  }
  BGL_TRY(env_->rename(join_path(stage_, kSidecarName), join_path(dir_, kSidecarName)));
  return env_->sync_dir(dir_);
}

}  // namespace bgl::text
