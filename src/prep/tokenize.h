// Clean documents to training shards.
//
//   SHARDS/<domain>/train.{bin,idx}, heldout.{bin,idx}   Megatron indexed datasets; a document ends with the end-of-text token;
//                                                        documents in an order drawn from their ids
//   SHARDS/tokenizer.json                                the tokenizer, copied
//   SHARDS/manifest.json                                 written last:
//     {"version": 2, "key": ..., "tokenizer": {"file", "hash", "vocab_size", "end_of_text"},
//      "shards": [{"domain", "split", "prefix", "documents", "tokens", "text_bytes", "bin_hash", "idx_hash", "licences"}],
//      "check": XXH3-128 of this text without this key}; version 1 had no check, and is read
//
// text_bytes counts the text without the end-of-text marks, so bits per byte = loss / ln 2 x tokens / text_bytes. Hashes are
// XXH3-64 of the files, 16 hex digits; the tokenizer's is XXH3-128 of tokenizer.json.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"

namespace bgl::prep {

struct Shard {
  std::string domain, split;  // "train" or "heldout"
  std::string prefix;         // "medicine/train": of the .bin and .idx below SHARDS
  int64_t documents = 0, tokens = 0, text_bytes = 0;
  std::string bin_hash, idx_hash;
  std::vector<std::string> licences;
};

struct Manifest {
  std::string key;
  std::string tokenizer_file, tokenizer_hash;  // the file is relative to SHARDS
  int64_t vocab_size = 0;
  int64_t end_of_text = -1;
  std::vector<Shard> shards;  // by domain, train before heldout
};
Result<Manifest> read_manifest(Env& env, const std::string& shards);
// Whether the folder has such a manifest, damaged or not.
bool holds_shards(Env& env, const std::string& dir);

// In OUT, while it is written.
inline constexpr const char* kTokensWork = "tokens.work";

struct TokenizeOptions {
  std::string clean, tokenizer, out;
  std::function<void(int64_t done, int64_t total)> progress;  // in files of CLEAN
};
struct TokenizeReport {
  bool nothing_to_do = false;
  int64_t documents = 0, tokens = 0;
};
// Depends on the documents and the tokenizer only. One file of CLEAN's tokens is held per thread; finished ones lie in
// OUT/tokens.work until the manifest is written, so a killed run goes on.
Result<TokenizeReport> tokenize(Env& env, const TokenizeOptions& options);

}  // namespace bgl::prep
