// bgl kernels: what is kept on disk of compiled kernels and chosen schedules.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "base/env.h"
#include "base/progress.h"
#include "cli/verbs.h"
#include "device/binary_cache.h"
#include "lang/tuner.h"
#include "report/table.h"

namespace bgl::cli {
namespace {

std::string tuned_table(bool all_machines) {
  report::Table table({"computation", "schedule", "gain", "machine"});
  for (const lang::Tuned& t : lang::tuned_schedules()) {
    const bool here = t.machine == lang::machine_fingerprint();
    if (here || all_machines) table.add_row({t.key, t.schedule, fmt::format("{:.2f}x", t.gain), here ? "this" : t.machine});
  }
  return table.rows().empty() ? "no schedule has been chosen yet: computations that run often choose theirs\n" : table.text();
}

Status kernels(bool clear, bool all_machines) {
  Env& env = real_env();
  const std::string& folder = device::BinaryCache::shared().folder();
  if (folder.empty()) return invalid_argument("nothing is kept: BGL_CACHE_DIR is empty, and so are XDG_CACHE_HOME and HOME");
  BGL_ASSIGN(const std::vector<std::string> kept, device::BinaryCache::files(env, folder));
  int64_t bytes = 0;
  for (const std::string& path : kept) {
    BGL_ASSIGN(const FileStat info, env.stat(path));
    bytes += info.size;
  }
  if (!clear) {
    std::printf("%s: %zu kernels, %s\n%s", folder.c_str(), kept.size(), human_bytes(static_cast<double>(bytes)).c_str(),
                tuned_table(all_machines).c_str());
    return {};
  }
  for (const std::string& path : kept) BGL_TRY(env.remove(path));
  if (env.exists(lang::tuned_path())) BGL_TRY(env.remove(lang::tuned_path()));
  std::printf("%s: %zu kernels (%s) and the chosen schedules removed\n", folder.c_str(), kept.size(),
              human_bytes(static_cast<double>(bytes)).c_str());
  return {};
}

}  // namespace

void add_kernels(CLI::App& app, Status& status) {
  struct Options {
    bool clear = false, all = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("kernels", "What is kept on disk of compiled kernels, and which schedules were chosen by timing them");
  verb->add_flag("--clear", o->clear, "Remove all of it; it is made again when needed");
  verb->add_flag("--all", o->all, "Schedules of other machines that share the folder, too");
  set_example(*verb, "bgl kernels");
  verb->callback([o, &status] { status = kernels(o->clear, o->all); });
}

}  // namespace bgl::cli
