// The text form of tile IR: what the dialect "tile" is, what a kernel is known by, and what people read. One statement a line:
//
//   kernel scale(x: *f32, y: *f32, n: i64) {
//     %3 = program_id 0 : i64
//     %4 = const 16 : i64
//     %5 = mul %3, %4 : i64
//     %6 = sub %2, %5 : i64
//     %7 = const 0 : i64
//     %8 = const 1 : i64
//     %9 = load %0, %5, %7, %8, _, %6 other 0 : 1x16xf32   # pointer, offset, row and column stride, row and column limit
//     ...
//     %12 = for %13 in %7, %2, %8 carry %14 = %9 {
//       %15 = add %14, %14 : 1x16xf32
//       yield %15
//     }
//     %16 = result %12, 0 : 1x16xf32
//     store %1, %5, %7, %8, _, %6, %16 : 1x16xf32
//     if %17 {
//       ...
//     } else {
//       ...
//     }
//   }
//
// %0, %1, ... are the parameters, then values in order of appearance. "_" is an absent operand. A comment runs from # to the
// end of the line, except that "@ file:line" there says where the statement came from.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "lang/ir.h"

namespace bgl::lang {

// Canonical: two functions have the same text exactly if they are the same but for the numbering and the source lines, which
// `lines` adds.
std::string to_text(const Function& fn, bool lines = false);

// The function a text says, verified. A fault is "tile text line N: what is wrong", or what verify() finds.
Result<Function> parse_text(std::string_view text);

}  // namespace bgl::lang
