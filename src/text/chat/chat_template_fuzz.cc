// Any bytes are a template or an error with its line; a template renders a conversation, or says why not, within its bounds, and twice the
// same.
#include "base/testing/fuzz.h"
#include "text/chat/chat_template.h"

using bgl::fuzz_failed;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 4096) return 0;
  const auto t = bgl::text::ChatTemplate::parse(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!t.ok()) {
    if (!t.status().message().starts_with("line ")) fuzz_failed("an error without its line: " + t.status().message());
    return 0;
  }
  const std::string variables =
      R"({"messages": [{"role": "user", "content": " hi "}, {"role": "assistant", "content": "a\nb"}, {"role": "user", "content": "c"}], "add_generation_prompt": true,
          "bos_token": "<s>", "eos_token": "</s>", "tools": [{"name": "f", "arguments": {"x": [1, 2.5, null]}}]})";
  const auto text = t->render(variables), again = t->render(variables);
  if (text.ok() != again.ok() || (text.ok() && *text != *again)) fuzz_failed("another text the second time");
  if (!text.ok() && text.status().message().empty()) fuzz_failed("an error without words");
  bgl::fuzz_canary(text.ok() && text->find("</s>") != std::string::npos);
  return 0;
}
