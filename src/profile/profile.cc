#include "profile/profile.h"

#include <nlohmann/json.hpp>

namespace bgl::profile {
namespace {

using compiler::Explanation;
using nlohmann::json;

constexpr const char* kFormat = "bgl profile 1";

json graph_json(const Explanation& x) {
  json j = {{"memory",
             {{"arena", x.memory.arena_bytes},
              {"lower_bound", x.memory.lower_bound_bytes},
              {"outputs", x.memory.output_bytes},
              {"leaves", x.memory.leaf_bytes}}},
            {"groups", json::array()},
            {"launches", json::array()},
            {"values", json::array()}};
  for (const auto& g : x.groups) {
    json ops = json::array();
    for (const auto& op : g.ops) ops.push_back(json::array({op.name, op.where}));
    j["groups"].push_back(
        {{"name", g.name}, {"shapes", g.shapes}, {"ops", std::move(ops)}, {"flops", g.flops}, {"bytes", g.bytes}});
  }
  for (const auto& l : x.launches) j["launches"].push_back(json::array({l.group, l.kernel}));
  for (const auto& v : x.values) j["values"].push_back(json::array({v.begin, v.end, v.offset, v.bytes, v.what, v.where}));
  return j;
}

// Throws json::exception where the text says something else than the format.
Explanation graph_of(const json& j) {
  Explanation x;
  const json& m = j.at("memory");
  x.memory = {m.at("arena"), m.at("lower_bound"), m.at("outputs"), m.at("leaves")};
  for (const json& g : j.at("groups")) {
    compiler::ExplainedGroup group{g.at("name"), g.at("shapes"), {}, g.at("flops"), g.at("bytes")};
    for (const json& op : g.at("ops")) group.ops.push_back({op.at(0), op.at(1)});
    x.groups.push_back(std::move(group));
  }
  for (const json& l : j.at("launches")) x.launches.push_back({l.at(0), l.at(1)});
  for (const json& v : j.at("values")) x.values.push_back({v.at(0), v.at(1), v.at(2), v.at(3), v.at(4), v.at(5)});
  return x;
}

Profile profile_of(const json& j) {
  Profile p;
  const json& m = j.at("machine");
  p.isa = m.at("isa");
  p.engine = m.at("engine");
  p.threads = m.at("threads");
  p.rates = {m.at("f32_flops"), m.at("stream_bytes_per_s")};
  p.warmup = j.at("warmup");
  for (const json& s : j.at("steps")) p.steps.push_back({s.at("number"), s.at("start"), s.at("seconds"), s.at("tokens")});
  for (const json& g : j.at("graphs")) p.graphs.push_back(graph_of(g));
  for (const json& r : j.at("runs")) p.runs.push_back({r.at("step"), r.at("graph"), r.at("starts"), r.at("seconds")});
  return p;
}

Status check_indexes(const Profile& p) {
  auto inside = [](int64_t i, size_t n) { return i >= 0 && static_cast<size_t>(i) < n; };
  for (size_t g = 0; g < p.graphs.size(); ++g) {
    const Explanation& x = p.graphs[g];
    for (const auto& l : x.launches) {
      if (!inside(l.group, x.groups.size()))
        return data_loss("graph {}: a launch of group {}, of {}", g, l.group, x.groups.size());
    }
    for (const auto& v : x.values) {
      if (!inside(v.begin, x.groups.size()) || v.end <= v.begin || v.end > static_cast<int64_t>(x.groups.size())) {
        return data_loss("graph {}: a value lives from group {} to {}, of {}", g, v.begin, v.end, x.groups.size());
      }
    }
  }
  for (const GraphRun& r : p.runs) {
    if (r.step >= p.steps.size() || r.graph >= p.graphs.size()) {
      return data_loss("graph {} ran in step {}, of {} graphs and {} steps", r.graph, r.step, p.graphs.size(), p.steps.size());
    }
    const size_t launches = p.graphs[r.graph].launches.size();
    if (r.starts.size() != launches || r.seconds.size() != launches) {
      return data_loss("a run of graph {} has {} starts and {} times for {} launches", r.graph, r.starts.size(),
                       r.seconds.size(), launches);
    }
  }
  return p.steps.empty() ? data_loss("no step was measured") : Status();
}

}  // namespace

std::string to_json(const Profile& p) {
  json j = {{"format", kFormat},
            {"machine",
             {{"isa", p.isa},
              {"engine", p.engine},
              {"threads", p.threads},
              {"f32_flops", p.rates.f32_flops},
              {"stream_bytes_per_s", p.rates.stream_bytes_per_s}}},
            {"warmup", p.warmup},
            {"steps", json::array()},
            {"graphs", json::array()},
            {"runs", json::array()}};
  for (const MeasuredStep& s : p.steps)
    j["steps"].push_back({{"number", s.number}, {"start", s.start}, {"seconds", s.seconds}, {"tokens", s.tokens}});
  for (const Explanation& x : p.graphs) j["graphs"].push_back(graph_json(x));
  for (const GraphRun& r : p.runs)
    j["runs"].push_back({{"step", r.step}, {"graph", r.graph}, {"starts", r.starts}, {"seconds", r.seconds}});
  return j.dump() + "\n";
}

Result<Profile> from_json(const std::string& text) {
  const json j = json::parse(text, nullptr, false);
  if (!j.is_object()) return data_loss("not a JSON object");
  const std::string format = j.contains("format") && j["format"].is_string() ? j["format"].get<std::string>() : "";
  if (format != kFormat) return data_loss("its format is \"{}\", this program reads \"{}\"", format, kFormat);
  try {
    Profile p = profile_of(j);
    BGL_TRY(check_indexes(p));
    return p;
  } catch (const json::exception& e) {
    return data_loss("{}", e.what());
  }
}

}  // namespace bgl::profile
