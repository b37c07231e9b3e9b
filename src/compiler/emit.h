// Lowering of groups: kernel operators write their launches, elementwise groups become one generated kernel.
#pragma once

#include <memory>

#include "compiler/passes.h"
#include "ops/lowering.h"

namespace bgl::compiler {

// Launches of one group. Operand order: inputs, outputs, temporaries, as in ops::Lowering.
struct Emission {
  std::unique_ptr<ops::Lowering> lowering;
  std::vector<Ref> inputs;   // root of each input operand
  std::vector<Ref> outputs;  // root of each output operand
  std::string name;
};

// Which nodes somebody outside their group reads, and results: their values go to memory.
std::vector<bool> wanted_nodes(const Graph& graph, const std::vector<Group>& groups);

// `wanted` as wanted_nodes() gives it.
Emission emit_group(const Graph& graph, const Group& group, const std::vector<bool>& wanted, const ops::Machine& machine);

// The kernel of an elementwise group: emit_elementwise.cc.
void emit_elementwise(const Graph& graph, const Group& group, const std::vector<int>& stored, std::vector<Access> inputs,
                      ops::Lowering& lowering);

}  // namespace bgl::compiler
