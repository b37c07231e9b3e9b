// The readers behind load_tokenizer(), one per file format.
#pragma once

#include <memory>
#include <string>

#include "text/tokenizers/tokenizer.h"

namespace bgl::text {

Result<std::unique_ptr<Tokenizer>> load_tokenizer_json(const std::string& path);
Result<std::unique_ptr<Tokenizer>> load_gpt2(const std::string& vocabulary_path, const std::string& merges_path);
// `path` is SentencePiece's protobuf (*.model).
Result<std::unique_ptr<Tokenizer>> load_sentencepiece(const std::string& path);
// `path` is llama2.c's tokenizer.bin.
Result<std::unique_ptr<Tokenizer>> load_llama2c(const std::string& path);

}  // namespace bgl::text
