#include "serve/admission.h"

#include <algorithm>
#include <cmath>

namespace bgl::serve {

double seconds_to_first_token(Load load, const StepModel& steps, double enough) {
  double at = 0;
  size_t next = 0;  // of waiting
  constexpr int kMostSteps = 100000;
  for (int step = 0; step < kMostSteps && at <= enough; ++step) {
    while (next < load.waiting.size() && static_cast<int64_t>(load.running.size()) < load.max_running) load.running.push_back(load.waiting[next++]);
    int64_t left = load.step_tokens, tokens = 0;
    for (Work& w : load.running) {
      if (w.prompt > 0 || left == 0) continue;
      --w.answer, --left, ++tokens;
    }
    bool all_begun = next == load.waiting.size();
    for (Work& w : load.running) {
      if (w.prompt == 0) continue;
      const int64_t n = std::min(left, w.prompt);
      w.prompt -= n, left -= n, tokens += n;
      if (w.prompt == 0) --w.answer;  // the prompt's end gives the first token
      all_begun = all_begun && w.prompt == 0;
    }
    at += steps.seconds(tokens);
    // Prompts are taken in order, so the last one's end is the end of all.
    if (all_begun) return at;
    std::erase_if(load.running, [](const Work& w) { return w.prompt == 0 && w.answer <= 0; });
  }
  return std::max(at, enough * 1.001);
}

StepLimits limits_within(const StepModel& steps, double tbt_s, const StepLimits& most) {
  if (tbt_s <= 0 || !steps.known()) return most;
  const int64_t tokens = std::clamp<int64_t>(steps.tokens_within(tbt_s), 1, most.tokens);
  const int64_t pieces = std::min<int64_t>(16, most.tokens / 2);
  return {tokens, std::clamp<int64_t>(tokens - pieces, 1, most.running)};
}

bool can_keep(const StepModel& steps, double tbt_s) { return tbt_s <= 0 || !steps.known() || steps.seconds(1) <= tbt_s; }

void Margin::observe(double foreseen, double came) {
  // Steps up and down are in balance where that share is above.
  constexpr double kUp = 1.05, kMost = 10;
  const double down = std::pow(kUp, -later_ / (1 - later_));
  value_ = std::clamp(value_ * (came > value_ * foreseen ? kUp : down), 1.0, kMost);
}

}  // namespace bgl::serve
