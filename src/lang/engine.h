// Between the language and a device: which printer serves a dialect, and the services that a plugin may ask of the language.
#pragma once

#include <string>

#include "base/status.h"
#include "device/device.h"
#include "lang/ir.h"
#include "lang/print_llvm.h"

namespace bgl::lang {

LlvmTarget llvm_target(const bgl_description& device);

bool has_printer(const std::string& dialect);
// The text of `fn` in "llvm", "c++" or "tile" for the device.
Result<std::string> print_for(const std::string& dialect, const Function& fn, const bgl_description& device);

// lower() and interpret() for Device::open.
device::LanguageServices language_services();

}  // namespace bgl::lang
