#include "cli/artefacts.h"

#include "storage/lake/lake.h"
#include "storage/sidecar.h"

namespace bgl::cli {
namespace {

bool is_lake(Env& env, const std::string& path) { return env.exists(join_path(path, "MANIFEST")); }

Result<VerifyReport> verify_whole_lake(Env& env, const std::string& path, const VerifyProgress& progress) {
  return verify_lake(env, path, "", progress);
}

bool has_sidecar(Env& env, const std::string& path) { return env.exists(join_path(path, storage::kSidecarName)); }

Result<VerifyReport> verify_files(Env& env, const std::string& path, const VerifyProgress& progress) {
  BGL_ASSIGN(const storage::SidecarReport report, storage::verify_sidecar(env, path, progress));
  return VerifyReport{report.files, report.bytes};
}

constexpr ArtefactKind kKinds[] = {
    {"lake", "a folder with MANIFEST", is_lake, verify_whole_lake},
    {"files", "a folder with manifest.json", has_sidecar, verify_files},
};

}  // namespace

std::span<const ArtefactKind> artefact_kinds() { return kKinds; }

Result<VerifyReport> verify_lake(Env& env, const std::string& path, const std::string& snapshot,
                                 const VerifyProgress& progress) {
  BGL_ASSIGN(auto lake, storage::Lake::open(env, path, {.snapshot = snapshot}));
  BGL_TRY(lake->verify(progress));
  BGL_ASSIGN(const storage::LakeStat s, lake->stat());
  if (s.torn_bytes == 0) return VerifyReport{s.files, s.bytes};
  return data_loss(
      "{}: {} bytes at the end of its log are no whole batch: a writer is at work, or one was killed (the next writer cuts "
      "them "
      "off; nothing acknowledged was in them), or they are damaged",
      path, s.torn_bytes);
}

}  // namespace bgl::cli
