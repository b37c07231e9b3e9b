#include "cli/artefacts.h"

#include <algorithm>

#include "device/binary_cache.h"
#include "lang/tuner.h"
#include "prep/tokenize.h"
#include "resilience/box_checkpoint.h"
#include "storage/lake/lake.h"
#include "text/files/sidecar.h"
#include "train/shards.h"

namespace bgl::cli {
namespace {

// By its manifest, or by the logs and segments of one that has lost it.
bool is_lake(Env& env, const std::string& path) {
  if (env.exists(join_path(path, "MANIFEST"))) return true;
  const auto entries = env.list_dir(path);
  return entries.ok() && std::any_of(entries->begin(), entries->end(), [](const DirEntry& e) {
           return e.name.ends_with(".bgl") && (e.name.starts_with("log-") || e.name.starts_with("segment-"));
         });
}

Result<VerifyReport> verify_whole_lake(Env& env, const std::string& path, const VerifyProgress& progress) {
  if (!env.exists(join_path(path, "MANIFEST"))) return data_loss("{}: its MANIFEST is gone, and without it no file is found: take it from a copy of the lake", path);
  return verify_lake(env, path, "", progress);
}

bool is_checkpoint(Env& env, const std::string& path) {
  return env.exists(join_path(path, "boxes-0.safetensors")) && env.exists(join_path(path, "index.json"));
}

Result<VerifyReport> verify_checkpoint(Env& env, const std::string& path, const VerifyProgress& progress) {
  BGL_ASSIGN(const auto reader, resilience::StepReader::open(env, path));
  BGL_TRY(reader.verify());
  VerifyReport report;
  BGL_ASSIGN(const auto entries, env.list_dir(path));
  for (const DirEntry& e : entries) {
    BGL_ASSIGN(const FileStat info, env.stat(join_path(path, e.name)));
    ++report.files;
    progress(report.bytes += info.size, 0);
  }
  return report;
}

Result<VerifyReport> verify_shards(Env&, const std::string& path, const VerifyProgress& progress) {
  BGL_ASSIGN(const train::ShardSet set, train::ShardSet::read(path));
  VerifyReport report;
  BGL_TRY(set.verify([&](int64_t done) { progress(report.bytes = done, 0); }));
  report.files = 2 * static_cast<int64_t>(set.manifest.shards.size()) + 2;
  return report;
}

bool has_sidecar(Env& env, const std::string& path) { return env.exists(join_path(path, text::kSidecarName)); }

Result<VerifyReport> verify_files(Env& env, const std::string& path, const VerifyProgress& progress) {
  BGL_ASSIGN(const text::SidecarReport report, text::verify_sidecar(env, path, progress));
  return VerifyReport{report.files, report.bytes, report.unlisted};
}

// As other programs write models and shards.
bool is_bare(Env& env, const std::string& path) {
  const auto entries = env.list_dir(path);
  return entries.ok() && std::any_of(entries->begin(), entries->end(), [](const DirEntry& e) {
           return !e.is_dir && (e.name.ends_with(".safetensors") || e.name.ends_with(".idx") || e.name == "tokenizer.json");
         });
}

Result<VerifyReport> refuse_bare(Env&, const std::string& path, const VerifyProgress&) {
  return not_found("{}: no checksums, so that damage to its files cannot be seen; `bgl verify --record {}` writes them for later", path, path);
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
  return VerifyReport{report.files + 1, report.bytes + static_cast<int64_t>(text.size()), {}};
}

constexpr ArtefactKind kKinds[] = {
    {"lake", "a folder with MANIFEST", is_lake, verify_whole_lake},
    {"kernels", "a folder with compiled kernels", has_kernels, verify_kernels},
    {"checkpoint", "a folder with index.json and boxes-0.safetensors", is_checkpoint, verify_checkpoint},
    {"shards", "a folder with the manifest.json of `bgl prep tokenize`", prep::holds_shards, verify_shards},
    {"files", "a folder with manifest.json", has_sidecar, verify_files},
    {"bare files", "models and shards of other programs", is_bare, refuse_bare},
};

// `recorded`: a folder above has a manifest.json of files, which speaks for what has no checksums of its own.
Status find_below(Env& env, const std::string& path, bool recorded, std::vector<Artefact>& out) {
  for (const ArtefactKind& kind : kKinds) {
    if (!kind.recognise(env, path) || (recorded && kind.recognise == is_bare)) continue;
    out.push_back({path, &kind});
    if (kind.recognise != has_sidecar) return {};
    recorded = true;
    break;
  }
  BGL_ASSIGN(const auto entries, env.list_dir(path));
  for (const DirEntry& e : entries) {
    if (e.is_dir && e.name != prep::kTokensWork) BGL_TRY(find_below(env, join_path(path, e.name), recorded, out));
  }
  return {};
}

}  // namespace

Result<std::vector<Artefact>> find_artefacts(Env& env, const std::string& path) {
  std::vector<Artefact> out;
  BGL_TRY(find_below(env, path, false, out));
  return out;
}

std::span<const ArtefactKind> artefact_kinds() { return kKinds; }

Result<VerifyReport> verify_lake(Env& env, const std::string& path, const std::string& snapshot,
                                 const VerifyProgress& progress) {
  BGL_ASSIGN(auto lake, storage::Lake::open(env, path, {.snapshot = snapshot}));
  BGL_TRY(lake->verify(progress));
  BGL_ASSIGN(const storage::LakeStat s, lake->stat());
  if (s.torn_bytes == 0) return VerifyReport{s.files, s.bytes, {}};
  return data_loss(
      "{}: {} bytes at the end of its log are no whole batch: a writer is at work, or one was killed (the next writer cuts "
      "them "
      "off; nothing acknowledged was in them), or they are damaged",
      path, s.torn_bytes);
}

}  // namespace bgl::cli
