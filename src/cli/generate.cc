#include <CLI/CLI.hpp>
#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <optional>

#include "base/env.h"
#include "cli/numbers.h"
#include "cli/verbs.h"
#include "lang/measure.h"
#include "models/folder.h"
#include "models/inference.h"
#include "profile/recorder.h"
#include "serve/defaults.h"
#include "serve/engine.h"
#include "serve/text_stream.h"

namespace bgl::cli {
namespace {

struct GenerateOptions {
  std::string model, tokenizer, prompt;
  std::optional<ops::WeightType> weights;
  int64_t steps = 128;
  std::optional<double> temperature, top_p;  // absent: as the model's folder says
  std::optional<int64_t> top_k;
  uint64_t seed = 0;
  std::string profile;  // a folder; empty: nothing is measured
};

// Measures what each token but the first takes: the first comes with the prompt.
class TokenProfile {
 public:
  explicit TokenProfile(int64_t tokens)
      : rates_(lang::measure_rates()), recorder_(profile::RecorderOptions{.warmup = std::clamp<int64_t>(tokens - 2, 0, 3), .steps = 10}) {}
  // On the engine's thread, which ends a step with every token.
  void token() {
    if (tokens_++ > 0) recorder_.end_step(1);
    recorder_.begin_step(tokens_);
  }
  Status save(const std::string& folder) const {
    const profile::Profile p = recorder_.profile(rates_);
    if (p.steps.empty()) return invalid_argument("--profile: {} tokens are too few to measure one: raise --steps, or give another --prompt or --seed", tokens_);
    BGL_TRY(real_env().make_dirs(folder));
    return real_env().write_file_atomic(join_path(folder, "profile.json"), profile::to_json(p));
  }

 private:
  lang::Rates rates_;
  profile::Recorder recorder_;
  int64_t tokens_ = 0;
};

// For at most the model's context; a token has at least a byte.
Status check_memory(const GenerateOptions& o) {
  BGL_ASSIGN(const models::InferenceNeed need, models::inference_need(o.model, o.weights));
  const serve::EngineOptions engine = {.max_running = 1, .context = static_cast<int64_t>(o.prompt.size()) + std::min(o.steps, need.config.context) + 1};
  return models::check_fits(std::span(&need, 1), serve::engine_need(need.config, engine), "fewer --steps take less for the cache");
}

// As many steps as the context has room for behind the prompt.
Result<int64_t> steps_with_room(const GenerateOptions& o, int64_t prompt, int64_t context) {
  if (prompt >= context) {
    return invalid_argument("the prompt has {} tokens, the context is {}: shorten the prompt, so that there is room for what follows it", prompt, context);
  }
  if (o.steps <= context - prompt) return o.steps;
  std::fprintf(stderr, "the model's context of %lld tokens leaves room for %lld steps\n", static_cast<long long>(context), static_cast<long long>(context - prompt));
  return context - prompt;
}

Status generate(const GenerateOptions& o) {
  BGL_TRY(check_memory(o));
  BGL_ASSIGN(models::LoadedModel loaded, models::load_for_inference(o.model, o.tokenizer, o.weights));
  if (!loaded.tokenizer) return invalid_argument("{} has no tokenizer: give one with --tokenizer FILE", o.model);
  const text::Tokenizer& tokenizer = *loaded.tokenizer;
  serve::Request request;
  BGL_ASSIGN(request.prompt, serve::prompt_tokens(tokenizer, o.prompt));
  BGL_ASSIGN(request.max_tokens, steps_with_room(o, static_cast<int64_t>(request.prompt.size()), loaded.model->config().context));
  const serve::SamplingOptions usual = serve::default_sampling(loaded);
  request.sampling = {o.temperature.value_or(usual.temperature), o.top_p.value_or(usual.top_p), o.top_k.value_or(usual.top_k)};
  request.seed = o.seed;
  request.stop_tokens = serve::end_tokens(loaded);
  std::optional<TokenProfile> measured;
  if (!o.profile.empty()) measured.emplace(request.max_tokens);
  // A cache for this one request, not for the longest that the model could have.
  const int64_t context = static_cast<int64_t>(request.prompt.size()) + request.max_tokens;
  BGL_ASSIGN(const auto engine, serve::Engine::create(*loaded.model, {.max_running = 1, .max_waiting = 1, .context = context}));
  std::fprintf(stderr, "%s\n", models::weights_text(*loaded.model).c_str());
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  Status status;
  serve::TextStream stream(tokenizer, o.prompt.empty());
  auto print = [](const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  };
  print(o.prompt);
  request.on_event = [&](const serve::Request::Event& e) {
    if (e.token >= 0) print(stream.add(e.token));
    if (e.token >= 0 && measured) measured->token();
    if (e.finish != serve::Finish::kNone) {
      print(stream.finish());
      std::lock_guard lock(mutex);
      if (e.finish == serve::Finish::kError) status = make_status(Code::kInternal, "{}", e.error);
      done = true;
      changed.notify_all();
    }
    return true;
  };
  BGL_TRY(engine->submit(std::move(request)));
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return done; });
  BGL_TRY(std::move(status));
  log_kernels();
  return measured ? measured->save(o.profile) : Status();
}

}  // namespace

void add_generate(CLI::App& app, Status& status) {
  auto o = std::make_shared<GenerateOptions>();
  CLI::App* verb = app.add_subcommand("generate", "Continue a text with a model; only the text goes to stdout");
  verb->add_option("MODEL", o->model, "A Hugging Face folder, or a llama2.c .bin file")->required();
  verb->add_option("--tokenizer", o->tokenizer, "A tokenizer file or folder (default: the model folder's own)");
  add_weights_option(*verb, o->weights);
  verb->add_option("--prompt", o->prompt, "The text to continue (default: none, the model begins)");
  verb->add_option("--steps", o->steps, "Most tokens to generate")->check(positive());
  verb->add_option("--temperature", o->temperature, "0: always the most likely token (default: generation_config.json's, else 1)")->check(not_negative());
  verb->add_option("--top-p", o->top_p, "Draw from the most likely tokens of this joint probability (default: the same, else 1)")->check(from_to(0, 1));
  verb->add_option("--top-k", o->top_k, "Draw from the k most likely tokens, 0: all (default: the same, else 0)")->check(not_negative());
  verb->add_option("--seed", o->seed, "The same seed gives the same text");
  verb->add_option("--profile", o->profile, "Measure some tokens after warm-up into this folder, for bgl explain");
  set_example(*verb, "bgl generate runs/shakespeare/model --prompt \"ROMEO:\" --steps 200 --temperature 0.8");
  verb->callback([o, &status] { status = generate(*o); });
}

}  // namespace bgl::cli
