// The inference engine: requests wait in a bounded queue, run together in one batch that changes every step (continuous batching),
// share the pages of equal beginnings, and give their tokens through a callback. A request's tokens do not depend on its
// neighbours. Ref: Orca (OSDI 2022), arXiv:2309.06180.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/status.h"
#include "models/memory_need.h"
#include "serve/automaton.h"
#include "serve/sampler.h"

namespace bgl::serve {

struct EngineOptions {
  int64_t max_running = 64;       // requests in one batch
  int64_t max_waiting = 256;      // for a place in the batch; beyond them submit() refuses
  int64_t step_tokens = 256;      // of one step: decoding ones first, prompts fill the rest
  int64_t context = 0;            // most tokens of one request, prompt and answer; 0: what the model was made for
  // A request is refused when its first token is foreseen later than this, and when the machine cannot keep the time between two tokens
  // even for one; else a step takes as few tokens, and as few requests run, as that time asks for (of twenty steps, one is later), and others
  // wait. 0: no limit.
  double ttft_ms = 0, tbt_ms = 0;
  // Held during a step: engines that share the machine take turns. May be null; must outlive the engine.
  std::mutex* turn = nullptr;
  int64_t cache_bytes = 0;        // of the KV cache; 0: a quarter of the machine's free memory, at most 4 GB
};

// What an engine takes beside the weights: its cache, as asked or for one request, and the values inside a step, about. For the
// refusal of what does not fit (models/memory_need.h).
std::vector<models::MemoryItem> engine_need(const models::ModelConfig& config, const EngineOptions& options);
// What to do about it.
inline constexpr const char* kSmallerEngine = "a shorter --context or a smaller --cache-bytes takes less for the cache";

enum class Finish : uint8_t { kNone, kStop, kLength, kCancelled, kError };

// When a request came, got its pages, had its first token and ended, in seconds of the clock that never goes back; 0: it did not.
struct RequestTimes {
  double submitted = 0, admitted = 0, first_token = 0, ended = 0;
};

struct Request {
  std::vector<int32_t> prompt;  // at least one token
  int64_t max_tokens = 16;
  SamplingOptions sampling;
  uint64_t seed = 0;
  std::vector<int32_t> stop_tokens;  // end-of-text marks: end the request and are not given out
  std::shared_ptr<Pushdown> grammar;  // of this request alone: the answer follows it to its end, or null
  int64_t logprobs = -1;              // -1: none; else events tell the token's, and of so many most likely ones
  int64_t adapter = 0;                // of the model's (models/adapters.h); 0: the base alone
  // Called on the engine's thread for every token, and once more with finish set (then token is -1 unless it is the last one).
  // Returning false cancels the request. Must not block.
  struct Event {
    int32_t token = -1;
    Finish finish = Finish::kNone;
    std::string error;
    int64_t cached_prompt_tokens = 0;  // of the prompt, found in the cache
    Logprobs logprobs = {};            // of a token, where they were asked for
    RequestTimes times = {};           // with finish
  };
  std::function<bool(const Event&)> on_event;
};

struct EngineStats {
  int64_t running = 0, waiting = 0;
  int64_t pages = 0, pages_available = 0;
  int64_t prompt_tokens = 0, generated_tokens = 0, cached_prompt_tokens = 0;
  int64_t finished = 0, cancelled = 0, refused = 0;
  int64_t steps = 0;
  double step_seconds = 0;
};

class Engine {
 public:
  // The model must outlive the engine and is laid out for inference (models/inference.h), if it is not yet. An error when not one request fits the cache, or the context is longer than the model's.
  static Result<std::unique_ptr<Engine>> create(models::Model& model, const EngineOptions& options);
  // stop().
  virtual ~Engine() = default;

  // Any thread. kResourceExhausted when the queue is full, the first token would come too late, or the engine drains; kInvalidArgument when they are more
  // than run and wait at most, prompt and max_tokens exceed the context, a token is outside the vocabulary, the model has no such adapter, or the grammar needs more than max_tokens (which is not cut silently).
  // All of them or none.
  virtual Status submit(std::vector<Request> requests) = 0;
  Status submit(Request request);
  // Refuses new requests and returns when all are done, or false after `seconds`.
  virtual bool drain(double seconds) = 0;
  // Refuses new requests, ends with kError what still runs or waits, and returns after the last callback. Any thread but the engine's.
  virtual void stop() = 0;
  virtual EngineStats stats() const = 0;
  // Seconds until a request of one token that came now would have its first token, as far as the steps so far tell; 0 before any.
  virtual double foreseen_wait() const = 0;
  virtual int64_t queue_limit() const = 0;
  virtual int64_t context() const = 0;
};

}  // namespace bgl::serve
