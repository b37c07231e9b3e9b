// A vocabulary of the clean documents' own.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/env.h"
#include "base/status.h"

namespace bgl::prep {

struct TrainTokenizerOptions {
  std::string clean, out;  // `out` gets tokenizer.json, and train.json with what it was made from
  int32_t vocab_size = 8192;
  int64_t memory_bytes = 0;  // for words; 0: no bound. What does not fit lies in `out` meanwhile
  std::function<void(const char* stage, int64_t done, int64_t total)> progress;
};
struct TrainTokenizerReport {
  bool nothing_to_do = false;
  int64_t documents = 0, text_bytes = 0;
  int32_t vocab_size = 0;
};
// Byte-level BPE over every kept training document, with the marks <|endoftext|>, <|user|>, <|assistant|> as ids 0, 1, 2.
Result<TrainTokenizerReport> train_tokenizer(Env& env, const TrainTokenizerOptions& options);

}  // namespace bgl::prep
