// What every fuzzer (x_fuzz.cc beside x.cc) is written with. A fuzzer is one function over bytes that ends the process when a
// property does not hold. Under preset fuzz libFuzzer drives it; otherwise fuzz_main.cc replays the corpus and seeded changes
// of it in ctest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace bgl {

[[noreturn]] inline void fuzz_failed(const std::string& what) {
  std::fprintf(stderr, "fuzz: %s\n", what.c_str());
  std::abort();
}

// The canary: with BGL_FUZZ_CANARY=1 each fuzzer has a bug planted where only an input that gets through its parser can reach
// it, and a test wants it found.
inline void fuzz_canary(bool reached) {
  static const bool planted = std::getenv("BGL_FUZZ_CANARY") != nullptr;
  if (planted && reached) fuzz_failed("the planted bug was found");
}

}  // namespace bgl
