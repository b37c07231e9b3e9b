// run_training() is the spine of a run: prepare, resume, step, evaluate, save.
#include "train/run.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/env.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/process_memory.h"
#include "base/progress.h"
#include "framework/random.h"
#include "lang/kernel.h"
#include "lang/measure.h"
#include "models/folder.h"
#include "models/memory_need.h"
#include "profile/recorder.h"
#include "train/checkpoint.h"
#include "train/report.h"
#include "train/run_log.h"
#include "train/source.h"
#include "train/step.h"

namespace bgl::train {
namespace {

using framework::Batch;
using nlohmann::json;

double seconds_since(int64_t start_ns) { return 1e-9 * static_cast<double>(real_env().now_ns() - start_ns); }

// Keys that may differ between two calls on one RUN: how far to go and how often to save.
bool may_change(const std::string& line) {
  for (const char* key : {"steps =", "every =", "keep ="}) {
    if (line.rfind(key, 0) == 0) return true;
  }
  return false;
}

Status check_same_config(const std::string& path, const std::string& now) {
  Env& env = real_env();
  if (!env.exists(path)) return Status();
  BGL_ASSIGN(const std::string before, env.read_file(path));
  auto lines = [](const std::string& text) {
    std::vector<std::string> out;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      if (const std::string line = text.substr(at, end - at); !line.empty() && !may_change(line)) out.push_back(line);
      at = end + 1;
    }
    return out;
  };
  const auto a = lines(before), b = lines(now);
  const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (x != a.end() || y != b.end()) {
    return invalid_argument("{}: this run was begun with another configuration ('{}' there, '{}' now): choose another --out, or remove it to begin anew", path,
                            x != a.end() ? *x : "", y != b.end() ? *y : "");
  }
  return Status();
}

// Everything a run holds.
struct Run {
  const TrainOptions& options;
  std::string dir;
  std::unique_ptr<FileLock> lock;
  models::LoadedModel loaded;
  std::unique_ptr<Source> source;
  std::vector<Batch> next;  // the micro-batches of the coming step, drawn already
  int64_t step = 0;
  lang::Rates machine;
  std::vector<double> rates;  // tokens a second of every step
  std::optional<profile::Recorder> recorder;
  int64_t expected_bytes = 0;  // of anonymous memory, while steps run
};

// What a run holds of its parameters whatever a batch has: refused before any of it is there. Tuning with low ranks leaves them in their file.
Status check_state(const TrainOptions& o, const std::string& who, const models::ModelConfig& config) {
  if (o.lora.rank > 0) return Status();
  int64_t bytes = 0;
  try {
    bytes = 4 * models::make_model(config, models::Init::kNone)->parameter_count();
  } catch (const Error& e) {
    return e.status();
  }
  const int64_t states = o.optimizer == "adamw" ? 2 : o.momentum > 0 ? 1 : 0;
  const models::MemoryItem items[] = {{"of parameters", bytes}, {"of gradients", bytes}, {"of the optimizer's state", states * bytes}};
  return models::check_fits(who, items, "take a smaller model, or tune with lora.rank");
}

std::string checkpoints_of(const Run& run) { return join_path(run.dir, "checkpoints"); }

// A run goes on with the data and the tokenizer that it began with: before the model is made, whose sizes come from them.
Status check_same_data(const Run& run) {
  BGL_ASSIGN(const auto state, newest_state(checkpoints_of(run)));
  if (!state) return Status();
  const auto changed = [&](const std::string& what) {
    return invalid_argument("{} has changed since this run began: put back what it was to go on from step {}, or begin anew with another --out", what, state->step);
  };
  if (!state->data.empty() && state->data != run.source->hash) return changed(run.options.data.path);
  if (!state->tokenizer.empty() && state->tokenizer != hash128_hex(run.loaded.tokenizer_json)) return changed("the tokenizer");
  return Status();
}

// The model and the data, in the order in which torch's programs draw: data is opened without drawing, weights are drawn, then batches.
Status prepare(Run& run) {
  const TrainOptions& o = run.options;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::string tokenizer_json;
  if (!o.base.empty()) {
    BGL_ASSIGN(const models::InferenceNeed base, models::inference_need(o.base));
    BGL_TRY(check_state(o, o.base, base.config));
    BGL_ASSIGN(run.loaded, models::load_model(o.base, o.tokenizer));
    tokenizer = run.loaded.tokenizer;
    tokenizer_json = run.loaded.tokenizer_json;
  } else if (!o.tokenizer.empty()) {
    BGL_ASSIGN(auto t, text::load_tokenizer(o.tokenizer));
    BGL_ASSIGN(tokenizer_json, t->to_json());
    tokenizer = std::move(t);
  }
  BGL_ASSIGN(run.source, open_source(o.data, tokenizer.get(), o.model.vocab, o.seed));
  const Source& source = *run.source;
  run.loaded.tokenizer_json = tokenizer_json.empty() ? source.tokenizer_json : tokenizer_json;
  BGL_TRY(check_same_data(run));
  framework::manual_seed(o.seed);
  if (o.base.empty()) {
    models::ModelConfig c = o.model;
    if (c.vocab == 0) c.vocab = source.vocab;
    if (c.vocab < source.vocab) return invalid_argument("model.vocab is {}, but the data has {} different tokens", c.vocab, source.vocab);
    BGL_TRY(c.check("[model]"));
    BGL_TRY(check_state(o, "the model", c));
    try {
      run.loaded.model = models::make_model(c, models::Init::kTorch);
      run.loaded.model->draw_weights();
    } catch (const Error& e) {
      return e.status();
    }
  } else if (source.vocab > run.loaded.model->config().vocab) {
    return invalid_argument("the data's tokens go up to {}, the model {} knows {}: they do not belong together", source.vocab, o.base,
                            run.loaded.model->config().vocab);
  }
  models::Model& model = *run.loaded.model;
  if (o.data.block > model.config().context) {
    return invalid_argument("data.length is {}, longer than the model's context of {}", o.data.block, model.config().context);
  }
  model.requires_grad_(o.lora.rank == 0);
  if (o.lora.rank > 0) {
    for (auto& [name, linear] : model.adaptable()) linear->add_low_rank(o.lora.rank, o.lora.alpha);
  }
  models::Lineage& l = run.loaded.lineage;
  l = {o.name, {}, l.weights, l.name, source.hash, o.resolved};
  return Status();
}

Status draw_next(Run& run) {
  run.next.clear();
  for (int64_t i = 0; i < run.options.accumulate; ++i) {
    BGL_ASSIGN(Batch b, run.source->next(run.options.data.batch));
    run.next.push_back(std::move(b));
  }
  return Status();
}

Result<double> mean_evaluation(Run& run, bool heldout) {
  double total = 0;
  int64_t counted = 0;
  for (int64_t i = 0; i < run.options.eval_batches; ++i) {
    BGL_ASSIGN(const Batch b, run.source->evaluation(heldout, i, run.options.data.batch));
    BGL_ASSIGN(const EvalResult r, evaluate_batch(*run.loaded.model, b));
    total += r.loss * static_cast<double>(r.counted);
    counted += r.counted;
  }
  return counted > 0 ? total / static_cast<double>(counted) : 0.0;
}

Status evaluate(Run& run, RunLog& log, RunSummary& summary) {
  const int64_t start = real_env().now_ns();
  json line = {{"step", run.step}};
  BGL_ASSIGN(const double train, mean_evaluation(run, false));
  line["train_loss"] = train;
  if (run.source->has_heldout()) {
    BGL_ASSIGN(summary.val_loss, mean_evaluation(run, true));
    line["val_loss"] = summary.val_loss;
    if (run.source->bytes_per_token > 0) line["val_bits_per_byte"] = summary.val_loss / std::log(2.0) / run.source->bytes_per_token;
  }
  line["eval_seconds"] = seconds_since(start);
  return log.write(line.dump());
}

std::string machine_line() {
  const lang::MachineInfo& m = lang::machine();
  return json{{"machine", {{"isa", m.isa}, {"threads", m.threads}, {"engine", m.engine}, {"fma", m.fma}}}}.dump();
}

// 6 flops a parameter and token, and 12 a layer, channel and key of attention. Ref: arXiv:2204.02311, appendix B.
double flops_per_token(const models::Model& model, int64_t block) {
  const models::ModelConfig& c = model.config();
  return 6.0 * static_cast<double>(model.parameter_count()) +
         12.0 * static_cast<double>(c.layers * c.heads * c.head_width) * static_cast<double>(block);
}

// Says what the run will take before it takes it. What the process holds apart from tensors is measured: compiled kernels, the compiler,
// the data.
Status tell_memory(Run& run, Trainer& trainer) {
  BGL_ASSIGN(const StepMemory m, trainer.prepare(run.next));
  const int64_t overhead = std::max<int64_t>(0, process_memory().anonymous_bytes - static_cast<int64_t>(ops::Buffer::held_bytes()));
  run.expected_bytes = m.total() + overhead;
  const auto text = [](int64_t bytes) { return human_bytes(static_cast<double>(bytes)); };
  std::fprintf(stderr, "memory: parameters %s, gradients %s, optimizer %s, values inside the step %s (lower bound %s), the process itself %s: %s in all\n",
               text(m.parameters).c_str(), text(m.gradients).c_str(), text(m.optimizer).c_str(), text(m.arena).c_str(), text(m.arena_lower_bound).c_str(),
               text(overhead).c_str(), text(run.expected_bytes).c_str());
  const models::MemoryItem items[] = {{"of parameters", m.parameters}, {"of gradients", m.gradients}, {"of the optimizer's state", m.optimizer},
                                      {"of values inside the step", m.arena}, {"of the process itself", overhead}};
  return models::check_fits("the run", items, "a smaller data.batch with a larger train.accumulate, or a shorter data.length takes less inside the step",
                            process_memory().anonymous_bytes);
}

Status one_step(Run& run, Trainer& trainer, RunLog& log, RunSummary& summary, Progress& progress) {
  const int64_t start = real_env().now_ns();
  const double lr = run.options.schedule.at(run.step);
  if (run.recorder) run.recorder->begin_step(run.step);
  BGL_ASSIGN(const StepResult r, trainer.step(run.next, lr));
  BGL_TRY(draw_next(run));
  if (run.recorder) run.recorder->end_step(r.tokens);
  const double seconds = std::max(seconds_since(start), 1e-9);
  const double rate = static_cast<double>(r.tokens) / seconds;
  run.rates.push_back(rate);
  summary.last_loss = r.loss;
  json line = {{"step", run.step}, {"loss", r.loss}, {"grad_norm", r.grad_norm}, {"lr", lr}, {"tokens", r.tokens}, {"tokens_per_s", rate}};
  const double bytes = run.source->bytes_per_token;
  if (bytes > 0) line["bits_per_byte"] = r.loss / std::log(2.0) / bytes;
  const double peak = run.machine.f32_flops;
  const double share = peak > 0 ? flops_per_token(*run.loaded.model, run.options.data.block) * rate / peak : 0;
  if (share > 0) line["peak_share"] = share;
  line["memory_bytes"] = ops::Buffer::peak_bytes();
  if (run.rates.size() == 2) {  // by now everything has been allocated once
    line["expected_process_bytes"] = run.expected_bytes;
    line["process_bytes"] = process_memory().anonymous_bytes;
  }
  BGL_TRY(log.write(line.dump()));
  ++run.step;
  progress.update(run.step, fmt::format("loss {:.4f}{}  |g| {:.2f}  {:.0f} tokens/s{}  {}", r.loss,
                                        bytes > 0 ? fmt::format(" ({:.3f} bits/byte)", r.loss / std::log(2.0) / bytes) : "", r.grad_norm, rate,
                                        share > 0 ? fmt::format("  {:.0f} % of peak", 100 * share) : "",
                                        human_bytes(static_cast<double>(ops::Buffer::peak_bytes()))));
  return Status();
}

Status save_checkpoint(Run& run, Trainer& trainer) {
  const RunState state = {run.step, run.source->state(), ops::default_generator().state(), run.source->hash, hash128_hex(run.loaded.tokenizer_json)};
  return write_checkpoint(checkpoints_of(run), *run.loaded.model, trainer.optimizer(), run.next, state, run.options.checkpoint_keep);
}

// Writes the profile as soon as it is complete, or what there is of it at the end; the recorder goes.
Status save_profile(Run& run, RunSummary& summary, bool at_end) {
  if (!run.recorder || !(at_end || run.recorder->done())) return Status();
  const profile::Profile measured = run.recorder->profile(run.machine);
  run.recorder.reset();
  summary.profiled = true;
  return real_env().write_file_atomic(join_path(run.dir, "profile.json"), profile::to_json(measured));
}

Status finish(Run& run, RunSummary& summary) {
  BGL_ASSIGN(summary.weights_hash, models::save_model(join_path(run.dir, "model"), run.loaded));
  if (run.options.lora.rank > 0) BGL_TRY(models::save_adapter(join_path(run.dir, "adapter"), *run.loaded.model, run.options.lora.rank, run.options.lora.alpha));
  BGL_TRY(write_report(run.dir, run.options.name));
  return real_env().write_file_atomic(join_path(run.dir, "done.json"),
                                      json{{"steps", run.step}, {"weights", summary.weights_hash}, {"loss", summary.last_loss}, {"val_loss", summary.val_loss},
                                           {"tokens_per_s", summary.tokens_per_s}}.dump() + "\n");
}

// A run that was finished with these steps before.
bool already_done(const std::string& dir, const TrainOptions& o, RunSummary& summary) {
  const auto text = real_env().read_file(join_path(dir, "done.json"));
  if (!text.ok()) return false;
  const json j = json::parse(*text, nullptr, false);
  if (!j.is_object() || j.value("steps", int64_t{-1}) != o.steps) return false;
  summary = {o.steps, j.value("loss", 0.0), j.value("val_loss", 0.0), j.value("tokens_per_s", 0.0), j.value("weights", ""), true};
  return true;
}

}  // namespace

Result<RunSummary> run_training(const TrainOptions& options, const std::string& run_dir, const RunExtras& extras) {
  Env& env = real_env();
  Run run{options, run_dir, {}, {}, {}, {}, 0, {}, {}, {}, 0};
  RunSummary summary;
  BGL_TRY(env.make_dirs(run_dir));
  auto lock = env.lock_file(join_path(run_dir, "lock"), lock_holder_text(env));
  if (!lock.ok()) return make_status(lock.status().code(), "{} is being worked on by {}", run_dir, lock.status().message());
  run.lock = std::move(lock).value();
  BGL_TRY(check_same_config(join_path(run_dir, "config.toml"), options.resolved));
  if (already_done(run_dir, options, summary)) return summary;

  BGL_TRY(prepare(run));
  // Only a configuration that can be run is kept.
  BGL_TRY(env.write_file_atomic(join_path(run_dir, "config.toml"), options.resolved));
  Trainer trainer(*run.loaded.model, options);
  BGL_ASSIGN(const auto resumed, read_checkpoint(checkpoints_of(run), *run.loaded.model, trainer.optimizer()));
  if (resumed) {
    run.step = resumed->state.step;
    run.next = resumed->next;
    BGL_TRY(run.source->set_state(resumed->state.source));
    BGL_TRY(ops::default_generator().set_state(resumed->state.generator));
    log_info("{}: going on from step {}", run_dir, run.step);
  } else {
    BGL_TRY(draw_next(run));
  }
  BGL_ASSIGN(RunLog log, RunLog::open(join_path(run_dir, "log.jsonl"), run.step, machine_line()));
  run.machine = lang::measure_rates();
  if (extras.profile && run.step < options.steps) {
    const profile::RecorderOptions plan;
    run.recorder.emplace(profile::RecorderOptions{.warmup = std::min(plan.warmup, options.steps - run.step - 1), .steps = plan.steps});
  }
  if (run.step < options.steps) BGL_TRY(tell_memory(run, trainer));
  Progress progress(options.name, options.steps);
  progress.update(run.step);
  while (true) {
    const bool last = run.step >= options.steps;
    if (last || (options.eval_every > 0 && run.step % options.eval_every == 0)) BGL_TRY(evaluate(run, log, summary));
    if (last) break;
    BGL_TRY(one_step(run, trainer, log, summary, progress));
    BGL_TRY(save_profile(run, summary, false));
    if (options.checkpoint_every > 0 && run.step % options.checkpoint_every == 0) BGL_TRY(save_checkpoint(run, trainer));
  }
  progress.finish();
  BGL_TRY(save_profile(run, summary, true));
  summary.steps = run.step;
  if (!run.rates.empty()) {
    std::nth_element(run.rates.begin(), run.rates.begin() + static_cast<int64_t>(run.rates.size() / 2), run.rates.end());
    summary.tokens_per_s = run.rates[run.rates.size() / 2];
  }
  if (options.checkpoint_every > 0) BGL_TRY(save_checkpoint(run, trainer));
  BGL_TRY(finish(run, summary));
  return summary;
}

}  // namespace bgl::train
