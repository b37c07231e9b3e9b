// The spine of the compiler: compile() names every stage in order, evaluate() is the way from pending tensors to numbers.
#include "compiler/compile.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "base/log.h"
#include "compiler/emit.h"
#include "compiler/passes.h"
#include "compiler/plan.h"
#include "lang/kernel.h"

namespace bgl::compiler {
namespace {

double thread_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

Lowered lowered_of(const Graph& graph, const Group& group, const Emission& e) {
  Lowered l{group, e.inputs, e.outputs, {}, {}};
  const auto& operands = e.lowering->operands();
  for (size_t i = e.inputs.size() + e.outputs.size(); i < operands.size(); ++i) {
    l.temp_bytes.push_back(e.lowering->roots()[i] == static_cast<int>(i) ? operands[i].meta.bytes() : 0);
  }
  if (group.elementwise) {
    // Element i of an output depends on element i of the inputs alone, so any row-major input of its size may give its memory.
    for (size_t o = 0; o < e.outputs.size(); ++o) {
      for (size_t i = 0; i < e.inputs.size(); ++i) {
        const ops::Operand& in = operands[i];
        const bool row_major = in.layout.contiguous() && in.layout.offset == 0 && in.layout.shape == graph.meta(e.outputs[o]).shape;
        const bool seen_once = std::count(e.inputs.begin(), e.inputs.end(), e.inputs[i]) == 1;
        if (row_major && seen_once && in.meta.dtype == graph.meta(e.outputs[o]).dtype) l.in_place.push_back({static_cast<int>(o), static_cast<int>(i)});
      }
    }
  } else {
    const ops::OpDef* op = graph.nodes[static_cast<size_t>(group.nodes[0])].op;
    for (const auto& [o, i] : op->in_place) {
      const ops::Operand& in = operands[static_cast<size_t>(i)];
      if (in.layout.contiguous() && in.layout.offset == 0) l.in_place.push_back({o, i});
    }
  }
  return l;
}

ops::Machine machine_for_lowering() {
  const lang::MachineInfo& m = lang::machine();
  return {m.vector_floats, m.registers, m.threads};
}

// Launches of one group with every operand's place filled in.
Status link_group(const Graph& graph, const Lowered& l, const Emission& e, const std::vector<Place>& temps, const Values& values,
                  Executable& executable) {
  const auto& operands = e.lowering->operands();
  std::vector<Place> places;
  for (const Ref& r : e.inputs) places.push_back(values.places.at(r));
  for (const Ref& r : e.outputs) places.push_back(values.places.at(r));
  places.insert(places.end(), temps.begin(), temps.end());
  for (size_t i = 0; i < operands.size(); ++i) places[i] = places[static_cast<size_t>(e.lowering->roots()[i])];
  const GraphNode& first = graph.nodes[static_cast<size_t>(l.group.nodes[0])];
  for (const ops::Launch& launch : e.lowering->launches()) {
    Step step;
    step.function = launch.kernel;
    step.grid = launch.grid;
    step.host = launch.host;
    step.name = e.name;
    step.where = first.source ? first.source->where : "";
    if (!launch.kernel) {
      for (const Place& p : places) step.slots.push_back({ops::Slot::Kind::kPointer, p, 0, 0});
    } else {
      BGL_ASSIGN(step.kernel, lang::compile_kernel(*launch.kernel));
    }
    for (const ops::Slot& s : launch.slots) {
      StepSlot slot{s.kind, {}, s.i64, static_cast<float>(s.f32)};
      if (s.kind == ops::Slot::Kind::kPointer) {
        const ops::Operand& o = operands[static_cast<size_t>(s.operand.id)];
        slot.place = places[static_cast<size_t>(s.operand.id)];
        slot.place.offset += (o.layout.offset + s.element) * ops::dtype_size(o.meta.dtype);
      }
      step.slots.push_back(slot);
    }
    executable.steps.push_back(std::move(step));
  }
  return Status();
}

void add_costs(const Graph& graph, const Lowered& l, Executable& executable, size_t first_step) {
  for (const int n : l.group.nodes) {
    const GraphNode& node = graph.nodes[static_cast<size_t>(n)];
    if (!node.op || !node.op->cost || executable.steps.size() == first_step) continue;
    const ops::Cost c = node.op->cost(*node.source);
    executable.steps.back().flops += c.flops;
    executable.steps.back().bytes += c.bytes;
  }
}

struct Cache {
  std::mutex mutex;
  std::unordered_map<std::string, std::shared_ptr<const Executable>> executables;
  Counters counters;
  std::shared_ptr<const Executable> last;
  StepListener listener;
};
Cache& cache() {
  static auto* c = new Cache;
  return *c;
}

}  // namespace

bool eager() {
  static const bool on = [] {
    const char* v = std::getenv("BGL_EAGER");
    return v && std::string(v) != "0" && std::string(v) != "";
  }();
  return on;
}

Result<std::shared_ptr<const Executable>> compile(Graph graph, const Options& options) {
  auto executable = std::make_shared<Executable>();
  executable->leaves = graph.leaves.size();
  executable->scalars = graph.scalars.size();
  try {
    eliminate_common(graph);
    resolve_views(graph);
    const std::vector<Group> groups = form_groups(graph, options.fuse);
    const std::vector<bool> wanted = wanted_nodes(graph, groups);
    const ops::Machine machine = machine_for_lowering();
    std::vector<Emission> emissions;
    std::vector<Lowered> lowered;
    for (const Group& group : groups) {
      emissions.push_back(emit_group(graph, group, wanted, machine));
      lowered.push_back(lowered_of(graph, group, emissions.back()));
    }
    const Values values = plan_places(graph, lowered, *executable);
    for (size_t g = 0; g < groups.size(); ++g) {
      const size_t first_step = executable->steps.size();
      BGL_TRY(link_group(graph, lowered[g], emissions[g], values.temps[g], values, *executable));
      add_costs(graph, lowered[g], *executable, first_step);
    }
  } catch (const Error& e) {
    return e.status();
  }
  log_debug("compiled a graph: {} nodes, {} steps, arena {} bytes (lower bound {})", graph.nodes.size(), executable->steps.size(),
            executable->memory.arena_bytes, executable->memory.lower_bound_bytes);
  return std::shared_ptr<const Executable>(std::move(executable));
}

Status evaluate(const std::vector<ops::Value>& values) {
  std::vector<ops::Value> wanted;
  std::unordered_set<const ops::Node*> seen;
  for (const ops::Value& v : values) {
    // A node's outputs are computed together.
    if (v.node->computed() || !seen.insert(v.node.get()).second) continue;
    for (size_t o = 0; o < v.node->outs.size(); ++o) wanted.push_back({v.node, static_cast<int>(o)});
  }
  if (wanted.empty()) return Status();
  Cache& c = cache();
  std::lock_guard lock(c.mutex);
  Graph graph = capture(wanted);
  std::vector<std::shared_ptr<ops::Buffer>> leaves;
  std::vector<double> scalars;
  std::vector<uint8_t> types;
  for (const ops::Value& v : graph.leaves) leaves.push_back(v.node->buffers[static_cast<size_t>(v.index)]);
  for (const auto& n : graph.scalars) {
    scalars.push_back(n->scalar);
    types.push_back(static_cast<uint8_t>(n->outs[0].dtype));
  }
  auto& executable = c.executables[structure(graph)];
  if (!executable) {
    const double start = thread_seconds();
    auto compiled = compile(std::move(graph), {.fuse = !eager()});
    if (!compiled.ok()) return compiled.status();
    executable = std::move(compiled).value();
    c.counters.graphs_compiled++;
    c.counters.compile_seconds += thread_seconds() - start;
  }
  c.counters.graphs_run++;
  c.last = executable;
  try {
    BGL_ASSIGN(auto buffers, run(*executable, leaves, scalars, types, c.listener));
    for (size_t i = 0; i < wanted.size(); ++i) wanted[i].node->buffers.resize(wanted[i].node->outs.size());
    for (size_t i = 0; i < wanted.size(); ++i) wanted[i].node->buffers[static_cast<size_t>(wanted[i].index)] = std::move(buffers[i]);
  } catch (const Error& e) {
    return e.status();
  }
  // What a computed value came from is needed for gradients only.
  for (const ops::Value& v : wanted) {
    if (!v.node->requires_grad) v.node->inputs.clear();
  }
  return Status();
}

Counters counters() {
  std::lock_guard lock(cache().mutex);
  return cache().counters;
}
MemoryReport largest_plan() {
  std::lock_guard lock(cache().mutex);
  MemoryReport largest;
  for (const auto& [structure, executable] : cache().executables) {
    if (executable && executable->memory.arena_bytes >= largest.arena_bytes) largest = executable->memory;
  }
  return largest;
}
std::shared_ptr<const Executable> last_executable() {
  std::lock_guard lock(cache().mutex);
  return cache().last;
}
void set_step_listener(StepListener listener) {
  std::lock_guard lock(cache().mutex);
  cache().listener = std::move(listener);
}

}  // namespace bgl::compiler
