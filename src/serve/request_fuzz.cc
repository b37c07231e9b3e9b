// Any bytes are a request or an error with words; what is read of a request stays within what its schema says. Bodies are tried as a
// completion and as text to tokenise, and what they hold of a JSON schema becomes a grammar that does not hang.
#include <nlohmann/json.hpp>

#include "base/testing/fuzz.h"
#include "serve/api_request.h"
#include "serve/automaton.h"
#include "serve/api_schema.h"
#include "text/tokenizers/char_tokenizer.h"

using bgl::fuzz_failed;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static auto made = bgl::text::make_char_tokenizer("abcdefghijklmnopqrstuvwxyz {}[]\":,.0123456789-+\\", {"<s>"});
  static const auto& tokenizer = *made;
  static const auto vocabulary = std::make_shared<const bgl::serve::ByteVocabulary>(*tokenizer);
  const std::string body(reinterpret_cast<const char*>(data), std::min<size_t>(size, 1 << 16));
  nlohmann::json j;
  for (const auto* schema : {&bgl::serve::completion_schema(), &bgl::serve::chat_schema(), &bgl::serve::tokenize_schema(), &bgl::serve::detokenize_schema()}) {
    auto e = bgl::serve::parse_body(body, j);
    if (!e) e = bgl::serve::check_schema(j, *schema);
    if (e && e->message.empty()) fuzz_failed("an error without words");
    if (e || schema != &bgl::serve::completion_schema()) continue;
    bgl::serve::ApiRequest r;
    e = bgl::serve::read_completion(body, j, *tokenizer, r);
    if (e && e->message.empty()) fuzz_failed("an error without words");
    if (e) continue;
    if (r.prompts.empty() || r.prompts.size() != r.at_start.size() || r.n < 1 || r.n > 128 || r.max_tokens < 0 || r.logprobs > 20) fuzz_failed("a request beyond its schema");
    for (const auto& p : r.prompts) {
      if (p.empty()) fuzz_failed("a prompt without tokens");
    }
    if (!r.grammar) continue;
    bgl::serve::Pushdown p(std::make_shared<bgl::serve::Automaton>(r.grammar, vocabulary));
    std::vector<float> logits(static_cast<size_t>(tokenizer->vocab_size()));
    p.mask(logits, 50, {});
    bgl::fuzz_canary(p.tokens_to_end() < 40);
  }
  return 0;
}
