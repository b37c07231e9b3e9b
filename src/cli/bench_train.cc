// Training beside PyTorch: the character model, and GPT-2 124M with one process a side that take their steps in turn.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/process_memory.h"
#include "cli/bench.h"
#include "framework/random.h"
#include "lang/kernel.h"
#include "profile/recorder.h"
#include "profile/roofline.h"
#include "train/run.h"
#include "train/source.h"
#include "train/step.h"

namespace bgl::cli {
namespace {

using nlohmann::json;

constexpr int kWarmup = 2;  // steps a side that compile or fill caches

struct StepAnswer {
  double seconds = 0, loss = 0, bytes = 0;
  std::string version;
};

// One side of the comparison: its steps' answers so far, those of the warm-up left out.
struct Side {
  PeerProcess process;
  std::vector<StepAnswer> steps = {};
  std::vector<double> losses = {};

  Status take_step() {
    BGL_ASSIGN(const std::string line, process.ask("step"));
    StepAnswer a;
    int used = 0;
    if (std::sscanf(line.c_str(), "%lf %lf %lf %n", &a.seconds, &a.loss, &a.bytes, &used) != 3)
      return make_status(Code::kInternal, "a process of the benchmark answered '{}'", line);
    a.version = line.substr(static_cast<size_t>(used));
    losses.push_back(a.loss);
    if (losses.size() > kWarmup) steps.push_back(std::move(a));
    return Status();
  }
  double best_seconds() const {
    double best = 1e300;
    for (const StepAnswer& s : steps) best = std::min(best, s.seconds);
    return best;
  }
};

std::vector<Side> start_torch(const std::string& length) {
  std::vector<Side> out;
  for (const char* how : {"eager", "compiled"}) {
    auto process = start_python_peer("train/torch_gpt2.py", {how, length, std::to_string(lang::machine().threads)});
    if (!process) return out;
    Side side{std::move(*process)};
    // The first step tells whether this form runs here: torch.compile needs a compiler.
    if (Status s = side.take_step(); s.ok()) {
      out.push_back(std::move(side));
    } else {
      std::fprintf(stderr, "torch %s: %s\n", how, s.message().c_str());
    }
  }
  return out;
}

// Both take the same steps from the same weights on the same tokens.
Status check_losses(const Side& ours, const Side& theirs) {
  for (size_t i = 0; i < std::min(ours.losses.size(), theirs.losses.size()); ++i) {
    if (!(std::abs(ours.losses[i] - theirs.losses[i]) < 1e-3))
      return make_status(Code::kInternal, "step {}: our loss is {}, that of {} {}", i, ours.losses[i], theirs.steps.front().version, theirs.losses[i]);
  }
  return Status();
}

// Appends tokens a second, of the best of `counted` steps, and bytes of memory, each beside the faster form of PyTorch.
Status bench_gpt2(const std::string& length, int counted, const lang::Rates& rates, std::vector<BenchResult>& out) {
  BGL_TRY(gpt2_options(length).status());
  std::vector<Side> torch = start_torch(length);
  BGL_ASSIGN(PeerProcess own, PeerProcess::start({"/proc/self/exe", "bench", "gpt2-steps", length}, {}));
  Side ours{std::move(own)};
  for (int round = 0; round < kWarmup + counted; ++round) {
    BGL_TRY(ours.take_step());
    for (Side& side : torch) {
      if (static_cast<int>(side.losses.size()) <= round) BGL_TRY(side.take_step());
    }
  }
  BGL_ASSIGN(const std::string floor, ours.process.ask(fmt::format("floor {} {}", rates.f32_flops, rates.stream_bytes_per_s)));
  const double tokens = 4.0 * std::atof(length.c_str());
  BenchResult speed{.name = "gpt2_124m_T" + length, .value = tokens / ours.best_seconds(), .unit = "tokens/s", .ceiling_share = std::atof(floor.c_str()) / ours.best_seconds()};
  BenchResult memory{.name = speed.name + "_memory", .value = ours.steps.back().bytes / 1e6, .unit = "MB"};
  for (const Side& side : torch) {
    BGL_TRY(check_losses(ours, side));
    const double rate = tokens / side.best_seconds();
    if (rate <= speed.peer_value.value_or(0)) continue;
    speed.peer = memory.peer = side.steps.front().version;
    speed.peer_value = rate;
    memory.peer_value = side.steps.back().bytes / 1e6;
  }
  out.push_back(std::move(speed));
  out.push_back(std::move(memory));
  return Status();
}

// The character model of examples/shakespeare_char.toml.
Result<BenchResult> bench_char(const lang::Rates& rates) {
  const std::string dir = scratch_folder("train"), threads = std::to_string(lang::machine().threads);
  const std::string peer_before = run_peer("train/torch_char.py", threads);
  BGL_ASSIGN(const double rate, char_train_rate(dir, 60));
  const std::string peer_after = run_peer("train/torch_char.py", threads);
  BGL_TRY(real_env().remove_all(dir));
  const double flops_per_token = 6.0 * 804096 + 12.0 * 4 * 128 * 64;
  BenchResult r{.name = "char_gpt_4x128_T64_B12", .value = rate, .unit = "tokens/s", .ceiling_share = rate * flops_per_token / rates.f32_flops};
  for (const std::string& line : {peer_before, peer_after}) {
    const json j = json::parse(line, nullptr, false);
    if (!j.is_object()) continue;
    r.peer = j.value("peer", "");
    r.peer_value = std::max(r.peer_value.value_or(0), j.value("tokens_per_s", 0.0));
  }
  return r;
}

}  // namespace

Result<train::TrainOptions> gpt2_options(const std::string& length) {
  if (!real_env().exists("examples/gpt2_124m_random.toml")) return not_found("examples/gpt2_124m_random.toml: run `bgl bench` from the project's root");
  const std::string set = "data.length=" + length;
  BGL_ASSIGN(Config config, Config::load("examples/gpt2_124m_random.toml", std::span(&set, 1)));
  return train::TrainOptions::read(std::move(config));
}

// The character model on random text.
Result<double> char_train_rate(const std::string& dir, int steps) {
  std::string text;
  for (int i = 0; i < 200000; ++i) text += static_cast<char>(32 + (i * 7919 + i / 13) % 65);
  BGL_TRY(real_env().make_dirs(dir));
  BGL_TRY(real_env().write_file_atomic(join_path(dir, "text"), text));
  const std::string toml = fmt::format(
      "[model]\nlayers=4\nheads=4\nwidth=128\ncontext=64\nbias=false\n[data]\ntext='{}/text'\nlength=64\nbatch=12\n[train]\nsteps={}\n"
      "[optimizer]\nbeta2=0.99\n[evaluate]\nevery=0\nbatches=1\n[checkpoint]\nevery=0\n",
      dir, steps);
  BGL_ASSIGN(Config config, Config::parse(toml, "bench"));
  BGL_ASSIGN(const train::TrainOptions options, train::TrainOptions::read(std::move(config)));
  BGL_TRY(real_env().remove_all(dir + "/run"));
  BGL_ASSIGN(const train::RunSummary s, train::run_training(options, dir + "/run"));
  return s.tokens_per_s;
}

BenchResults bench_train(const lang::Rates& rates) {
  std::vector<BenchResult> out;
  BGL_ASSIGN(BenchResult character, bench_char(rates));
  out.push_back(std::move(character));
  BGL_TRY(bench_gpt2("64", 8, rates, out));
  BGL_TRY(bench_gpt2("512", 3, rates, out));
  return out;
}

Status answer_gpt2_steps(const std::string& length) {
  BGL_ASSIGN(const train::TrainOptions options, gpt2_options(length));
  BGL_ASSIGN(auto source, train::open_source(options.data, nullptr, options.model.vocab, options.seed));
  framework::manual_seed(options.seed);
  const auto model = models::make_model(options.model, models::Init::kTorch);
  model->draw_weights();
  BGL_ASSIGN(const train::Batch batch, source->next(options.data.batch));
  train::Trainer trainer(*model, options);
  for (std::string request; std::getline(std::cin, request);) {
    std::unique_ptr<profile::Recorder> recorder;
    lang::Rates rates;
    if (std::sscanf(request.c_str(), "floor %lf %lf", &rates.f32_flops, &rates.stream_bytes_per_s) == 2)
      recorder = std::make_unique<profile::Recorder>(profile::RecorderOptions{.warmup = 0, .steps = 1});
    const double start = seconds_now();
    if (recorder) recorder->begin_step(0);
    BGL_ASSIGN(const train::StepResult r, trainer.step({batch}, options.schedule.at(0)));
    if (recorder) recorder->end_step(r.tokens);
    if (recorder) {
      std::printf("%.9g\n", profile::analyse(recorder->profile(rates)).floor_seconds);
    } else {
      std::printf("%.9g %.9g %.9g ours\n", seconds_now() - start, r.loss, static_cast<double>(process_memory().anonymous_bytes_at_most));
    }
    std::fflush(stdout);
  }
  return Status();
}

}  // namespace bgl::cli
