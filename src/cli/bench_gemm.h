// f32 matrix products of `bgl bench gemm`, ours beside OpenBLAS and oneDNN. The libraries are opened at run time where they are
// installed, each core type of theirs in a process of its own (PeerProcess), since both read it once from the environment.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace bgl::cli {

// The peer's process: opens `library` (libopenblas.so.0 or libdnnl.so.2) and answers each request "M N K SECONDS" with the
// least seconds of one product, gemm_check() of its result, and the library's name and version.
Status answer_gemm_requests(const std::string& library);

// The operands that both sides multiply, between -1 and 1.
std::vector<float> gemm_numbers(int64_t count, int64_t seed);
// One number that tells a wrong product.
double gemm_check(const float* c, int64_t count);

}  // namespace bgl::cli
