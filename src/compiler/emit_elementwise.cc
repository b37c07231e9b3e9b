// One kernel for a group of elementwise nodes: what one node hands to another stays in registers.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "compiler/emit.h"
#include "lang/builder.h"
#include "ops/kernels/pointwise.h"

namespace bgl::compiler {
namespace {

// Where an operand of a node comes from: a node of the group (by its place in the group) or an input of the kernel.
struct Source {
  bool inside = false;
  size_t index = 0;
};

std::vector<std::vector<Source>> wiring(const Graph& graph, const Group& group, const std::vector<Access>& inputs) {
  std::map<int, size_t> place;
  for (size_t i = 0; i < group.nodes.size(); ++i) place[group.nodes[i]] = i;
  std::vector<std::vector<Source>> out;
  for (const int i : group.nodes) {
    std::vector<Source> sources;
    for (const Ref& r : graph.nodes[static_cast<size_t>(i)].inputs) {
      const Access& a = graph.access[static_cast<size_t>(r.node)][static_cast<size_t>(r.out)];
      const auto it = place.find(r.node);
      if (it != place.end() && a.root == r) {
        sources.push_back({true, it->second});
        continue;
      }
      const auto k = static_cast<size_t>(std::find(inputs.begin(), inputs.end(), a) - inputs.begin());
      BGL_CHECK(k < inputs.size(), "an operand of {} is no input of its group", graph.nodes[static_cast<size_t>(i)].op ? graph.nodes[static_cast<size_t>(i)].op->name : "copy");
      sources.push_back({false, k});
    }
    out.push_back(std::move(sources));
  }
  return out;
}

// The code of the group as text: equal texts mean equal kernels.
std::string group_key(const Graph& graph, const Group& group, const std::vector<std::vector<Source>>& sources,
                      const std::vector<int>& stored) {
  std::string key;
  for (size_t i = 0; i < group.nodes.size(); ++i) {
    const GraphNode& n = graph.nodes[static_cast<size_t>(group.nodes[i])];
    key += n.op ? n.op->name : "copy";
    for (const Source& s : sources[i]) key += fmt::format("{}{}", s.inside ? '%' : '$', s.index);
    if (n.source) {
      for (const int64_t v : n.source->attrs.ints) key += fmt::format(",{}", v);
      for (const double v : n.source->attrs.numbers) key += fmt::format(",{:a}", v);
    }
    key += ops::dtype_name(n.outs[0].dtype);
    key += ';';
  }
  for (const int s : stored) key += fmt::format(">{}", std::find(group.nodes.begin(), group.nodes.end(), s) - group.nodes.begin());
  return key;
}

}  // namespace

void emit_elementwise(const Graph& graph, const Group& group, const std::vector<int>& stored, std::vector<Access> inputs,
                      ops::Lowering& lowering) {
  const auto sources = wiring(graph, group, inputs);
  std::vector<ops::OperandId> ins, outs;
  for (size_t k = 0; k < inputs.size(); ++k) ins.push_back(lowering.in(static_cast<int>(k)));
  for (size_t k = 0; k < stored.size(); ++k) outs.push_back(lowering.out(static_cast<int>(k)));
  ops::kernels::lower_pointwise(
      lowering, group_key(graph, group, sources, stored), ins, outs, [&](lang::Builder& b, std::span<const lang::Val> in) {
        std::vector<lang::Val> made;
        for (size_t i = 0; i < group.nodes.size(); ++i) {
          const GraphNode& n = graph.nodes[static_cast<size_t>(group.nodes[i])];
          std::vector<lang::Val> operands;
          for (const Source& s : sources[i]) operands.push_back(s.inside ? made[s.index] : in[s.index]);
          made.push_back(n.op ? n.op->emit(b, operands, *n.source) : operands[0]);
          // Arithmetic on bools, which registers hold as integers: true + true is true.
          const bool bools = n.op && n.outs[0].dtype == ops::DType::kBool && graph.meta(n.inputs[0]).dtype == ops::DType::kBool;
          if (bools) made.back() = b.cast(b.cmp_ne(made.back(), b.cast(b.const_i64(0), made.back().elem())), lang::Elem::i64);
        }
        std::vector<lang::Val> results;
        for (const int s : stored) {
          results.push_back(made[static_cast<size_t>(std::find(group.nodes.begin(), group.nodes.end(), s) - group.nodes.begin())]);
        }
        return results;
      });
}

}  // namespace bgl::compiler
