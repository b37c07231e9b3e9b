// Checks that a function keeps the rules of ir.h: every operand is defined before its use and in scope, types and shapes agree,
// and constants are in range. What passes, every printer can print.
#pragma once

#include "base/status.h"
#include "lang/ir.h"

namespace bgl::lang {

// The first fault, as "[kernel NAME] FILE:LINE: what is wrong"; FILE:LINE is left out where the inst has none.
Status verify(const Function& fn);

// "1x16xf32", "i64", "*bf16".
std::string type_text(const Type& t);

}  // namespace bgl::lang
