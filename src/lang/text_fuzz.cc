// Any text is a tile kernel or an error; a kernel's canonical text says the same kernel, and every printer can print it.
#include "base/testing/fuzz.h"
#include "lang/print_cxx.h"
#include "lang/print_llvm.h"
#include "lang/text.h"
#include "lang/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto fn = bgl::lang::parse_text({reinterpret_cast<const char*>(data), size});
  if (!fn.ok()) {
    if (fn.status().message().empty()) bgl::fuzz_failed("an error without a message");
    return 0;
  }
  if (const auto s = bgl::lang::verify(*fn); !s.ok()) bgl::fuzz_failed("parse_text gave what verify refuses: " + s.message());
  const std::string text = bgl::lang::to_text(*fn);
  const auto again = bgl::lang::parse_text(text);
  if (!again.ok()) bgl::fuzz_failed("the canonical text does not parse: " + again.status().message() + "\n" + text);
  if (bgl::lang::to_text(*again) != text) bgl::fuzz_failed("the canonical text says another kernel:\n" + text);
  if (bgl::lang::print_cxx(*fn, true).empty() || bgl::lang::print_llvm(*fn, {}).empty())
    bgl::fuzz_failed("nothing was printed");
  bgl::fuzz_canary(text.find(" = for ") != std::string::npos);
  return 0;
}
