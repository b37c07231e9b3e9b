// The operators of attention.cc, for the table.
#pragma once

#include <span>

#include "ops/op_def.h"

namespace bgl::ops {
std::span<const OpDef> attention_ops();
}
