// What this processor can do, asked of it (cpuid and the operating system's state mask), never taken from its name.
#pragma once

#include <string>

namespace bgl::device::cpu {

struct Probe {
  std::string isa = "sse2";  // "sse2", "avx2" or "avx512"
  bool fma = false;
  bool f16c = false;
  int vector_floats = 4;
  int registers = 16;
  std::string features;  // as LLVM writes them
};

// BGL_CPU=sse2|avx2 caps it, for tests and for making one machine behave as another; another value is said in `warning`.
Probe probe_cpu(std::string& warning);

}  // namespace bgl::device::cpu
