#include "cli/artefacts.h"

#include "device/binary_cache.h"
#include "lang/tuner.h"
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

bool has_kernels(Env& env, const std::string& path) {
  const auto files = device::BinaryCache::files(env, path);
  return files.ok() && !files->empty();
}

Result<VerifyReport> verify_kernels(Env& env, const std::string& path, const VerifyProgress& progress) {
  VerifyReport report;
  BGL_ASSIGN(const std::vector<std::string> files, device::BinaryCache::files(env, path));
  for (const std::string& file : files) {
    BGL_TRY(device::BinaryCache::check_file(file));
    BGL_ASSIGN(const FileStat info, env.stat(file));
    ++report.files;
    progress(report.bytes += info.size, 0);
  }
  const std::string tuned = join_path(path, "tuned.tsv");
  if (!env.exists(tuned)) return report;
  BGL_ASSIGN(const std::string text, env.read_file(tuned));
  int torn = 0;
  lang::parse_tuned(text, &torn);
  if (torn > 0) return data_loss("{}: {} lines are damaged; they are ignored, and those computations choose again", tuned, torn);
  return VerifyReport{report.files + 1, report.bytes + static_cast<int64_t>(text.size())};
}

constexpr ArtefactKind kKinds[] = {
    {"lake", "a folder with MANIFEST", is_lake, verify_whole_lake},
    {"kernels", "a folder with compiled kernels", has_kernels, verify_kernels},
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
