#include "profile/memory_curve.h"

#include <algorithm>

namespace bgl::profile {
namespace {

// The values that live while `group` runs; launch `first` of the curve is the graph's first.
std::vector<AliveValue> alive_in(const compiler::Explanation& x, int64_t group, int64_t first) {
  std::vector<AliveValue> out;
  for (const auto& v : x.values) {
    if (group < v.begin || group >= v.end) continue;
    AliveValue alive{v.what, v.where, v.bytes, -1, -1};
    for (size_t l = 0; l < x.launches.size(); ++l) {
      if (x.launches[l].group < v.begin || x.launches[l].group >= v.end) continue;
      alive.last_launch = first + static_cast<int64_t>(l);
      if (alive.first_launch < 0) alive.first_launch = alive.last_launch;
    }
    out.push_back(std::move(alive));
  }
  std::stable_sort(out.begin(), out.end(), [](const AliveValue& a, const AliveValue& b) { return a.bytes > b.bytes; });
  return out;
}

}  // namespace

MemoryCurve memory_curve(const Profile& profile) {
  MemoryCurve curve;
  const compiler::Explanation* peak_graph = nullptr;
  int64_t most = -1, peak_group = 0, peak_first = 0;
  for (const GraphRun& run : profile.runs) {
    if (run.step != 0) continue;
    const compiler::Explanation& x = profile.graphs[run.graph];
    const std::vector<int64_t> alive = compiler::bytes_alive(x);
    const auto first = static_cast<int64_t>(curve.alive.size());
    for (const auto& l : x.launches) {
      curve.alive.push_back(alive[static_cast<size_t>(l.group)]);
      curve.arena.push_back(x.memory.arena_bytes);
      curve.bound.push_back(x.memory.lower_bound_bytes);
      if (curve.alive.back() <= most) continue;
      most = curve.alive.back();
      curve.peak_launch = curve.alive.size() - 1;
      peak_graph = &x, peak_group = l.group, peak_first = first;
    }
  }
  if (peak_graph) curve.at_peak = alive_in(*peak_graph, peak_group, peak_first);
  return curve;
}

}  // namespace bgl::profile
