// What was measured of some steps of a run, and its file, RUN/profile.json: one JSON object with
//   format     "bgl profile 1"
//   machine    {isa, engine, threads, f32_flops, stream_bytes_per_s}: the two ceilings, measured when the run began
//   warmup     steps that ran before and were not measured
//   steps      [{number, start, seconds, tokens}]
//   graphs     [{memory: {arena, lower_bound, outputs, leaves},              bytes
//                groups: [{name, shapes, ops: [[name, where]], flops, bytes}],
//                launches: [[group, kernel]],                               in the order in which they run
//                values: [[begin, end, offset, bytes, what, where]]}]       compiler/explanation.h says what these mean
//   runs       [{step, graph, starts: [..], seconds: [..]}]                 indexes of `steps` and `graphs`; a time a launch
// All times are in seconds; starts count from the start of the first measured step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "compiler/explanation.h"
#include "lang/measure.h"

namespace bgl::profile {

struct MeasuredStep {
  int64_t number = 0;  // of the run
  double start = 0, seconds = 0;
  int64_t tokens = 0;
};

struct GraphRun {
  size_t step = 0, graph = 0;
  std::vector<double> starts, seconds;  // of every launch

  double begin() const { return starts.empty() ? 0 : starts.front(); }
  double end() const { return starts.empty() ? 0 : starts.back() + seconds.back(); }
};

struct Profile {
  std::string isa, engine;
  int threads = 0;
  lang::Rates rates;
  int64_t warmup = 0;
  std::vector<MeasuredStep> steps;
  std::vector<compiler::Explanation> graphs;
  std::vector<GraphRun> runs;
};

std::string to_json(const Profile& profile);
// Errors (kDataLoss), without the file's name: no JSON, another format, an index that points nowhere.
Result<Profile> from_json(const std::string& text);

}  // namespace bgl::profile
