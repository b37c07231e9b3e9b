// The operators that work element by element, for the table.
#pragma once

#include <span>

#include "ops/op_def.h"

namespace bgl::ops {
std::span<const OpDef> elementwise_ops();
}
