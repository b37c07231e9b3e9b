// Measures the steps of this process: while one lives, every graph that runs is explained and every launch is timed; without
// one, no clock is read. One at a time.
#pragma once

#include <memory>

#include "profile/profile.h"

namespace bgl::profile {

struct RecorderOptions {
  int64_t warmup = 3;  // steps that compile, fill caches and are not measured
  int64_t steps = 10;  // most steps that are
};

class Recorder {
 public:
  explicit Recorder(const RecorderOptions& options);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // What runs between these two belongs to step `number`.
  void begin_step(int64_t number);
  void end_step(int64_t tokens);
  // Enough steps are measured: the recorder listens no more.
  bool done() const;
  // The steps that were begun and ended so far, with the machine's rates as they were measured by the caller.
  Profile profile(const lang::Rates& rates) const;

 private:
  void add(const compiler::StepEvent& event);

  RecorderOptions options_;
  int64_t seen_ = 0;        // steps begun
  bool measuring_ = false;  // inside a step that counts
  double origin_ = 0;       // the first measured step's start
  MeasuredStep now_;        // while measuring
  std::vector<MeasuredStep> steps_;
  std::vector<std::shared_ptr<const compiler::Explanation>> graphs_;
  std::vector<GraphRun> runs_;  // those of `now_` too
};

}  // namespace bgl::profile
