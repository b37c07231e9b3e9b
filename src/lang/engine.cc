#include "lang/engine.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <new>

#include "lang/interpret.h"
#include "lang/print_cxx.h"
#include "lang/text.h"

namespace bgl::lang {
namespace {

constexpr const char* kFmaNote = "# fma rounds once\n";

bgl_status lower(void*, const char* text, uint64_t bytes, const char* dialect, const bgl_description* device, char** out,
                 uint64_t* out_bytes) {
  auto fn = parse_text({text, bytes});
  if (!fn.ok()) return BGL_INVALID;
  const auto printed = print_for(dialect, *fn, *device);
  if (!printed.ok()) return BGL_UNSUPPORTED;
  // Released by the host's free(), which expects 64-byte alignment.
  auto* memory = static_cast<char*>(::operator new (printed->size() + 1, std::align_val_t{64}, std::nothrow));
  if (!memory) return BGL_NO_MEMORY;
  std::memcpy(memory, printed->c_str(), printed->size() + 1);
  *out = memory, *out_bytes = printed->size();
  return BGL_OK;
}

// Parsing again at every launch would cost more than most launches: functions are kept by their text.
Result<std::shared_ptr<const Function>> parsed(std::string_view text) {
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<const Function>, std::less<>> functions;
  const std::lock_guard lock(mutex);
  const auto at = functions.find(text);
  if (at != functions.end()) return at->second;
  BGL_ASSIGN(Function fn, parse_text(text));
  auto shared = std::make_shared<const Function>(std::move(fn));
  functions.emplace(text, shared);
  return std::shared_ptr<const Function>(shared);
}

bgl_status interpret_service(void*, const char* text, uint64_t bytes, const int64_t grid[3], int64_t begin, int64_t end,
                             const uint64_t* slots, int32_t slot_count, char* error, uint64_t error_bytes) {
  const std::string_view tile(text, bytes);
  auto fn = parsed(tile);
  const Status status = fn.ok() ? interpret_range(**fn, {grid[0], grid[1], grid[2]}, begin, end,
                                                  {slots, static_cast<size_t>(slot_count)}, tile.starts_with(kFmaNote))
                                : fn.status();
  if (status.ok()) return BGL_OK;
  std::strncpy(error, status.message().c_str(), error_bytes - 1);
  error[error_bytes - 1] = '\0';
  return BGL_FAILED;
}

}  // namespace

LlvmTarget llvm_target(const bgl_description& d) {
  const auto has = [&](const char* feature) { return std::string_view(d.features).find(feature) != std::string_view::npos; };
  return {d.features, d.vector_floats, d.fma != 0, d.f16c != 0, d.vector_floats >= 8, d.vector_floats >= 16, has("+avx512vnni"), has("+avx512bf16")};
}

bool has_printer(const std::string& dialect) { return dialect == "llvm" || dialect == "c++" || dialect == "tile"; }

Result<std::string> print_for(const std::string& dialect, const Function& fn, const bgl_description& device) {
  if (dialect == "llvm") return print_llvm(fn, llvm_target(device));
  if (dialect == "c++") return print_cxx(fn, device.fma != 0);
  // Whether fma rounds once is the device's business, so the text carries it to the interpreter as a comment.
  if (dialect == "tile") return (device.fma ? kFmaNote : "") + to_text(fn, true);
  return make_status(Code::kUnimplemented, "no printer makes '{}'", dialect);
}

device::LanguageServices language_services() { return {lower, interpret_service}; }

}  // namespace bgl::lang
