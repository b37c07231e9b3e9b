#include "profile/recorder.h"

#include <algorithm>

#include "base/env.h"
#include "compiler/compile.h"
#include "lang/kernel.h"

namespace bgl::profile {
namespace {

double now() { return 1e-9 * static_cast<double>(real_env().now_ns()); }

}  // namespace

Recorder::Recorder(const RecorderOptions& options) : options_(options) {
  compiler::set_step_listener([this](const compiler::StepEvent& e) { add(e); });
}
Recorder::~Recorder() { compiler::set_step_listener(nullptr); }

bool Recorder::done() const { return static_cast<int64_t>(steps_.size()) >= options_.steps; }

void Recorder::begin_step(int64_t number) {
  measuring_ = seen_++ >= options_.warmup && !done();
  if (!measuring_) return;
  const double start = now();
  if (steps_.empty()) origin_ = start;
  now_ = {number, start - origin_, 0, 0};
}

void Recorder::end_step(int64_t tokens) {
  if (!measuring_) return;
  measuring_ = false;
  now_.seconds = now() - origin_ - now_.start;
  now_.tokens = tokens;
  steps_.push_back(now_);
  if (done()) compiler::set_step_listener(nullptr);
}

void Recorder::add(const compiler::StepEvent& e) {
  if (!measuring_) return;
  if (e.step == 0) {
    const auto found = std::find(graphs_.begin(), graphs_.end(), e.executable.explanation);
    GraphRun run;
    run.step = steps_.size();
    run.graph = static_cast<size_t>(found - graphs_.begin());
    if (found == graphs_.end()) graphs_.push_back(e.executable.explanation);
    runs_.push_back(std::move(run));
  }
  runs_.back().starts.push_back(e.start - origin_);
  runs_.back().seconds.push_back(e.seconds);
}

Profile Recorder::profile(const lang::Rates& rates) const {
  const lang::MachineInfo& m = lang::machine();
  Profile p{m.isa, m.engine, m.threads, rates, std::min(seen_, options_.warmup), steps_, {}, runs_};
  std::erase_if(p.runs, [&](const GraphRun& r) { return r.step >= steps_.size(); });
  for (const auto& g : graphs_) p.graphs.push_back(*g);
  return p;
}

}  // namespace bgl::profile
