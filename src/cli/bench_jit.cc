// What compiling kernels costs: cold, again from the disk, and over a thousand lengths of sequences.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <future>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "cli/bench.h"
#include "framework/random.h"
#include "lang/kernel.h"
#include "lang/text.h"
#include "serve/engine.h"
#include "train/source.h"
#include "train/step.h"

namespace bgl::cli {
namespace {

using nlohmann::json;

double median(std::vector<double> v) {
  if (v.empty()) return 0;
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

// The machine's own measure: CPU seconds of compiling one fixed kernel, a row's sum of squares over eight chains, the median of some copies.
Result<double> probe_seconds() {
  const size_t before = lang::kernel_counters().each.size();
  for (int copy = 0; copy < 9; ++copy) {
    std::string text = fmt::format("kernel probe_{}(x: *f32, out: *f32, n: i64) {{\n  %3 = program_id 0 : i64\n  %4 = const 0 : i64\n  %5 = const 64 : i64\n"
                                   "  %6 = const 1 : i64\n  %7 = const 0.0 : 1x8xf32\n", copy);
    std::string carried = "%20 = %7", result;
    text += "  %8 = for %9 in %4, %2, %5 carry ";
    for (int i = 1; i < 8; ++i) carried += fmt::format(", %{} = %7", 20 + i);
    text += carried + " {\n";
    for (int i = 0; i < 8; ++i) {
      text += fmt::format("    %{0} = const {1} : i64\n    %{2} = add %9, %{0} : i64\n    %{3} = load %0, %{2}, %4, %6, _, _ other 0.0 : 1x8xf32\n"
                          "    %{4} = fma %{3}, %{3}, %{5} : 1x8xf32\n", 40 + i, 8 * i, 50 + i, 60 + i, 70 + i, 20 + i);
      result += fmt::format("{}%{}", i ? ", " : "", 70 + i);
    }
    text += "    yield " + result + "\n  }\n";
    for (int i = 0; i < 8; ++i) {
      text += fmt::format("  %{0} = result %8, {1} : 1x8xf32\n  %{2} = reduce %{0} sum axis 1 : f32\n  %{3} = const {1} : i64\n"
                          "  store %1, %{3}, %4, %4, _, _, %{2} : f32\n", 80 + i, i, 90 + i, 100 + i);
    }
    BGL_ASSIGN(const lang::Function fn, lang::parse_text(text + "}\n"));
    BGL_TRY(lang::compile_kernel(fn).status());
  }
  const std::vector<double> each = lang::kernel_counters().each;
  return median({each.begin() + static_cast<int64_t>(before), each.end()});
}

models::ModelConfig small_llama() {
  models::ModelConfig c;
  c.family = models::Family::kLlama;
  c.vocab = 60, c.context = 1100, c.layers = 2, c.heads = 4, c.kv_heads = 2, c.width = 32, c.head_width = 8, c.hidden = 64;
  c.bias = false;
  c.activation = models::Activation::kSilu;
  return c;
}

Status train_one_step(models::Model& model, const train::TrainOptions& options, int64_t length) {
  BGL_ASSIGN(auto source, train::open_source({.kind = train::DataOptions::Kind::kRandom, .block = length, .batch = options.data.batch}, nullptr,
                                             model.config().vocab, options.seed));
  BGL_ASSIGN(train::Batch batch, source->next(options.data.batch));
  train::Trainer trainer(model, options);
  return trainer.step({batch}, 1e-3).status();
}

// A prompt of `length` tokens and two more, as `bgl generate` does it: in an engine of its own.
Status generate_two(models::Model& model, int64_t length) {
  BGL_ASSIGN(const auto engine, serve::Engine::create(model, {.max_running = 1, .max_waiting = 1, .context = length + 2}));
  serve::Request request;
  for (int64_t i = 0; i < length; ++i) request.prompt.push_back(static_cast<int32_t>(i * 7 % model.config().vocab));
  request.max_tokens = 2;
  std::promise<Status> done;
  request.on_event = [&](const serve::Request::Event& e) {
    if (e.finish == serve::Finish::kError) done.set_value(make_status(Code::kInternal, "{}", e.error));
    else if (e.finish != serve::Finish::kNone) done.set_value(Status());
    return true;
  };
  BGL_TRY(engine->submit(std::move(request)));
  return done.get_future().get();
}

Status do_work(const std::string& what) {
  if (what == "char") {
    const std::string dir = scratch_folder("jit-step");
    const auto rate = char_train_rate(dir, 1);
    BGL_TRY(real_env().remove_all(dir));
    return rate.status();
  }
  if (what == "gpt2") {
    BGL_ASSIGN(const train::TrainOptions options, gpt2_options("64"));
    const auto model = models::make_model(options.model, models::Init::kNone);
    model->requires_grad_(true);
    return train_one_step(*model, options, options.data.block);
  }
  return invalid_argument("'{}' is not char or gpt2", what);
}

json counters_json(double seconds) {
  const lang::KernelCounters c = lang::kernel_counters();
  return {{"compiled", c.compiled}, {"from_disk", c.from_disk}, {"cpu_s", c.compile_cpu_seconds}, {"median_ms", 1e3 * median(c.each)},
          {"worst_ms", c.each.empty() ? 0 : 1e3 * *std::max_element(c.each.begin(), c.each.end())}, {"run_s", seconds}};
}

// Runs `bgl bench jit-step WHAT` with kernels kept in `cache`, and returns what it prints.
Result<json> in_a_process(const std::string& what, const std::string& cache) {
  FILE* pipe = popen(fmt::format("BGL_CACHE_DIR='{}' /proc/{}/exe bench jit-step {} 2>/dev/null", cache, getpid(), what).c_str(), "r");
  if (!pipe) return make_status(Code::kIo, "cannot start a second process");
  std::string text;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) text += static_cast<char>(c);
  if (pclose(pipe) != 0) return make_status(Code::kInternal, "the second process failed");
  json j = json::parse(text, nullptr, false);
  if (!j.is_object()) return make_status(Code::kInternal, "the second process printed no figures");
  return j;
}

// Kernels that 1,000 lengths need more than the first one does.
Result<double> kernels_of_lengths() {
  // An engine packs the weights of the model it serves, which then cannot be trained.
  const auto trained = models::make_model(small_llama(), models::Init::kTorch), served = models::make_model(small_llama(), models::Init::kTorch);
  trained->requires_grad_(true);
  train::TrainOptions options;
  options.data.batch = 1;
  const auto kernels = [] { return lang::kernel_counters().compiled + lang::kernel_counters().from_disk; };
  int64_t first = 0;
  for (int64_t i = 0; i < 1000; ++i) {
    const int64_t length = 1 + (63 + i * 7) % 1000;  // 64 first, then the others in no simple order
    BGL_TRY(train_one_step(*trained, options, length));
    BGL_TRY(generate_two(*served, length));
    if (i == 0) first = kernels();
  }
  return static_cast<double>(kernels() - first);
}

}  // namespace

Status print_jit_counters(const std::string& what) {
  const double start = seconds_now();
  BGL_TRY(do_work(what));
  json j = counters_json(seconds_now() - start);
  BGL_ASSIGN(const double probe, probe_seconds());
  j["probe_ms"] = 1e3 * probe;
  std::printf("%s\n", j.dump().c_str());
  return Status();
}

BenchResults bench_jit(const lang::Rates&) {
  std::vector<BenchResult> out;
  for (const std::string what : {"char", "gpt2"}) {
    const std::string cache = scratch_folder("jit");
    for (const std::string kind : {"cold", "warm"}) {
      BGL_ASSIGN(const json j, in_a_process(what, cache));
      const std::string at = what + "_" + kind + "_";
      out.push_back({.name = at + "kernels_compiled", .value = j.value("compiled", 0.0), .unit = "kernels"});
      out.push_back({.name = at + "first_step", .value = j.value("run_s", 0.0), .unit = "s"});
      if (kind == "warm") continue;
      out.push_back({.name = at + "cpu_total", .value = j.value("cpu_s", 0.0), .unit = "s"});
      out.push_back({.name = at + "cpu_median", .value = j.value("median_ms", 0.0), .unit = "ms"});
      out.push_back({.name = at + "cpu_worst", .value = j.value("worst_ms", 0.0), .unit = "ms"});
      out.push_back({.name = at + "cpu_probe", .value = j.value("probe_ms", 0.0), .unit = "ms"});
    }
    BGL_TRY(real_env().remove_all(cache));
  }
  BGL_ASSIGN(const double more, kernels_of_lengths());
  out.push_back({.name = "kernels_of_1000_lengths", .value = more, .unit = "kernels more"});
  return out;
}

}  // namespace bgl::cli
