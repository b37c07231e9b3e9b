// Any bytes are a tokenizer or an error; a tokenizer encodes any text to ids of its vocabulary, and decodes any of them.
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "base/testing/fuzz.h"
#include "text/tokenizers/tokenizer.h"

using bgl::fuzz_failed;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const char* folder = std::getenv("TMPDIR");
  const bool json = size > 0 && data[0] == '{';
  const std::string path =
      std::string(folder ? folder : "/tmp") + "/bgl_tokenizer_fuzz_" + std::to_string(::getpid()) + (json ? ".json" : ".model");
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  const auto tokenizer = bgl::text::load_tokenizer(path);
  ::unlink(path.c_str());
  if (!tokenizer.ok()) {
    if (tokenizer.status().message().empty()) fuzz_failed("an error without a message");
    return 0;
  }
  const std::string text = "ab a<m> \xFFz The " + std::string(reinterpret_cast<const char*>(data), std::min<size_t>(size, 200));
  const std::vector<int32_t> ids = (*tokenizer)->encode(text);
  for (const int32_t id : ids) {
    if (id < 0 || id >= (*tokenizer)->vocab_size()) fuzz_failed("an id outside the vocabulary");
  }
  (*tokenizer)->decode(ids);
  bgl::fuzz_canary(json && ids.size() > 3);
  return 0;
}
