// C++ text to an object file by the system's compiler, for machines without libLLVM.
#pragma once

#include <string>
#include <string_view>

namespace bgl::device::cpu {

// Whether BGL_CXX, or else g++, clang++ or c++ is on the PATH.
bool cxx_present();

// The bytes of the object, or empty and the reason in `error`. Thread-safe; `features` as LLVM writes them become -m flags.
std::string compile_cxx(std::string_view text, const std::string& features, std::string& error);

}  // namespace bgl::device::cpu
