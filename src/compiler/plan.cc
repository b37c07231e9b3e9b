#include "compiler/plan.h"

#include <algorithm>

#include "memory/plan.h"

namespace bgl::compiler {
namespace {

// First and last step that touches each root value.
struct Life {
  int64_t begin = -1, end = -1;
};

std::map<Ref, Life> lifetimes(const std::vector<Lowered>& lowered) {
  std::map<Ref, Life> life;
  for (size_t s = 0; s < lowered.size(); ++s) {
    const auto step = static_cast<int64_t>(s);
    for (const Ref& r : lowered[s].outputs) {
      life.try_emplace(r, Life{step, step});
    }
    for (const Ref& r : lowered[s].inputs) {
      Life& l = life.try_emplace(r, Life{-1, step}).first->second;
      l.end = std::max(l.end, step);
    }
  }
  return life;
}

// Outputs that may be written over a donated leaf: the leaf is last read by the very step that writes the output.
std::map<Ref, int> donations(const Graph& graph, const std::vector<Lowered>& lowered, const std::map<Ref, Life>& life) {
  std::map<Ref, int> takes;
  std::vector<bool> taken(graph.leaves.size(), false);
  for (size_t s = 0; s < lowered.size(); ++s) {
    for (const auto& [o, i] : lowered[s].in_place) {
      const Ref in = lowered[s].inputs[static_cast<size_t>(i)];
      const Ref out = lowered[s].outputs[static_cast<size_t>(o)];
      const int first_leaf = graph.nodes[static_cast<size_t>(in.node)].leaf;
      if (first_leaf < 0) continue;
      const auto leaf = static_cast<size_t>(first_leaf + in.out);
      if (!graph.donated[leaf] || taken[leaf] || life.at(in).end != static_cast<int64_t>(s)) continue;
      if (graph.meta(in).bytes() != graph.meta(out).bytes()) continue;
      taken[leaf] = true;
      takes[out] = static_cast<int>(leaf);
    }
  }
  return takes;
}

}  // namespace

Values plan_places(const Graph& graph, const std::vector<Lowered>& lowered, Executable& executable) {
  Values v;
  const std::map<Ref, Life> life = lifetimes(lowered);
  const std::map<Ref, int> takes = donations(graph, lowered, life);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const GraphNode& n = graph.nodes[i];
    const int node = static_cast<int>(i);
    if (n.scalar >= 0) v.places[{node, 0}] = {Place::Kind::kScalar, n.scalar, 0};
    for (size_t o = 0; n.leaf >= 0 && o < n.outs.size(); ++o) {
      v.places[{node, static_cast<int>(o)}] = {Place::Kind::kLeaf, n.leaf + static_cast<int>(o), 0};
      executable.memory.leaf_bytes += n.outs[o].bytes();
    }
  }
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    const Ref r = graph.outputs[i];
    Executable::Output out;
    out.bytes = graph.meta(r).bytes();
    const GraphNode& n = graph.nodes[static_cast<size_t>(r.node)];
    if (n.leaf >= 0) {
      out.is_leaf = n.leaf + r.out;
    } else if (const auto seen = v.places.find(r); seen != v.places.end() && seen->second.kind == Place::Kind::kOutput) {
      out.same_as = seen->second.index;
    } else if (n.scalar >= 0) {
      out.scalar = n.scalar;
    } else {
      v.places[r] = {Place::Kind::kOutput, static_cast<int>(i), 0};
      if (const auto t = takes.find(r); t != takes.end()) {
        out.takes_leaf = t->second;
      } else {
        executable.memory.output_bytes += out.bytes;
      }
    }
    executable.outputs.push_back(out);
  }
  // The rest shares the arena: values by lifetime, temporaries for their own step.
  std::vector<memory::Interval> intervals;
  std::vector<Ref> owners;
  for (const auto& [ref, l] : life) {
    if (v.places.count(ref)) continue;
    intervals.push_back({l.begin, l.end + 1, static_cast<uint64_t>(graph.meta(ref).bytes())});
    owners.push_back(ref);
  }
  for (size_t s = 0; s < lowered.size(); ++s) {
    for (const int64_t bytes : lowered[s].temp_bytes) {
      intervals.push_back({static_cast<int64_t>(s), static_cast<int64_t>(s) + 1, static_cast<uint64_t>(bytes)});
    }
  }
  const memory::Plan plan = memory::plan_memory(intervals);
  executable.memory.arena_bytes = static_cast<int64_t>(plan.peak);
  executable.memory.lower_bound_bytes = static_cast<int64_t>(plan.lower_bound);
  for (size_t i = 0; i < owners.size(); ++i) v.places[owners[i]] = {Place::Kind::kArena, 0, static_cast<int64_t>(plan.offsets[i])};
  for (size_t i = 0; i < intervals.size(); ++i) {
    const uint64_t aligned = (intervals[i].bytes + memory::kPlanAlignment - 1) / memory::kPlanAlignment * memory::kPlanAlignment;
    v.arena.push_back({intervals[i].begin, intervals[i].end, static_cast<int64_t>(aligned), static_cast<int64_t>(plan.offsets[i]),
                       i < owners.size() ? owners[i] : Ref{}});
  }
  size_t next = owners.size();
  for (const Lowered& l : lowered) {
    std::vector<Place> temps;
    for (size_t t = 0; t < l.temp_bytes.size(); ++t) {
      temps.push_back({Place::Kind::kArena, 0, static_cast<int64_t>(plan.offsets[next++])});
    }
    v.temps.push_back(std::move(temps));
  }
  return v;
}

}  // namespace bgl::compiler
