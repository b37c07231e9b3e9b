#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>

#include "base/env.h"
#include "base/progress.h"
#include "cli/verbs.h"
#include "train/run.h"

namespace bgl::cli {
namespace {

struct TrainVerb {
  std::string config, base, out;
  std::vector<std::string> sets;
  bool profile = false;
};

// What the run was begun with; empty for a new one.
Result<std::optional<Config>> begun_config(const std::string& out) {
  const std::string path = join_path(out, "config.toml");
  if (!real_env().exists(path)) return std::optional<Config>();
  BGL_ASSIGN(Config config, Config::load(path));
  return std::optional(std::move(config));
}

Status run(const TrainVerb& o) {
  BGL_ASSIGN(Config config, Config::load(o.config, o.sets));
  BGL_ASSIGN(const auto begun, begun_config(o.out));
  BGL_ASSIGN(const train::TrainOptions options, train::TrainOptions::read(std::move(config), o.base, begun ? &*begun : nullptr));
  if (options.kept_decay) {
    std::fprintf(stderr, "schedule.decay_steps stays %lld, as %s was begun: from that step on the learning rate is %g\n",
                 static_cast<long long>(options.schedule.decay_steps), o.out.c_str(), options.schedule.min_lr);
  }
  BGL_ASSIGN(const train::RunSummary s, train::run_training(options, o.out, {.profile = o.profile}));
  if (s.nothing_to_do) {
    std::printf("%s is finished: nothing to do (raise train.steps to go on)\n", o.out.c_str());
  } else {
    std::printf("%s/model: %lld steps, loss %.4f", o.out.c_str(), static_cast<long long>(s.steps), s.last_loss);
    if (s.val_loss > 0) std::printf(", validation %.4f", s.val_loss);
    std::printf(", %.0f tokens/s\n", s.tokens_per_s);
  }
  if (s.profiled) std::printf("%s/profile.json: bgl explain %s tells where the time and memory went\n", o.out.c_str(), o.out.c_str());
  log_kernels();
  return Status();
}

CLI::App* add(CLI::App& app, Status& status, const char* name, const char* what, bool tune) {
  auto o = std::make_shared<TrainVerb>();
  CLI::App* verb = app.add_subcommand(name, what);
  verb->add_option("CONFIG", o->config, "A TOML file; see examples/")->required();
  if (tune) verb->add_option("--base", o->base, "The model folder to start from")->required();
  verb->add_option("--out", o->out, "The run's folder; an unfinished one is gone on with")->required();
  verb->add_option("--set", o->sets, "key=value over the file's, for example train.steps=100")->allow_extra_args(false);
  verb->add_flag("--profile", o->profile, "Measure some steps after warm-up, for bgl explain");
  verb->callback([o, &status] { status = run(*o); });
  return verb;
}

}  // namespace

void add_train(CLI::App& app, Status& status) {
  CLI::App* verb = add(app, status, "train", "Train a model from a TOML file", false);
  set_example(*verb, "bgl train examples/shakespeare_char.toml --set data.text=input.txt --out runs/shakespeare");
}

void add_tune(CLI::App& app, Status& status) {
  CLI::App* verb = add(app, status, "tune", "Fine-tune a model: all weights, or LoRA when lora.rank is set", true);
  set_example(*verb, "bgl tune examples/quickstart/medicine.toml --base runs/base/model --out runs/medicine");
}

}  // namespace bgl::cli
