// The spine of the compiler: compile() names every stage in order, evaluate() is the way from pending tensors to numbers.
#include "compiler/compile.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "base/log.h"
#include "compiler/explain.h"
#include "lang/kernel.h"
#include "lang/later.h"

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

// Turns launches of one group into steps: every operand's place filled in.
class GroupLinker {
 public:
  GroupLinker(const Graph& graph, const Lowered& l, const Emission& e, const std::vector<Place>& temps, const Values& values) : emission_(e) {
    for (const Ref& r : e.inputs) places_.push_back(values.places.at(r));
    for (const Ref& r : e.outputs) places_.push_back(values.places.at(r));
    places_.insert(places_.end(), temps.begin(), temps.end());
    for (size_t i = 0; i < places_.size(); ++i) places_[i] = places_[static_cast<size_t>(e.lowering->roots()[i])];
    const GraphNode& first = graph.nodes[static_cast<size_t>(l.group.nodes[0])];
    where_ = first.source ? first.source->where : "";
  }

  Result<Step> step(const ops::Launch& launch) const {
    Step step = unlinked(launch);
    if (launch.kernel) {
      BGL_ASSIGN(step.kernel, lang::compile_kernel(*launch.kernel));
    }
    if (launch.choice) step.choice = choice(*launch.choice);
    return step;
  }

 private:
  Step unlinked(const ops::Launch& launch) const {
    Step step;
    step.function = launch.kernel;
    step.grid = launch.grid;
    step.host = launch.host;
    step.name = emission_.name;
    step.where = where_;
    if (!launch.kernel) {
      for (const Place& p : places_) step.slots.push_back({ops::Slot::Kind::kPointer, p, 0, 0});
    }
    for (const ops::Slot& s : launch.slots) {
      StepSlot slot{s.kind, {}, s.i64, static_cast<float>(s.f32)};
      if (s.kind == ops::Slot::Kind::kPointer) {
        const ops::Operand& o = emission_.lowering->operands()[static_cast<size_t>(s.operand.id)];
        slot.place = places_[static_cast<size_t>(s.operand.id)];
        slot.place.offset += (o.layout.offset + s.element) * ops::dtype_size(o.meta.dtype);
      }
      step.slots.push_back(slot);
    }
    return step;
  }

  std::shared_ptr<const StepChoice> choice(const ops::LaunchChoice& of) const {
    auto out = std::make_shared<StepChoice>(StepChoice{of.choice, of.work, of.count, {}});
    for (const std::vector<ops::Launch>& launches : of.others) {
      std::vector<Step>& steps = out->others.emplace_back();
      for (const ops::Launch& launch : launches) {
        steps.push_back(unlinked(launch));
        steps.back().later = &lang::later_kernel(launch.kernel);
      }
    }
    return out;
  }

  const Emission& emission_;
  std::vector<Place> places_;
  std::string where_;
};

// Every group's launches, and what the memory plan needs to know of them.
void emit_groups(const PassState& s, std::vector<Emission>& emissions, std::vector<Lowered>& lowered) {
  const std::vector<bool> wanted = wanted_nodes(s.graph, s.groups);
  const ops::Machine machine = machine_for_lowering();
  for (const Group& group : s.groups) {
    emissions.push_back(emit_group(s.graph, group, wanted, machine));
    lowered.push_back(lowered_of(s.graph, group, emissions.back()));
  }
}

Status link_groups(const PassState& s, const std::vector<Emission>& emissions, const std::vector<Lowered>& lowered, const Values& values,
                   Executable& executable) {
  for (size_t g = 0; g < s.groups.size(); ++g) {
    const GroupLinker linker(s.graph, lowered[g], emissions[g], values.temps[g], values);
    for (const ops::Launch& launch : emissions[g].lowering->launches()) {
      BGL_ASSIGN(Step step, linker.step(launch));
      executable.steps.push_back(std::move(step));
    }
  }
  return Status();
}

// Executables of the structures that ran last.
class Executables {
 public:
  // Empty where there is none; yours to fill until the next call.
  std::shared_ptr<const Executable>& at(const std::string& structure) {
    const auto [it, fresh] = kept_.try_emplace(structure);
    it->second.used = ++uses_;
    if (fresh && kept_.size() > kMost) {
      kept_.erase(std::min_element(kept_.begin(), kept_.end(), [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
    }
    return it->second.executable;
  }

 private:
  static constexpr size_t kMost = 1000;  // of a large model they take a megabyte each
  struct Kept {
    std::shared_ptr<const Executable> executable;
    uint64_t used = 0;
  };
  std::unordered_map<std::string, Kept> kept_;
  uint64_t uses_ = 0;
};

struct Cache {
  std::mutex mutex;
  Executables executables;
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
  BGL_ASSIGN(Pipeline pipeline, Pipeline::create());
  PassState s{std::move(graph), {}};
  std::vector<Emission> emissions;
  std::vector<Lowered> lowered;
  Values values;
  const auto always = [](auto pass) { return [pass] { return pass(), Status(); }; };  // a pass that cannot fail
  try {
    BGL_TRY(pipeline.run_pass("common", s, always([&] { eliminate_common(s.graph); }), [] {}));
    BGL_TRY(pipeline.run_pass("transpose", s, always([&] { transpose_products(s.graph); }), [] {}));
    BGL_TRY(pipeline.run_pass("views", s, always([&] { resolve_views(s.graph); })));
    BGL_TRY(pipeline.run_pass("fuse", s, always([&] { s.groups = form_groups(s.graph, options.fuse); }), [&] { s.groups = form_groups(s.graph, false); }));
    BGL_TRY(pipeline.run_pass("emit", s, always([&] { emit_groups(s, emissions, lowered); })));
    BGL_TRY(pipeline.run_pass("plan", s, always([&] { values = plan_places(s.graph, lowered, *executable); })));
    BGL_TRY(pipeline.run_pass("link", s, [&] { return link_groups(s, emissions, lowered, values, *executable); }));
    if (options.explain) executable->explanation = explain(s, lowered, emissions, values, *executable);
  } catch (const Error& e) {
    return e.status();
  }
  log_debug("compiled a graph: {} nodes, {} steps, arena {} bytes (lower bound {}); {}", s.graph.nodes.size(), executable->steps.size(),
            executable->memory.arena_bytes, executable->memory.lower_bound_bytes, pipeline.times_text());
  return std::shared_ptr<const Executable>(std::move(executable));
}

namespace {

// What is not computed yet of `values`: whole nodes, for a node's outputs are computed together.
std::vector<ops::Value> not_computed(const std::vector<ops::Value>& values) {
  std::vector<ops::Value> wanted;
  std::unordered_set<const ops::Node*> seen;
  for (const ops::Value& v : values) {
    if (v.node->computed() || (values.size() > 1 && !seen.insert(v.node.get()).second)) continue;
    for (size_t o = 0; o < v.node->outs.size(); ++o) wanted.push_back({v.node, static_cast<int>(o)});
  }
  return wanted;
}

// The executable of the structure of what is pending, compiled where there is none. Under the cache's mutex.
Result<std::shared_ptr<const Executable>> executable_for(Cache& c, const Pending& pending) {
  auto& executable = c.executables.at(structure(pending));
  const bool explain = c.listener != nullptr;
  if (!executable || (explain && !executable->explanation)) {
    const double start = thread_seconds();
    BGL_ASSIGN(executable, compile(capture(pending), {.fuse = !eager(), .explain = explain}));
    c.counters.graphs_compiled++;
    c.counters.compile_seconds += thread_seconds() - start;
  }
  return executable;
}

}  // namespace

Result<MemoryReport> prepare(const std::vector<ops::Value>& values) {
  std::vector<ops::Value> wanted = not_computed(values);
  if (wanted.empty()) return MemoryReport();
  Cache& c = cache();
  std::lock_guard lock(c.mutex);
  BGL_ASSIGN(const auto executable, executable_for(c, pending_behind(std::move(wanted))));
  return executable->memory;
}

Status evaluate(const std::vector<ops::Value>& values) {
  std::vector<ops::Value> wanted = not_computed(values);
  if (wanted.empty()) return Status();
  Cache& c = cache();
  std::lock_guard lock(c.mutex);
  const Pending pending = pending_behind(std::move(wanted));
  BGL_ASSIGN(c.last, executable_for(c, pending));
  std::vector<std::shared_ptr<ops::Buffer>> leaves;
  leaves.reserve(c.last->leaves);
  std::vector<double> scalars;
  std::vector<uint8_t> types;
  for (const auto& n : pending.order) {
    leaves.insert(leaves.end(), n->buffers.begin(), n->buffers.end());
    if (n->computed() || n->op->op_class != ops::OpClass::kScalar) continue;
    scalars.push_back(n->scalar);
    types.push_back(static_cast<uint8_t>(n->outs[0].dtype));
  }
  c.counters.graphs_run++;
  try {
    BGL_ASSIGN(auto buffers, run(*c.last, leaves, scalars, types, c.listener));
    for (const ops::Value& v : pending.outputs) v.node->buffers.resize(v.node->outs.size());
    for (size_t i = 0; i < buffers.size(); ++i) {
      const ops::Value& v = pending.outputs[i];
      v.node->buffers[static_cast<size_t>(v.index)] = std::move(buffers[i]);
    }
  } catch (const Error& e) {
    return e.status();
  }
  // What a computed value came from is needed for gradients only.
  for (const ops::Value& v : pending.outputs) {
    if (!v.node->requires_grad) v.node->inputs.clear();
  }
  return Status();
}

Counters counters() {
  std::lock_guard lock(cache().mutex);
  return cache().counters;
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
