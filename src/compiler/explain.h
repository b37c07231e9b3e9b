// Makes the Explanation of a graph at the end of its compilation.
#pragma once

#include <memory>
#include <vector>

#include "compiler/emit.h"
#include "compiler/explanation.h"
#include "compiler/pipeline.h"
#include "compiler/plan.h"

namespace bgl::compiler {

// `lowered` and `emissions` have an entry a group of `state`; `executable` is linked already.
std::shared_ptr<const Explanation> explain(const PassState& state, const std::vector<Lowered>& lowered,
                                           const std::vector<Emission>& emissions, const Values& values,
                                           const Executable& executable);

}  // namespace bgl::compiler
