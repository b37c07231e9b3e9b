#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/env.h"
#include "base/processor.h"
#include "base/progress.h"
#include "cli/verbs.h"
#include "lang/kernel.h"
#include "lang/measure.h"
#include "report/table.h"

namespace bgl::cli {
namespace {

// What runs here, how fast, and what is missing.
Status doctor() {
  const lang::MachineInfo& m = lang::machine();
  const lang::Rates r = lang::measure_rates();
  report::Table table({"what", "found", "note"});
  table.add_row({"processor", processor().name, fmt::format("{} threads used (BGL_THREADS)", m.threads)});
  table.add_row({"instructions", m.isa, m.fma ? "with fused multiply-add" : "without fused multiply-add: results differ within tolerances"});
  table.add_row({"kernels run through", m.engine, m.engine == "llvm" ? "" : "install libllvm19: kernels then compile in milliseconds and run at full speed"});
  table.add_row({"float32 peak", fmt::format("{:.0f} GFLOP/s", r.f32_flops / 1e9), "measured now"});
  table.add_row({"memory bandwidth", fmt::format("{:.1f} GB/s", r.stream_bytes_per_s / 1e9), "measured now"});
  const double free = static_cast<double>(sysconf(_SC_AVPHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  table.add_row({"free memory", human_bytes(free), ""});
  std::fputs(table.text().c_str(), stdout);
  return Status();
}

}  // namespace

void add_doctor(CLI::App& app, Status& status) {
  CLI::App* verb = app.add_subcommand("doctor", "What this machine has, how fast it is, and what is missing");
  set_example(*verb, "bgl doctor");
  verb->callback([&status] { status = doctor(); });
}

}  // namespace bgl::cli
