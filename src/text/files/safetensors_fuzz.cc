// Any bytes are a safetensors file or an error; the tensors of a file lie inside it, back to back, and written again give them
// again.
#include "base/testing/fuzz.h"
#include "text/files/safetensors.h"

using bgl::fuzz_failed;
using bgl::text::SafeTensors;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  const auto file = SafeTensors::parse({bytes, size}, "input");
  if (!file.ok()) {
    if (file.status().code() != bgl::Code::kDataLoss) fuzz_failed("not data loss: " + file.status().to_string());
    return 0;
  }
  std::string body;
  for (const auto& t : file->tensors()) {
    if (t.bytes.data() < bytes || t.bytes.data() + t.bytes.size() > bytes + size)
      fuzz_failed("tensor " + t.name + " lies outside the file");
    body.append(reinterpret_cast<const char*>(t.bytes.data()), t.bytes.size());
  }
  const auto header = bgl::text::safetensors_header("output", file->tensors(), file->metadata());
  if (!header.ok()) fuzz_failed("cannot be written again: " + header.status().message());
  const std::string written = *header + body;
  const auto again = SafeTensors::parse({reinterpret_cast<const std::byte*>(written.data()), written.size()}, "output");
  if (!again.ok()) fuzz_failed("cannot be read again: " + again.status().message());
  if (again->metadata() != file->metadata() || again->tensors().size() != file->tensors().size())
    fuzz_failed("another file was written");
  for (const auto& t : file->tensors()) {
    const auto* same = again->find(t.name);
    if (!same || same->shape != t.shape || same->dtype != t.dtype) fuzz_failed("tensor " + t.name + " changed");
  }
  bgl::fuzz_canary(file->tensors().size() >= 2);
  return 0;
}
