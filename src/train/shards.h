// A folder of tokenised shards, as `bgl prep tokenize` writes it:
//   manifest.json               what follows, and a checksum of every file
//   tokenizer.json              the tokenizer the ids belong to
//   <domain>/<split>.bin .idx   Megatron's format; splits: train, heldout
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace bgl::train {

struct Shard {
  std::string domain, split, licence;
  int64_t documents = 0, tokens = 0, bytes = 0;  // bytes of text
};

struct ShardSet {
  std::string dir;
  std::string hash;  // of manifest.json
  std::string tokenizer_json;
  int64_t vocab = 0;
  std::vector<Shard> shards;

  static Result<ShardSet> read(const std::string& dir);
  std::vector<std::string> domains() const;
  // Paths without .bin; of one domain, or of all when it is empty. An error that lists the domains when there is none.
  Result<std::vector<std::string>> prefixes(const std::string& domain, const std::string& split) const;
  double bytes_per_token(const std::string& domain, const std::string& split) const;  // 0 when there are no tokens
};

}  // namespace bgl::train
