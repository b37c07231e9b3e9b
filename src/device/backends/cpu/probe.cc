#include "device/backends/cpu/probe.h"

#include <cpuid.h>

#include <cstdint>
#include <cstdlib>

namespace bgl::device::cpu {
namespace {

struct Leaf {
  unsigned a = 0, b = 0, c = 0, d = 0;
};
Leaf leaf(unsigned number, unsigned sub = 0) {
  Leaf l;
  __get_cpuid_count(number, sub, &l.a, &l.b, &l.c, &l.d);
  return l;
}
uint64_t enabled_state() {
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}
bool bit(unsigned word, int n) { return (word >> n) & 1; }

}  // namespace

Probe probe_cpu(std::string& warning) {
  const char* text = std::getenv("BGL_CPU");
  const std::string cap = text ? text : "";
  if (!cap.empty() && cap != "sse2" && cap != "avx2" && cap != "avx512") {
    warning = "BGL_CPU is '" + cap + "', not sse2, avx2 or avx512: ignored";
  }
  Probe p;
  p.features = "+sse2";
  const Leaf one = leaf(1), seven = leaf(7);
  const uint64_t state = bit(one.c, 27) ? enabled_state() : 0;  // osxsave
  const bool avx = bit(one.c, 28) && (state & 6) == 6;
  const bool avx2 = avx && bit(seven.b, 5) && bit(seven.b, 3) && bit(seven.b, 8) && bit(one.c, 23);  // avx2, bmi, bmi2, popcnt
  if (!avx2 || cap == "sse2") return p;
  p.isa = "avx2";
  p.vector_floats = 8;
  p.features = "+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+bmi,+bmi2";
  p.fma = bit(one.c, 12);
  p.f16c = bit(one.c, 29);
  if (p.fma) p.features += ",+fma";
  if (p.f16c) p.features += ",+f16c";
  // f, dq, cd, bw, vl: every server processor with AVX-512 has the five.
  const bool avx512 = (state & 0xe6) == 0xe6 && bit(seven.b, 16) && bit(seven.b, 17) && bit(seven.b, 28) && bit(seven.b, 30) &&
                      bit(seven.b, 31);
  if (!avx512 || !p.fma || !p.f16c || cap == "avx2") return p;
  p.isa = "avx512";
  p.vector_floats = 16;
  p.registers = 32;
  p.features += ",+avx512f,+avx512dq,+avx512cd,+avx512bw,+avx512vl";
  if (bit(seven.c, 11)) p.features += ",+avx512vnni";
  if (seven.a >= 1 && bit(leaf(7, 1).a, 5)) p.features += ",+avx512bf16";
  return p;
}

}  // namespace bgl::device::cpu
