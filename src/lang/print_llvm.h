// Prints a kernel as LLVM IR text (LLVM 19, x86-64). The text defines one function and calls no outside symbol:
//   void NAME(ptr args, i64 pid0_begin, i64 pid0_end, i64 pid1, i64 pid2)
// runs the programs pid0_begin <= pid0 < pid0_end of one (pid1, pid2). `args` points to one 8-byte slot per parameter, in
// order: a pointer, an i64, or an f32 in the low four bytes.
#pragma once

#include <string>

#include "lang/ir.h"

namespace bgl::lang {

struct LlvmTarget {
  std::string features;   // as LLVM writes them: "+avx2,+fma,+f16c"
  int vector_floats = 4;  // f32 lanes of a vector register
  bool fma = false;
  bool f16c = false;
  bool avx2 = false;    // masked vector loads of 4 and 8 byte elements
  bool avx512 = false;  // masked vector access of every element size
  bool vnni = false;    // dot4 of 16 lanes is one instruction
  bool bf16_dots = false;  // and so is dot2
};

// A tile of R x C becomes R values of <C x T>, so that a row lies in as few registers as the machine has room for.
std::string print_llvm(const Function& fn, const LlvmTarget& target);

}  // namespace bgl::lang
