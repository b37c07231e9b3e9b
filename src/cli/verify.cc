// bgl verify: checks every checksum of whatever bgl wrote.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <vector>

#include "base/progress.h"
#include "cli/artefacts.h"
#include "cli/verbs.h"
#include "text/files/sidecar.h"

namespace bgl::cli {
namespace {

void say(const char* kind, const std::string& path, const VerifyReport& report, const char* what) {
  std::printf("%s: %s, %ld files (%s): %s\n", path.c_str(), kind, report.files,
              human_bytes(static_cast<double>(report.bytes)).c_str(), what);
  if (report.unlisted.empty()) return;
  std::printf("%s: %zu files that were added since, without checksums: %s%s\n", path.c_str(), report.unlisted.size(), report.unlisted[0].c_str(),
              report.unlisted.size() > 1 ? ", ..." : "");
}

Status record_files(const std::string& path) {
  Progress progress("bytes read", 0);
  BGL_ASSIGN(const text::SidecarReport report,
             text::write_sidecar(real_env(), path, [&progress](int64_t done, int64_t) { progress.update(done); }));
  progress.finish();
  say("files", path, {report.files, report.bytes, {}}, "written down in manifest.json");
  return {};
}

// Every artefact is read, whatever is found in those before it.
Status verify(const std::string& path, bool record) {
  Env& env = real_env();
  BGL_ASSIGN(const FileStat info, env.stat(path));
  if (!info.is_dir) return invalid_argument("{} is no folder; name the folder that holds it", path);
  if (record) return record_files(path);
  BGL_ASSIGN(const auto found, find_artefacts(env, path));
  if (found.empty()) {
    std::string marks;
    for (const ArtefactKind& kind : artefact_kinds()) marks += fmt::format("{}{} ({})", marks.empty() ? "" : ", ", kind.name, kind.mark);
    return not_found("{} is none of: {}, and holds none; \"bgl verify --record {}\" writes manifest.json for what has no checksums", path, marks, path);
  }
  std::vector<Status> bad;
  for (const Artefact& a : found) {
    Progress progress("bytes checked", 0);
    const auto report = a.kind->verify(env, a.path, [&progress](int64_t done, int64_t) { progress.update(done); });
    progress.finish();
    if (report.ok()) {
      say(a.kind->name, a.path, *report, "every checksum holds");
    } else {
      bad.push_back(report.status());
    }
  }
  if (bad.empty()) return {};
  // The last is told by the program, as every failure is.
  for (size_t i = 0; i + 1 < bad.size(); ++i) std::fprintf(stderr, "bgl verify: %s\n", bad[i].message().c_str());
  return bad.back();
}

}  // namespace

void add_verify(CLI::App& app, Status& status) {
  struct Options {
    std::string path;
    bool record = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("verify", "Read what bgl wrote and check every checksum; a flipped bit is named.");
  verb->add_option("PATH", o->path, "A lake, checkpoint, model, folder of shards or of compiled kernels, or a folder that holds such")->required();
  verb->add_flag("--record", o->record, "Write manifest.json: size and XXH3-128 of every file below PATH, to be checked later");
  set_example(*verb, "bgl verify corpus.lake");
  verb->callback([o, &status] { status = verify(o->path, o->record); });
}

}  // namespace bgl::cli
