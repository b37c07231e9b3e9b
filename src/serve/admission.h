// What a new request would meet: the engine's steps played forward, first come first served, until the first token of the new one.
// Ref: Mooncake (FAST 2025), section 6: a request that cannot be served in time is refused before anything is spent on it.
#pragma once

#include <cstdint>
#include <vector>

#include "serve/step_model.h"

namespace bgl::serve {

// Tokens of a request that are still to come.
struct Work {
  int64_t prompt = 0;  // not computed yet
  int64_t answer = 0;  // as many as are expected
};

struct Load {
  std::vector<Work> running, waiting;  // in order
  int64_t max_running = 0;
  int64_t step_tokens = 0;
};

// Seconds until the first token of the last of load.waiting; once it is clear that they exceed `enough`, some number above it. Takes at
// most enough / (a step's seconds) turns over the running ones.
double seconds_to_first_token(Load load, const StepModel& steps, double enough);

// What a step may hold so that a token comes every `tbt_s` seconds.
struct StepLimits {
  int64_t tokens = 0;   // of a step
  int64_t running = 0;  // requests; a step has room for a prompt's pieces beside those that decode
};
// `tbt_s` 0, or steps unknown: `most`.
StepLimits limits_within(const StepModel& steps, double tbt_s, const StepLimits& most);
// Whether any step is in time: one of one token.
bool can_keep(const StepModel& steps, double tbt_s);

// How much later than foreseen things come: the share `later` of them comes later than foreseen times value(). The machine may be shared,
// and answers may be longer than those before; that shows here and not in the line of the steps.
class Margin {
 public:
  explicit Margin(double later) : later_(later) {}
  double value() const { return value_; }
  // A time as it was foreseen and as it came.
  void observe(double foreseen, double came);

 private:
  double later_, value_ = 1.4;
};

}  // namespace bgl::serve
