// Any text is a config.json or an error; a configuration written and read again is the same.
#include "base/testing/fuzz.h"
#include "models/config.h"

using bgl::fuzz_failed;
using bgl::models::ModelConfig;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto config = ModelConfig::parse({reinterpret_cast<const char*>(data), size}, "input");
  if (!config.ok()) {
    if (config.status().message().rfind("input", 0) != 0)
      fuzz_failed("an error without its file: " + config.status().message());
    return 0;
  }
  if (!config->check("input").ok()) fuzz_failed("a configuration that does not pass its own check");
  const std::string json = config->to_json();
  const auto again = ModelConfig::parse(json, "output");
  if (!again.ok()) fuzz_failed("cannot be read again: " + again.status().message() + "\n" + json);
  // Written anew, key by key: a text that still says what it said would be given back as it is.
  ModelConfig changed = *config;
  changed.unknown_json = "{}";
  const std::string anew = changed.to_json();
  auto reread = ModelConfig::parse(anew, "output");
  if (!reread.ok()) fuzz_failed("cannot be read again: " + reread.status().message() + "\n" + anew);
  reread->unknown_json = changed.unknown_json;
  if (*again != *config || *reread != changed) fuzz_failed("another configuration was written:\n" + anew);
  bgl::fuzz_canary(config->family == bgl::models::Family::kLlama);
  return 0;
}
