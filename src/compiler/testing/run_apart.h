// Runs a graph the slow and suspicious way, for tests: every value and temporary lies in a buffer of exactly its size, and each
// kernel goes through a runner that the caller picks, the checking interpreter above all. Nothing is planned, donated or
// reused.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "lang/interpret.h"
#include "ops/node.h"

namespace bgl::compiler {

// `buffers` are all that the kernel may touch; those that nothing has written yet are marked so.
using KernelRunner = std::function<Status(const lang::Function& kernel, std::array<int64_t, 3> grid,
                                          std::span<const uint64_t> slots, std::span<const lang::Buffer> buffers)>;

// One buffer for each of `outputs`, whose nodes stay as pending as they were. Errors: what the runner reports, after the
// operator.
Result<std::vector<std::shared_ptr<ops::Buffer>>> run_apart(const std::vector<ops::Value>& outputs, bool fuse,
                                                            const KernelRunner& runner);

// The interpreter with its checks of bounds, uninitialised reads and races between programs.
Status interpret_checked(const lang::Function& kernel, std::array<int64_t, 3> grid, std::span<const uint64_t> slots,
                         std::span<const lang::Buffer> buffers);

}  // namespace bgl::compiler
