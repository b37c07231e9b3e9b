#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/verbs.h"
#include "device/conformance.h"
#include "lang/engine.h"

namespace bgl::cli {
namespace {

Status check(const std::string& plugin) {
  using Outcome = device::CheckResult::Outcome;
  BGL_ASSIGN(const auto results, device::check_device(plugin, lang::language_services()));
  int count[3] = {};
  for (const device::CheckResult& r : results) {
    ++count[static_cast<int>(r.outcome)];
    const char* word = r.outcome == Outcome::kPassed ? "pass" : r.outcome == Outcome::kFailed ? "FAIL" : "skip";
    std::printf("%s  %s%s%s\n", word, r.name.c_str(), r.detail.empty() ? "" : ": ", r.detail.c_str());
  }
  std::printf("%d passed, %d failed, %d skipped\n", count[0], count[1], count[2]);
  if (count[1] > 0) return make_status(Code::kInternal, "{} of {} checks failed", count[1], results.size());
  return {};
}

Status list() {
  for (const device::FoundPlugin& p : device::find_plugins()) {
    const auto d = device::Device::open(p.path);
    if (d.ok()) {
      const bgl_description& about = (*d)->description();
      std::printf("%-8s %-8s %3d threads  compiles %-14s %s\n", p.name.c_str(), about.isa, about.threads, about.dialects,
                  p.path.c_str());
    } else {
      std::printf("%-8s does not open: %s\n", p.name.c_str(), d.status().message().c_str());
    }
  }
  return {};
}

}  // namespace

void add_device(CLI::App& app, Status& status) {
  CLI::App* verb =
      app.add_subcommand("device", "List the device plugins found here, or check one against the conformance suite");
  verb->require_subcommand(1);
  set_example(*verb, "bgl device check cpu");
  auto plugin = std::make_shared<std::string>("cpu");
  CLI::App* check_verb = verb->add_subcommand("check", "Run the conformance suite on a plugin and print its scorecard");
  check_verb->add_option("plugin", *plugin, "A name, as cpu, or the path of a library")->capture_default_str();
  set_example(*check_verb, "bgl device check ./libbgl_cpu.so");
  check_verb->callback([&status, plugin] { status = check(*plugin); });
  CLI::App* list_verb = verb->add_subcommand("list", "List the plugins in BGL_DEVICE_PATH, beside bgl and in its build");
  set_example(*list_verb, "BGL_DEVICE_PATH=/opt/vendor/lib bgl device list");
  list_verb->callback([&status] { status = list(); });
}

}  // namespace bgl::cli
