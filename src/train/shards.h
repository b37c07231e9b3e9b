// The training shards of `bgl prep tokenize` (prep/tokenize.h), as a run and an evaluation ask for them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "prep/tokenize.h"

namespace bgl::train {

struct ShardSet {
  std::string dir;
  prep::Manifest manifest;
  std::string tokenizer_json;

  // Checks the manifest and the tokenizer.
  static Result<ShardSet> read(const std::string& dir);
  // Checks every file of every shard; kDataLoss names one. Calls tell(bytes read so far).
  Status verify(const std::function<void(int64_t)>& tell) const;
  std::vector<std::string> domains() const;
  // Paths without .bin; of one domain, or of all when it is empty. Reads the files once to compare them with the manifest's checksums;
  // a difference is kDataLoss. An error that lists the domains when there is none.
  Result<std::vector<std::string>> prefixes(const std::string& domain, const std::string& split) const;
  double bytes_per_token(const std::string& domain, const std::string& split) const;  // 0 when there are no tokens
};

}  // namespace bgl::train
