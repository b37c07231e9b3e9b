// The operators that only change the layout, for the table.
#pragma once

#include <span>

#include "ops/op_def.h"

namespace bgl::ops {
std::span<const OpDef> view_ops();
}
