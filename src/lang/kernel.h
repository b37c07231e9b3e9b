// Compiling and launching kernels: what everything above lang/ calls. The device is the process's cpu, opened at the first use.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "lang/ir.h"

namespace bgl::lang {

// A compiled kernel. Owned by the process-wide cache and never destroyed, so pointers to it stay valid.
class Kernel {
 public:
  const std::string& name() const;
  size_t parameter_count() const;
  struct State;
  explicit Kernel(std::unique_ptr<State> state);
  ~Kernel();

 private:
  friend Status launch(const Kernel&, std::array<int64_t, 3>, std::span<const uint64_t>);
  std::unique_ptr<State> state_;
};

// The kernel for `fn`: from this process's cache (by its canonical text), from the cache on disk, or compiled, which takes some
// milliseconds. Threads may compile different kernels at the same time; a second caller of the same one waits for the first.
Result<const Kernel*> compile_kernel(const Function& fn);

// Runs every program of the grid (pid0 fastest) on the threads of thread_pool() and returns when all are done; a short launch
// stays in the calling thread. `slots` holds one 8-byte slot per parameter: an address, an i64, or the bits of an f32 in the
// low half.
Status launch(const Kernel& kernel, std::array<int64_t, 3> grid, std::span<const uint64_t> slots);

inline uint64_t slot(const void* p) { return reinterpret_cast<uint64_t>(p); }
inline uint64_t slot(int64_t v) { return static_cast<uint64_t>(v); }
uint64_t slot(float v);

// What kernels are shaped for.
struct MachineInfo {
  int vector_floats = 4;  // f32 lanes of a vector register
  int registers = 16;     // vector registers
  int threads = 1;
  std::string isa;  // "avx2"
  bool fma = false;
  std::string engine;  // what runs kernels: "llvm", "c++" or "tile" (the interpreter)
};
const MachineInfo& machine();

struct KernelCounters {
  int64_t compiled = 0;  // by this process
  int64_t from_disk = 0;
  double compile_cpu_seconds = 0;  // of the compiling threads
  std::vector<double> each;        // CPU seconds of each compilation
};
KernelCounters kernel_counters();

}  // namespace bgl::lang
