// run_step() is the spine: admit, choose the tokens of the step, run the model, hand out what it gave.
#include "serve/engine.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "base/process_memory.h"
#include "models/adapters.h"
#include "models/inference.h"
#include "serve/admission.h"
#include "serve/page_pool.h"

namespace bgl::serve {
namespace {

double now_seconds() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// A request that has its pages.
struct Sequence {
  Request request;
  ops::Generator generator;
  std::vector<int32_t> tokens;  // prompt, then what was generated
  std::vector<int64_t> pages;
  int64_t done = 0;  // tokens whose keys are in the cache
  int64_t generated = 0;
  int64_t cached = 0;  // tokens of the prompt that were found in the cache
  RequestTimes times;
  double foreseen = 0;  // seconds to the first token
  Finish finish = Finish::kNone;
  bool in_prompt() const { return done < static_cast<int64_t>(request.prompt.size()); }
};

// Sizes are rounded up so that a server meets few different graphs.
int64_t bucket(int64_t n) {
  int64_t b = 1;
  while (b < n) b *= 2;
  if (b >= 8 && n <= b * 3 / 4) b = b * 3 / 4;
  return b;
}

// Coarser, for sizes whose excess costs little: every triple of sizes that is met is a graph, planned and kept.
int64_t coarse_bucket(int64_t n) {
  int64_t b = 1;
  while (b < n) b *= 4;
  return b;
}

class LocalEngine final : public Engine {
 public:
  LocalEngine(models::Model& model, const EngineOptions& options, int64_t pages)
      : model_(model), options_(options), pool_(pages), cache_(model.make_cache(pages)) {
    stats_.pages_available = pool_.available();
    if (options.ttft_ms > 0 || options.tbt_ms > 0) warm_up();
    thread_ = std::thread([this] { loop(); });
  }
  ~LocalEngine() override { stop(); }

  void stop() final {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  using Engine::submit;
  Status submit(std::vector<Request> requests) override {
    for (const Request& r : requests) BGL_TRY(check(r));
    const auto count = static_cast<int64_t>(requests.size());
    if (count > options_.max_running + options_.max_waiting) {
      return invalid_argument("{} answers are asked for at once, but this server takes {}: {} that run (--max-running) and {} that wait (--max-waiting)", count,
                              options_.max_running + options_.max_waiting, options_.max_running, options_.max_waiting);
    }
    std::lock_guard lock(mutex_);
    if (draining_ || stopping_) return make_status(Code::kResourceExhausted, "the server is shutting down");
    // Those that the batch has a place for do not wait: they join with the next step.
    const int64_t places = std::max<int64_t>(0, limits().running - running_count_), waiting = static_cast<int64_t>(waiting_.size());
    if (waiting + count > options_.max_waiting + places) {
      ++stats_.refused;
      return make_status(Code::kResourceExhausted, "{} requests are waiting already", std::max<int64_t>(0, waiting - places));
    }
    double foreseen = 0;
    BGL_TRY(in_time(requests, foreseen));
    for (Request& r : requests) waiting_.push_back({std::move(r), now_seconds(), foreseen});
    changed_.notify_all();
    return Status();
  }

  double foreseen_wait() const override {
    std::lock_guard lock(mutex_);
    if (!steps_.known()) return 0;
    Load load = load_now();
    load.waiting.push_back({1, 1});
    return seconds_to_first_token(std::move(load), steps_, 60);
  }

  bool drain(double seconds) override {
    std::unique_lock lock(mutex_);
    draining_ = true;
    return idle_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return waiting_.empty() && running_count_ == 0; });
  }

  int64_t queue_limit() const override { return options_.max_waiting; }
  int64_t context() const override { return options_.context; }

  EngineStats stats() const override {
    std::lock_guard lock(mutex_);
    EngineStats s = stats_;
    s.waiting = static_cast<int64_t>(waiting_.size());
    s.running = running_count_;
    s.pages = pool_.total();
    return s;
  }

 private:
  // What follows is called with mutex_ held.
  Load load_now() const {
    const StepLimits most = limits();
    Load load{load_, {}, most.running, most.tokens};
    for (const Waiting& w : waiting_) load.waiting.push_back(work_of(w.request));
    return load;
  }
  Work work_of(const Request& r) const {
    return {static_cast<int64_t>(r.prompt.size()), std::max<int64_t>(1, static_cast<int64_t>(answer_share_ * static_cast<double>(r.max_tokens)))};
  }
  Status in_time(const std::vector<Request>& requests, double& foreseen) {
    if (!can_keep(steps_, 1e-3 * options_.tbt_ms)) {
      ++stats_.refused;
      looks_again_ = true;
      changed_.notify_all();
      return make_status(Code::kResourceExhausted, "tokens are not foreseen within the {:g} ms of each other that this server allows itself: a step of one takes {:.3g} ms", options_.tbt_ms,
                         1e3 * steps_.seconds(1));
    }
    if (options_.ttft_ms <= 0 || !steps_.known()) return Status();
    Load load = load_now();
    for (const Request& r : requests) load.waiting.push_back(work_of(r));
    const double limit = 1e-3 * options_.ttft_ms / margin_.value();
    foreseen = seconds_to_first_token(std::move(load), steps_, limit);
    if (foreseen <= limit) return Status();
    ++stats_.refused;
    return make_status(Code::kResourceExhausted, "the first token is not foreseen within the {:g} ms that this server allows itself", options_.ttft_ms);
  }
  StepLimits limits() const { return limits_within(steps_, 1e-3 * options_.tbt_ms / step_margin_.value(), {options_.step_tokens, options_.max_running}); }

  Status check(const Request& request) const {
    const auto n = static_cast<int64_t>(request.prompt.size());
    const int64_t vocab = model_.config().vocab;
    const auto adapters = static_cast<int64_t>(model_.adapters().size());
    if (request.adapter < 0 || request.adapter > adapters) return invalid_argument("there is no adapter {}: the model has {}", request.adapter, adapters);
    if (n < 1) return invalid_argument("the prompt is empty: it needs at least one token");
    if (n + request.max_tokens > options_.context) {
      return invalid_argument("this model's context is {} tokens, but the prompt has {} and max_tokens asks for {} more", options_.context, n, request.max_tokens);
    }
    for (const int32_t t : request.prompt) {
      if (t < 0 || t >= vocab) return invalid_argument("token {} is outside the vocabulary of {}", t, vocab);
    }
    if (request.grammar && request.grammar->tokens_to_end() >= Pushdown::kNever) {
      return invalid_argument("this model's vocabulary lacks characters that every answer of this response_format needs");
    }
    if (request.grammar && request.grammar->tokens_to_end() > request.max_tokens) {
      return invalid_argument("max_tokens is {}, but the shortest answer of this response_format may take {}", request.max_tokens, request.grammar->tokens_to_end());
    }
    if (pages_for(request) > pool_.total()) {
      return invalid_argument("the request needs {} pages of KV cache, the server has {}", pages_for(request), pool_.total());
    }
    return Status();
  }

  static int64_t pages_for(const Request& r) {
    return (static_cast<int64_t>(r.prompt.size()) + r.max_tokens + kPageTokens - 1) / kPageTokens;
  }

  void loop() {
    while (true) {
      {
        std::unique_lock lock(mutex_);
        const auto work = [this] { return stopping_ || !waiting_.empty() || !running_.empty(); };
        changed_.wait(lock, [&] { return work() || looks_again_; });
        if (stopping_) break;
        // After a refusal for the machine's slowness it is measured anew, or a slow moment would last for ever.
        if (!work()) changed_.wait_for(lock, std::chrono::seconds(1), work);
        if (stopping_) break;
        looks_again_ = false;
      }
      if (has_work()) {
        run_step();
      } else {
        look_again();
      }
    }
    break_off();
  }

  // What was not done in time must not look whole.
  void break_off() {
    const std::string why = "the server shut down before the answer was whole";
    for (auto& s : running_) fail(*s, why);
    running_.clear();
    std::deque<Waiting> waiting;
    {
      std::lock_guard lock(mutex_);
      waiting.swap(waiting_);
      running_count_ = 0;
    }
    for (Waiting& w : waiting) w.request.on_event({-1, Finish::kError, why, 0, {}, {w.since, 0, 0, now_seconds()}});
  }

  // Steps of all sizes on page 0, before anybody waits: kernels are compiled, and it is known how long a step takes.
  void warm_up() {
    for (int round = 0; round < 4; ++round) {
      for (int64_t n = 1; n <= options_.step_tokens; n *= 2) {
        const int64_t count = std::min(n, options_.context);
        if (round > 0) {
          measure_step(count);
          continue;
        }
        // The first round, which is not measured, compiles, for adapters too.
        for (int64_t adapter = 0; adapter <= (model_.adapters().empty() ? 0 : 1); ++adapter) dummy_step(count, adapter);
      }
    }
  }
  void dummy_step(int64_t tokens, int64_t adapter) {
    Sequence s;
    s.tokens.assign(static_cast<size_t>(tokens), 0);
    s.pages.assign(static_cast<size_t>((tokens + kPageTokens - 1) / kPageTokens), 0);
    s.request.adapter = adapter;
    run_model({{&s, 0, tokens}});
  }
  void measure_step(int64_t tokens) {
    const auto turn = options_.turn ? std::unique_lock(*options_.turn) : std::unique_lock<std::mutex>();
    const double start = now_seconds();
    dummy_step(tokens, 0);
    const std::lock_guard lock(mutex_);
    steps_.observe(tokens, now_seconds() - start);
  }
  void look_again() {
    try {
      measure_step(1);
    } catch (const Error& e) {
      log_error("a step failed: {}", e.what());
    }
  }
  bool has_work() const {
    const std::lock_guard lock(mutex_);
    return !waiting_.empty() || !running_.empty();
  }

  void run_step() {
    admit();
    const double start = now_seconds();
    const std::vector<Part> parts = choose();
    if (!parts.empty()) {
      try {
        const auto turn = options_.turn ? std::unique_lock(*options_.turn) : std::unique_lock<std::mutex>();
        std::vector<float> logits = run_model(parts);
        give_out(parts, logits);
      } catch (const Error& e) {
        log_error("a step failed: {}", e.what());
        for (const Part& p : parts) fail(*p.sequence, e.what());
      }
    }
    int64_t tokens = 0;
    for (const Part& p : parts) tokens += p.count;
    std::lock_guard lock(mutex_);
    if (tokens > 0) {
      if (steps_.known()) step_margin_.observe(steps_.seconds(tokens), now_seconds() - start);
      steps_.observe(tokens, now_seconds() - start);
    }
    std::erase_if(running_, [](const auto& s) { return s->finish != Finish::kNone; });
    running_count_ = static_cast<int64_t>(running_.size());
    load_.clear();
    for (const auto& s : running_) {
      const Work all = work_of(s->request);
      const int64_t size = static_cast<int64_t>(s->request.prompt.size());
      load_.push_back({std::max<int64_t>(0, size - s->done), std::max<int64_t>(1, all.answer - s->generated)});
    }
    stats_.pages_available = pool_.available();
    stats_.steps += !parts.empty();
    stats_.step_seconds += now_seconds() - start;
    if (running_.empty() && waiting_.empty()) idle_.notify_all();
  }

  // Waiting requests get pages and join, first come first served.
  void admit() {
    while (true) {
      Request request;
      double since = 0, foreseen = 0;
      {
        std::lock_guard lock(mutex_);
        if (waiting_.empty() || static_cast<int64_t>(running_.size()) >= limits().running) return;
        request = std::move(waiting_.front().request);
        since = waiting_.front().since;
        foreseen = waiting_.front().foreseen;
        waiting_.pop_front();
        ++running_count_;  // on its way from one list to the other: never in neither
      }
      auto s = std::make_unique<Sequence>();
      // The last token of the prompt is always computed: its logits give the first new token.
      s->pages = pool_.match(std::span<const int32_t>(request.prompt).first(request.prompt.size() - 1), request.adapter);
      s->done = s->cached = static_cast<int64_t>(s->pages.size()) * kPageTokens;
      const int64_t missing = pages_for(request) - static_cast<int64_t>(s->pages.size());
      const std::vector<int64_t> more = pool_.take(missing);
      if (static_cast<int64_t>(more.size()) < missing) {
        pool_.release(s->pages);
        std::lock_guard lock(mutex_);
        waiting_.push_front({std::move(request), since, foreseen});
        --running_count_;
        return;
      }
      s->pages.insert(s->pages.end(), more.begin(), more.end());
      s->times = {since, now_seconds(), 0, 0};
      s->foreseen = foreseen;
      s->tokens = request.prompt;
      s->generator.manual_seed(request.seed);
      {
        std::lock_guard lock(mutex_);
        stats_.prompt_tokens += static_cast<int64_t>(request.prompt.size());
        stats_.cached_prompt_tokens += s->done;
        load_.push_back(work_of(request));
        load_.back().prompt -= s->done;
      }
      s->request = std::move(request);
      running_.push_back(std::move(s));
    }
  }

  // Tokens [from, from + count) of a sequence.
  struct Part {
    Sequence* sequence;
    int64_t from, count;
  };
  std::vector<Part> choose() {
    std::vector<Part> parts;
    int64_t left = 0;
    {
      std::lock_guard lock(mutex_);
      left = limits().tokens;
    }
    // Those that decode all get their token, whatever was foreseen.
    const auto decoding = std::count_if(running_.begin(), running_.end(), [](const auto& s) { return !s->in_prompt(); });
    left = std::min(std::max<int64_t>(left, decoding), options_.step_tokens);
    for (const auto& s : running_) {
      if (s->in_prompt() || left == 0) continue;
      parts.push_back({s.get(), s->done, 1});
      --left;
    }
    for (const auto& s : running_) {
      if (!s->in_prompt() || left == 0) continue;
      const int64_t n = std::min(left, static_cast<int64_t>(s->request.prompt.size()) - s->done);
      parts.push_back({s.get(), s->done, n});
      left -= n;
    }
    return parts;
  }

  // Logits of the last token of every part, in order.
  std::vector<float> run_model(const std::vector<Part>& parts) {
    int64_t tokens = 0, table = 1;
    for (const Part& p : parts) {
      tokens += p.count;
      table = std::max(table, (p.from + p.count + kPageTokens - 1) / kPageTokens);
    }
    // A decoding step wants the logits of all its tokens, a step with pieces of prompts those of few.
    const auto wanting = static_cast<int64_t>(parts.size());
    const int64_t n = bucket(tokens), m = coarse_bucket(table), r = wanting == tokens ? n : std::min(n, coarse_bucket(wanting));
    const auto size = static_cast<size_t>(n);
    std::vector<int64_t> ids(size, 0), positions(size, 0), slots(size, 0), lengths(size, 1), adapters(size, 0), pages(size * static_cast<size_t>(m), 0), rows(static_cast<size_t>(r), 0);
    size_t row = 0, part = 0;
    for (const Part& p : parts) {
      for (int64_t i = p.from; i < p.from + p.count; ++i, ++row) {
        ids[row] = p.sequence->tokens[static_cast<size_t>(i)];
        positions[row] = i;
        slots[row] = p.sequence->pages[static_cast<size_t>(i / kPageTokens)] * kPageTokens + i % kPageTokens;
        lengths[row] = i + 1;
        adapters[row] = p.sequence->request.adapter;
        for (int64_t k = 0; k <= i / kPageTokens; ++k) pages[row * static_cast<size_t>(m) + static_cast<size_t>(k)] = p.sequence->pages[static_cast<size_t>(k)];
      }
      rows[part++] = static_cast<int64_t>(row) - 1;
    }
    // Rows that pad the batch write to page 0, each to a place of its own.
    for (size_t i = row; i < size; ++i) slots[i] = static_cast<int64_t>(i - row) % kPageTokens;
    using framework::Tensor;
    ops::NoGrad no_grad;
    const models::PagedStep step{Tensor::from_vector(ids, {n}),      Tensor::from_vector(positions, {n}), Tensor::from_vector(slots, {n}),
                                 Tensor::from_vector(pages, {n, m}), Tensor::from_vector(lengths, {n}),   Tensor::from_vector(rows, {r}),
                                 models::adapter_rows(model_, adapters)};
    const Tensor logits = model_.step(step, cache_);
    std::vector<Tensor> wanted = {logits};
    wanted.insert(wanted.end(), cache_.k.begin(), cache_.k.end());
    wanted.insert(wanted.end(), cache_.v.begin(), cache_.v.end());
    framework::eval(wanted);
    return logits.to_vector();
  }

  void give_out(const std::vector<Part>& parts, std::vector<float>& logits) {
    const auto vocab = static_cast<size_t>(model_.config().vocab);
    for (size_t i = 0; i < parts.size(); ++i) {
      Sequence& s = *parts[i].sequence;
      const int64_t before = s.done / kPageTokens;
      s.done += parts[i].count;
      for (int64_t page = before; page < s.done / kPageTokens; ++page) pool_.publish(s.tokens, page, s.pages[static_cast<size_t>(page)], s.request.adapter);
      if (s.in_prompt()) continue;
      if (s.request.max_tokens == 0) {
        end(s, Finish::kLength);
        continue;
      }
      draw(s, std::span(logits).subspan(i * vocab, vocab));
    }
  }

  // The next token out of its logits, which are changed.
  void draw(Sequence& s, std::span<float> logits) {
    const Request& r = s.request;
    std::vector<float> before;
    if (r.logprobs >= 0) before.assign(logits.begin(), logits.end());
    const size_t prompt = r.prompt.size();
    if (r.sampling.adjusts()) adjust(logits, r.sampling, std::span(s.tokens).first(prompt), std::span(s.tokens).subspan(prompt));
    if (r.grammar) r.grammar->mask(logits, r.max_tokens - s.generated, r.stop_tokens);
    const int32_t token = sample(logits, r.sampling, s.generator);
    if (token < 0) return fail(s, "the model's logits are not numbers (NaN)");
    if (std::count(r.stop_tokens.begin(), r.stop_tokens.end(), token) > 0) return end(s, Finish::kStop);
    if (r.grammar) BGL_CHECK(r.grammar->take(token), "a token was drawn that the grammar does not allow");
    take_token(s, token, r.logprobs >= 0 ? logprobs(before, token, r.logprobs) : Logprobs());
  }

  void take_token(Sequence& s, int32_t token, Logprobs logprobs) {
    s.tokens.push_back(token);
    if (++s.generated == 1) s.times.first_token = now_seconds();
    {
      std::lock_guard lock(mutex_);
      ++stats_.generated_tokens;
      // A wait of no length says nothing of the next long one.
      const double came = s.times.first_token - s.times.submitted, limit = 1e-3 * options_.ttft_ms;
      if (s.generated == 1 && s.foreseen > 0 && (s.foreseen > limit / 8 || came > limit)) margin_.observe(s.foreseen, came);
    }
    const bool last = s.generated >= s.request.max_tokens, whole = s.request.grammar && s.request.grammar->must_end();
    if (!s.request.on_event({token, Finish::kNone, {}, s.cached, std::move(logprobs)})) {
      end(s, Finish::kCancelled);
    } else if (whole || (last && s.request.grammar && s.request.grammar->may_end())) {
      end(s, Finish::kStop);
    } else if (last) {
      end(s, Finish::kLength);
    }
  }

  void fail(Sequence& s, const std::string& why) {
    s.finish = Finish::kError;
    pool_.release(s.pages);
    s.pages.clear();
    s.times.ended = now_seconds();
    s.request.on_event({-1, Finish::kError, why, s.cached, {}, s.times});
  }
  void end(Sequence& s, Finish why) {
    if (s.finish != Finish::kNone) return;
    s.finish = why;
    pool_.release(s.pages);
    s.pages.clear();
    s.times.ended = now_seconds();
    s.request.on_event({-1, why, {}, s.cached, {}, s.times});
    std::lock_guard lock(mutex_);
    if (why != Finish::kCancelled && s.request.max_tokens > 0) {
      answer_share_ = 0.95 * answer_share_ + 0.05 * static_cast<double>(s.generated) / static_cast<double>(s.request.max_tokens);
    }
    ++(why == Finish::kCancelled ? stats_.cancelled : stats_.finished);
  }

  models::Model& model_;
  const EngineOptions options_;
  PagePool pool_;
  models::PagedCache cache_;
  std::vector<std::unique_ptr<Sequence>> running_;  // the engine thread's alone

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_, idle_;
  struct Waiting {
    Request request;
    double since;
    double foreseen;
  };
  std::deque<Waiting> waiting_;
  std::vector<Work> load_;  // of running_
  StepModel steps_;
  Margin margin_{0.01};       // of first tokens
  Margin step_margin_{0.05};  // of steps
  double answer_share_ = 1;  // of max_tokens that answers use
  int64_t running_count_ = 0;
  EngineStats stats_;
  bool draining_ = false, stopping_ = false;
  bool looks_again_ = false;  // a request was refused because steps take too long
  std::thread thread_;
};

}  // namespace

std::vector<models::MemoryItem> engine_need(const models::ModelConfig& c, const EngineOptions& o) {
  const int64_t context = o.context > 0 ? std::min(o.context, c.context) : c.context, pages = (context + kPageTokens - 1) / kPageTokens;
  const int64_t cache = o.cache_bytes > 0 ? o.cache_bytes : (pages + 1) * models::page_bytes(c);
  // Of a token: the residual stream, its norm, queries, keys, values, what attention gives, the three of the feed-forward part, its pages.
  const int64_t token = 4 * (3 * c.width + 2 * (c.heads + c.kv_heads) * c.head_width + 3 * c.hidden) + 8 * pages;
  const int64_t logits = 2 * 4 * std::min(o.max_running, o.step_tokens) * c.vocab;
  return {{o.cache_bytes > 0 ? "of KV cache" : fmt::format("of KV cache for one request of {} tokens", context), cache},
          {fmt::format("of values inside a step of {} tokens", o.step_tokens), o.step_tokens * token + logits}};
}

Status Engine::submit(Request request) {
  std::vector<Request> one;
  one.push_back(std::move(request));
  return submit(std::move(one));
}

Result<std::unique_ptr<Engine>> Engine::create(models::Model& model, const EngineOptions& asked) {
  EngineOptions options = asked;
  if (options.context == 0) options.context = model.config().context;
  if (options.context > model.config().context) {
    return invalid_argument("a context of {} tokens was asked for, but this model was made for {}", options.context, model.config().context);
  }
  int64_t bytes = options.cache_bytes;
  const int64_t page = model.page_bytes();
  const int64_t per_request = (options.context + kPageTokens - 1) / kPageTokens;
  if (bytes == 0) {
    const int64_t free = available_memory().bytes;
    // No more than all running requests at full length can use, twice over for cached beginnings; and as much as one needs, if there is.
    bytes = std::min<int64_t>({free / 4, int64_t{4} << 30, 2 * options.max_running * per_request * page});
    bytes = std::min(free, std::max(bytes, per_request * page));
  }
  const int64_t pages = bytes / page + 1;
  if (pages - 1 < per_request) {
    return make_status(Code::kResourceExhausted, "the KV cache may take {} bytes, but one request of {} tokens needs {} pages of {} bytes: allow it more, or a shorter context", bytes,
                       options.context, per_request, page);
  }
  BGL_TRY(models::lay_out_for_inference(model));
  try {
    return std::unique_ptr<Engine>(std::make_unique<LocalEngine>(model, options, pages));
  } catch (const Error& e) {
    return e.status();
  }
}

}  // namespace bgl::serve
