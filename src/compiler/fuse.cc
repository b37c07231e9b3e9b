// Grouping. Every node starts as a group of its own; an elementwise node then joins the groups of its elementwise producers of the
// same shape. Two groups may merge when no third group lies on a path between them, else the merged kernel would wait for itself.
#include <algorithm>
#include <map>
#include <queue>
#include <set>

#include "compiler/passes.h"

namespace bgl::compiler {
namespace {

constexpr size_t kMaxGroupNodes = 48;
constexpr size_t kMaxGroupInputs = 24;

class Fuser {
 public:
  explicit Fuser(const Graph& graph) : graph_(graph) {
    const size_t n = graph.nodes.size();
    words_ = (n + 63) / 64;
    group_.resize(n);
    members_.resize(n);
    direct_.resize(n);
    viewed_.resize(n);
    ancestors_.assign(n, std::vector<uint64_t>(words_, 0));
    for (size_t i = 0; i < n; ++i) {
      group_[i] = static_cast<int>(i);
      members_[i] = {static_cast<int>(i)};
      for (const Ref& r : graph.nodes[i].inputs) {
        const Ref from = graph.access[static_cast<size_t>(r.node)][static_cast<size_t>(r.out)].root;
        const int root = from.node;
        direct_[i].insert(root);
        if (from != r) viewed_[i].insert(root);
        merge_bits(ancestors_[i], ancestors_[static_cast<size_t>(root)]);
        set_bit(ancestors_[i], root);
      }
    }
  }

  void fuse() {
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (!elementwise(static_cast<int>(i))) continue;
      const std::set<int> producers = direct_[i];
      for (const int p : producers) {
        const int a = find(p);
        const int b = find(static_cast<int>(i));
        if (a != b && elementwise(p) && graph_.nodes[static_cast<size_t>(p)].outs[0].shape == graph_.nodes[i].outs[0].shape &&
            may_merge(a, b)) {
          merge(a, b);
        }
      }
    }
  }

  bool elementwise(int i) const {
    const GraphNode& n = graph_.nodes[static_cast<size_t>(i)];
    return n.leaf < 0 && n.scalar < 0 && (!n.op || n.op->op_class == ops::OpClass::kElementwise);
  }

  // Groups that compute something, each after what it reads; among the ready ones the earliest in program order.
  std::vector<Group> ordered() {
    const size_t n = graph_.nodes.size();
    std::vector<std::set<int>> users(n);
    std::vector<int> waiting(n, 0);
    for (size_t g = 0; g < n; ++g) {
      if (group_[g] != static_cast<int>(g)) continue;
      std::set<int> inputs;
      for (const int d : direct_[g]) inputs.insert(find(d));
      inputs.erase(static_cast<int>(g));
      waiting[g] = static_cast<int>(inputs.size());
      for (const int d : inputs) users[static_cast<size_t>(d)].insert(static_cast<int>(g));
    }
    auto later = [&](int a, int b) { return members_[static_cast<size_t>(a)].back() > members_[static_cast<size_t>(b)].back(); };
    std::priority_queue<int, std::vector<int>, decltype(later)> ready(later);
    for (size_t g = 0; g < n; ++g) {
      if (group_[g] == static_cast<int>(g) && waiting[g] == 0) ready.push(static_cast<int>(g));
    }
    std::vector<Group> out;
    while (!ready.empty()) {
      const int g = ready.top();
      ready.pop();
      const GraphNode& first = graph_.nodes[static_cast<size_t>(members_[static_cast<size_t>(g)][0])];
      const bool is_view = first.leaf < 0 && first.op && first.op->op_class == ops::OpClass::kView;
      if (first.leaf < 0 && first.scalar < 0 && !is_view) {
        out.push_back({members_[static_cast<size_t>(g)], elementwise(members_[static_cast<size_t>(g)][0])});
      }
      for (const int u : users[static_cast<size_t>(g)]) {
        if (--waiting[static_cast<size_t>(u)] == 0) ready.push(u);
      }
    }
    return out;
  }

 private:
  static void set_bit(std::vector<uint64_t>& bits, int i) { bits[static_cast<size_t>(i) / 64] |= uint64_t{1} << (i % 64); }
  static bool has_bit(const std::vector<uint64_t>& bits, int i) { return bits[static_cast<size_t>(i) / 64] >> (i % 64) & 1; }
  static void merge_bits(std::vector<uint64_t>& into, const std::vector<uint64_t>& from) {
    for (size_t w = 0; w < into.size(); ++w) into[w] |= from[w];
  }
  int find(int node) const { return group_[static_cast<size_t>(node)]; }

  // Whoever waits for one member of a group waits for all, so that the first tells.
  bool reaches(int from_group, int to_group) const {
    return has_bit(ancestors_[static_cast<size_t>(to_group)], members_[static_cast<size_t>(from_group)][0]);
  }
  bool path_through_third(int from, int to) const {
    for (const int d : direct_[static_cast<size_t>(to)]) {
      const int x = find(d);
      if (x != from && x != to && reaches(from, x)) return true;
    }
    return false;
  }
  bool may_merge(int a, int b) const {
    const auto &ma = members_[static_cast<size_t>(a)], &mb = members_[static_cast<size_t>(b)];
    if (ma.size() + mb.size() > kMaxGroupNodes) return false;
    std::set<int> outside = direct_[static_cast<size_t>(a)];
    outside.insert(direct_[static_cast<size_t>(b)].begin(), direct_[static_cast<size_t>(b)].end());
    if (outside.size() > kMaxGroupInputs + ma.size() + mb.size()) return false;
    // What one member reads through a view another must have written to memory before: not within one kernel.
    for (const int m : ma) {
      if (viewed_[static_cast<size_t>(b)].count(m)) return false;
    }
    for (const int m : mb) {
      if (viewed_[static_cast<size_t>(a)].count(m)) return false;
    }
    return !path_through_third(a, b) && !path_through_third(b, a);
  }
  // `b` reads from `a`, so whoever waits for b has waited for a and all that a waits for already.
  void merge(int a, int b) {
    std::vector<size_t> learning;
    for (size_t g = 0; g < graph_.nodes.size(); ++g) {
      const int id = static_cast<int>(g);
      if (find(id) == id && id != a && id != b && reaches(a, id) && !reaches(b, id)) learning.push_back(g);
    }
    const int keep = std::min(a, b), gone = std::max(a, b);
    auto& members = members_[static_cast<size_t>(keep)];
    const auto k = static_cast<size_t>(keep), o = static_cast<size_t>(gone);
    for (const int m : members_[o]) group_[static_cast<size_t>(m)] = keep;
    members.insert(members.end(), members_[o].begin(), members_[o].end());
    std::sort(members.begin(), members.end());
    members_[o].clear();
    direct_[k].insert(direct_[o].begin(), direct_[o].end());
    viewed_[k].insert(viewed_[o].begin(), viewed_[o].end());
    merge_bits(ancestors_[k], ancestors_[o]);
    for (const size_t g : learning) {
      merge_bits(ancestors_[g], ancestors_[k]);
      for (const int m : members) set_bit(ancestors_[g], m);
    }
  }

  const Graph& graph_;
  size_t words_ = 0;
  std::vector<int> group_;                        // node -> the group that stands for it
  std::vector<std::vector<int>> members_;         // group -> nodes
  std::vector<std::set<int>> direct_;             // group -> nodes it reads
  std::vector<std::set<int>> viewed_;             // group -> nodes it reads through a view
  std::vector<std::vector<uint64_t>> ancestors_;  // group -> every node it waits for
};

}  // namespace

std::vector<Group> form_groups(const Graph& graph, bool fuse) {
  Fuser fuser(graph);
  if (fuse) fuser.fuse();
  return fuser.ordered();
}

}  // namespace bgl::compiler
