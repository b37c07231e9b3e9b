#pragma once

#include <span>

#include "ops/op_def.h"

namespace bgl::ops {

std::span<const OpDef> creation_ops();  // leaf, scalar, arange, contiguous

}  // namespace bgl::ops
