// LLVM IR text to an object file through libLLVM 19's C interface, opened at run time: nothing of LLVM is needed to build or
// start.
#pragma once

#include <string>
#include <string_view>

namespace bgl::device::cpu {

// Whether the library is there. Only looks for its file where possible: opening it costs tens of milliseconds.
// BGL_LLVM=FILE names another library.
bool llvm_present();
// Opens the library: why it cannot be used, or empty.
const std::string& llvm_failure();

// The bytes of the object, or empty and the reason in `error`. Thread-safe.
std::string compile_llvm(std::string_view text, const std::string& features, std::string& error);

}  // namespace bgl::device::cpu
