// Any bytes unpack to what both ways of unpacking agree on, within their limits, or are refused with words.
#include <algorithm>

#include "base/testing/fuzz.h"
#include "text/files/byte_stream.h"
#include "text/files/decompress.h"

using bgl::fuzz_failed;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int64_t kMost = 1 << 16;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto whole = bgl::text::decompress(bytes, "f", kMost);
  const auto stream = bgl::text::unpack_stream(bgl::text::view_stream(bytes), "f", {.free_bytes = kMost, .ratio = 1});
  const auto read = bgl::text::read_all(*stream, "f", kMost);
  for (const auto* r : {&whole, &read}) {
    if (!r->ok() && !r->status().message().starts_with("f: ")) fuzz_failed("an error that does not say where: " + r->status().message());
    if (r->ok() && static_cast<int64_t>((*r)->size()) > std::max<int64_t>(kMost, static_cast<int64_t>(size))) fuzz_failed("more than was allowed");
  }
  if (whole.ok() && read.ok() && *whole != *read) fuzz_failed("the two ways of unpacking differ");
  bgl::fuzz_canary(whole.ok() && *whole != bytes && whole->ends_with("and more"));
  return 0;
}
