#include "profile/trace.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace bgl::profile {
namespace {

using compiler::Explanation;
using nlohmann::json;

constexpr int kStepsThread = 0;

// Whole nanoseconds, so that what nests in seconds nests in the file.
double micros(double seconds) { return std::round(1e9 * seconds) / 1e3; }

json event(const char* phase, const std::string& name, int thread) {
  return {{"ph", phase}, {"name", name}, {"pid", 1}, {"tid", thread}};
}

json slice(const std::string& name, int thread, double start, double seconds, json args) {
  json e = event("X", name, thread);
  e["ts"] = micros(start);
  e["dur"] = std::round(1e3 * (micros(start + seconds) - micros(start))) / 1e3;
  e["args"] = std::move(args);
  return e;
}

json named(const char* what, int thread, const std::string& name) {
  json e = event("M", what, thread);
  e["args"] = {{"name", name}};
  return e;
}

// What every launch of a graph says about itself, whenever it runs.
std::vector<json> launch_args(const Explanation& x, const lang::Rates& rates) {
  std::vector<json> out;
  for (const auto& l : x.launches) {
    const auto& g = x.groups[static_cast<size_t>(l.group)];
    std::string modules;
    for (const auto& op : g.ops) {
      if (!op.where.empty() && modules.find(op.where) == std::string::npos) modules += (modules.empty() ? "" : ", ") + op.where;
    }
    json args = {{"kernel", l.kernel}, {"shapes", g.shapes}, {"modules", modules}, {"flops", g.flops}, {"bytes", g.bytes}};
    if (rates.f32_flops > 0 && rates.stream_bytes_per_s > 0) {
      args["floor_us"] = micros(std::max(g.flops / rates.f32_flops, g.bytes / rates.stream_bytes_per_s));
    }
    out.push_back(std::move(args));
  }
  return out;
}

json counter(double start, int64_t bytes) {
  json e = event("C", "arena", kStepsThread);
  e["ts"] = micros(start);
  e["args"] = {{"bytes", bytes}};
  return e;
}

}  // namespace

std::string to_trace(const Profile& p) {
  json events = json::array({named("process_name", kStepsThread, "bgl"), named("thread_name", kStepsThread, "steps")});
  std::vector<std::vector<json>> args;
  std::vector<std::vector<int64_t>> alive;
  for (size_t g = 0; g < p.graphs.size(); ++g) {
    events.push_back(named("thread_name", static_cast<int>(g) + 1, fmt::format("graph {}", g)));
    args.push_back(launch_args(p.graphs[g], p.rates));
    alive.push_back(compiler::bytes_alive(p.graphs[g]));
  }
  for (const MeasuredStep& s : p.steps) {
    events.push_back(slice(fmt::format("step {}", s.number), kStepsThread, s.start, s.seconds, {{"tokens", s.tokens}}));
  }
  for (const GraphRun& r : p.runs) {
    const Explanation& x = p.graphs[r.graph];
    const int thread = static_cast<int>(r.graph) + 1;
    events.push_back(slice(fmt::format("graph {}", r.graph), thread, r.begin(), r.end() - r.begin(),
                           {{"arena_bytes", x.memory.arena_bytes}, {"lower_bound_bytes", x.memory.lower_bound_bytes}}));
    int64_t before = -1;
    for (size_t l = 0; l < x.launches.size(); ++l) {
      const auto group = static_cast<size_t>(x.launches[l].group);
      events.push_back(slice(x.groups[group].name, thread, r.starts[l], r.seconds[l], args[r.graph][l]));
      if (alive[r.graph][group] != before) events.push_back(counter(r.starts[l], alive[r.graph][group]));
      before = alive[r.graph][group];
    }
    events.push_back(counter(r.end(), 0));
  }
  return json{{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}}.dump() + "\n";
}

}  // namespace bgl::profile
