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
  const ModelConfig &a = *config, &b = *again;
  if (a.family != b.family || a.vocab != b.vocab || a.context != b.context || a.layers != b.layers || a.heads != b.heads ||
      a.kv_heads != b.kv_heads || a.width != b.width || a.head_width != b.head_width || a.hidden != b.hidden ||
      a.norm_eps != b.norm_eps || a.rope_theta != b.rope_theta || a.bias != b.bias || a.attention_bias != b.attention_bias ||
      a.tied != b.tied || a.activation != b.activation) {
    fuzz_failed("another configuration was written:\n" + json);
  }
  bgl::fuzz_canary(a.family == bgl::models::Family::kLlama);
  return 0;
}
