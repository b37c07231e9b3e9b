#include "profile/explain.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/env.h"
#include "cli/verbs.h"
#include "profile/trace.h"

namespace bgl::cli {
namespace {

struct ExplainOptions {
  std::string run;
  size_t top = 15;
  bool json = false;
};

Result<profile::Profile> load_profile(const std::string& run) {
  const std::string path = join_path(run, "profile.json");
  if (!real_env().exists(path)) {
    return not_found(
        "{}: no such file; 'bgl train CONFIG --out {} --profile' measures and writes it (raise train.steps if the run is "
        "finished)",
        path, run);
  }
  BGL_ASSIGN(const std::string text, real_env().read_file(path));
  auto profile = profile::from_json(text);
  if (!profile.ok())
    return profile.status().with_context(path + ": not a profile that can be read; measure again with 'bgl train --profile'");
  return profile;
}

Status explain(const ExplainOptions& o) {
  BGL_ASSIGN(const profile::Profile p, load_profile(o.run));
  const profile::Analysis analysis = profile::analyse(p);
  const profile::MemoryCurve curve = profile::memory_curve(p);
  const std::string page = join_path(o.run, "profile.html"), trace = join_path(o.run, "trace.json");
  BGL_TRY(
      real_env().write_file_atomic(page, profile::explanation_page("Where a step of " + o.run + " goes", p, analysis, curve)));
  BGL_TRY(real_env().write_file_atomic(trace, profile::to_trace(p)));
  if (o.json) {
    std::fputs(profile::explanation_json(p, analysis, curve, o.top).c_str(), stdout);
  } else {
    std::printf("%s\n%s\n%s\n%s, and %s for ui.perfetto.dev\n", profile::summary_text(p, analysis, curve).c_str(),
                profile::kernel_table(analysis, p.rates, o.top).text().c_str(),
                profile::peak_table(curve, o.top).text().c_str(), page.c_str(), trace.c_str());
  }
  return Status();
}

}  // namespace

void add_explain(CLI::App& app, Status& status) {
  auto o = std::make_shared<ExplainOptions>();
  CLI::App* verb =
      app.add_subcommand("explain", "Where a step's time and memory went: tables, RUN/profile.html, RUN/trace.json");
  verb->add_option("RUN", o->run, "The folder of a run that was trained with --profile, or that generate --profile wrote")->required();
  verb->add_option("--top", o->top, "Rows of each table")->capture_default_str();
  verb->add_flag("--json", o->json, "Print plain numbers as JSON instead of tables");
  set_example(*verb, "bgl explain runs/shakespeare --top 10");
  verb->callback([o, &status] { status = explain(*o); });
}

}  // namespace bgl::cli
