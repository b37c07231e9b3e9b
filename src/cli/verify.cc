// bgl verify: checks every checksum of whatever bgl wrote.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "base/progress.h"
#include "cli/artefacts.h"
#include "cli/verbs.h"
#include "storage/sidecar.h"

namespace bgl::cli {
namespace {

Status say(const char* kind, const std::string& path, const VerifyReport& report, const char* what) {
  std::printf("%s: %s, %ld files (%s): %s\n", path.c_str(), kind, report.files,
              human_bytes(static_cast<double>(report.bytes)).c_str(), what);
  return {};
}

Status verify(const std::string& path, bool record) {
  Env& env = real_env();
  BGL_ASSIGN(const FileStat info, env.stat(path));
  if (!info.is_dir) return invalid_argument("{} is no folder; name the folder that holds it", path);
  Progress progress("bytes checked", 0);
  const VerifyProgress tell = [&progress](int64_t done, int64_t) { progress.update(done); };
  if (record) {
    BGL_ASSIGN(const storage::SidecarReport report, storage::write_sidecar(env, path, tell));
    progress.finish();
    return say("files", path, {report.files, report.bytes}, "written down in manifest.json");
  }
  std::string marks;
  for (const ArtefactKind& kind : artefact_kinds()) {
    marks += fmt::format("{}{} ({})", marks.empty() ? "" : ", ", kind.name, kind.mark);
    if (!kind.recognise(env, path)) continue;
    BGL_ASSIGN(const VerifyReport report, kind.verify(env, path, tell));
    progress.finish();
    return say(kind.name, path, report, "every checksum holds");
  }
  return not_found("{} is none of: {}; \"bgl verify --record {}\" writes manifest.json for what has no checksums", path, marks,
                   path);
}

}  // namespace

void add_verify(CLI::App& app, Status& status) {
  struct Options {
    std::string path;
    bool record = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("verify", "Read what bgl wrote and check every checksum; a flipped bit is named.");
  verb->add_option("PATH", o->path, "A lake, a folder of compiled kernels, or one with a manifest.json")->required();
  verb->add_flag("--record", o->record, "Write manifest.json: size and XXH3-128 of every file below PATH, to be checked later");
  set_example(*verb, "bgl verify corpus.lake");
  verb->callback([o, &status] { status = verify(o->path, o->record); });
}

}  // namespace bgl::cli
