// Prints a kernel as plain C++17 text for a system compiler: loops over small arrays, no vector types, no includes. The entry
// is the one of print_llvm.h. To be compiled with -O2 -ffp-contract=off -fno-strict-aliasing.
#pragma once

#include <string>

#include "lang/ir.h"

namespace bgl::lang {

// `fma`: the compiler will have the instruction (-mfma); otherwise a * b + c is printed.
std::string print_cxx(const Function& fn, bool fma);

}  // namespace bgl::lang
