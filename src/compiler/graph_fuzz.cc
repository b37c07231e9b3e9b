// Bytes as changes of a random graph, before or after its views are resolved: the first chooses the graph, then four a change. The
// verifier never reads beyond what it checks, and whatever it accepts goes through all later passes.
#include <map>

#include "base/testing/fuzz.h"
#include "compiler/emit.h"
#include "compiler/graph_text.h"
#include "compiler/testing/random_graph.h"
#include "compiler/verify.h"
#include "lang/verify.h"

namespace bgl::compiler {
namespace {

// Graphs are built once; the nodes they were captured from stay as they are.
const Graph& graph_of(uint8_t seed) {
  static auto* graphs = new std::map<uint8_t, Graph>;
  const auto [at, first] = graphs->try_emplace(seed);
  if (first) at->second = capture(pending_behind(build(random_graph(seed))));
  return at->second;
}

struct Change {
  uint8_t what, where, index, value;
};

// An index a little beyond `size` at times, and a negative one.
int near(uint8_t value, size_t size) { return static_cast<int>(value % (size + 3)) - 1; }

template <typename T>
T* pick(std::vector<T>& list, uint8_t at) {
  return list.empty() ? nullptr : &list[at % list.size()];
}

void change_ref(Ref* r, const Change& c, size_t nodes) {
  if (r) *r = {near(c.value, nodes), c.what & 64 ? near(c.index, 2) : r->out};
}

void change_node(Graph& g, const Change& c) {
  GraphNode& n = g.nodes[c.where % g.nodes.size()];
  const GraphNode& other = g.nodes[c.value % g.nodes.size()];
  switch (c.what % 11) {
    case 0: change_ref(pick(n.inputs, c.index), c, g.nodes.size()); break;
    case 1: n.dead = !n.dead; break;
    case 2: n.op = other.op, n.source = other.source; break;
    case 3: n.source = other.source; break;
    case 4: n.outs = other.outs; break;
    case 5: n.inputs = other.inputs; break;
    case 6: n.leaf = near(c.value, g.leaves.size()); break;
    case 7: n.scalar = near(c.value, g.scalars.size()); break;
    case 8: change_ref(pick(g.outputs, c.where), c, g.nodes.size()); break;
    case 9: if (!g.donated.empty()) g.donated[c.where % g.donated.size()].flip(); break;
    default:
      if (ops::TensorMeta* m = pick(n.outs, c.index)) {
        if (int64_t* d = pick(m->shape, c.value)) *d = c.value % 9;
        else m->dtype = static_cast<ops::DType>(c.value % 8);
      }
  }
}

void change_access(Graph& g, const Change& c) {
  std::vector<Access>& of_node = g.access[c.where % g.access.size()];
  Access* a = pick(of_node, c.index);
  if (!a) return;
  switch (c.what % 6) {
    case 0: change_ref(&a->root, c, g.nodes.size()); break;
    case 1: a->layout.offset = static_cast<int8_t>(c.value); break;
    case 2: if (int64_t* s = pick(a->layout.strides, c.index)) *s = static_cast<int8_t>(c.value); break;
    case 3: if (!a->layout.strides.empty()) a->layout.strides.pop_back(); break;
    case 4: if (int64_t* d = pick(a->layout.shape, c.index)) *d = c.value % 9; break;
    default: of_node.pop_back();
  }
}

void change_groups(std::vector<Group>& groups, const Change& c) {
  Group* group = pick(groups, c.where);
  if (!group) return;
  switch (c.what % 4) {
    case 0: std::swap(*group, *pick(groups, c.value)); break;
    case 1: group->elementwise = !group->elementwise; break;
    case 2: if (int* n = pick(group->nodes, c.index)) *n = c.value - 1; break;
    default: {
      Group& other = *pick(groups, c.value);
      if (&other == group) break;
      group->nodes.insert(group->nodes.end(), other.nodes.begin(), other.nodes.end());
      other.nodes.clear();
    }
  }
}

// What a check says: true to go on. Everything before this point was accepted, so that a fault of `made` is the compiler's.
bool accepted(const Status& status) {
  if (!status.ok() && status.message().empty()) fuzz_failed("an error without a message");
  return status.ok();
}
void must_hold(const Status& status, const char* made, const Graph& graph) {
  if (!status.ok()) fuzz_failed(std::string(made) + " of an accepted graph: " + status.message() + "\n" + graph_text(graph));
}

void run(const uint8_t* data, size_t size) {
  if (size == 0) return;
  Graph graph = graph_of(data[0]);
  std::vector<Change> later;  // of layouts and groups
  for (data += 1, size -= 1; size >= 4; data += 4, size -= 4) {
    const Change c{data[0], data[1], data[2], data[3]};
    if (c.what & 128) {
      later.push_back(c);
    } else {
      change_node(graph, c);
    }
  }
  if (!accepted(verify(graph))) return;
  eliminate_common(graph);
  must_hold(verify(graph), "merging equal nodes", graph);
  transpose_products(graph);
  must_hold(verify(graph), "transposing products", graph);
  resolve_views(graph);
  must_hold(verify(graph), "resolving views", graph);
  std::vector<Group> groups = form_groups(graph, true);
  must_hold(verify(graph, groups), "forming groups", graph);
  for (const Change& c : later) c.what & 32 ? change_groups(groups, c) : change_access(graph, c);
  if (!accepted(verify(graph)) || !accepted(verify(graph, groups))) return;
  const std::vector<bool> wanted = wanted_nodes(graph, groups);
  for (const Group& group : groups) {
    const Emission e = emit_group(graph, group, wanted, {8, 16, 2});
    for (const ops::Launch& launch : e.lowering->launches()) {
      if (launch.kernel) must_hold(lang::verify(*launch.kernel), "the kernel", graph);
    }
    fuzz_canary(group.nodes.size() >= 3 && !later.empty());
  }
}

}  // namespace
}  // namespace bgl::compiler

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    bgl::compiler::run(data, size);
  } catch (const bgl::Error& e) {
    bgl::fuzz_failed("an accepted graph is refused later: " + e.status().message());
  }
  return 0;
}
