// The meaning of tile IR, run: slow, exact, and checked. Every printer is tested against it, and it runs kernels where a
// machine can compile none.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "base/status.h"
#include "lang/ir.h"

namespace bgl::lang {

// Memory that a kernel may touch through the pointer parameter that lies in it.
struct Buffer {
  const void* data = nullptr;
  uint64_t bytes = 0;
  bool initialised = true;  // false: reading what no program has written is an error
};

struct InterpretOptions {
  // With buffers given, an access outside them, an uninitialised read and a race between two programs are errors. Without,
  // memory is taken as it is and only scratch is checked.
  std::span<const Buffer> buffers;
  bool fma = true;  // false: a * b + c is rounded twice, as on a machine without the instruction
};

// Runs every program of the grid in order, pid0 fastest. The first fault ends it:
//   [kernel NAME] FILE:LINE: OP: what is wrong, in program (p0, p1, p2)
Status interpret(const Function& fn, std::array<int64_t, 3> grid, std::span<const uint64_t> slots,
                 const InterpretOptions& options = {});

// Programs [begin, end) of the grid, for one thread of several; nothing outside scratch is checked. `fn` has been verified.
Status interpret_range(const Function& fn, std::array<int64_t, 3> grid, int64_t begin, int64_t end,
                       std::span<const uint64_t> slots, bool fma);

}  // namespace bgl::lang
