#include "train/shards.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/hash.h"
#include "text/tokenizer.h"

namespace bgl::train {

Result<ShardSet> ShardSet::read(const std::string& dir) {
  Env& env = real_env();
  const std::string path = join_path(dir, "manifest.json");
  if (!env.exists(path)) return not_found("{} has no manifest.json: is it a folder that `bgl prep tokenize` wrote?", dir);
  BGL_ASSIGN(const std::string text, env.read_file(path));
  const auto j = nlohmann::json::parse(text, nullptr, false);
  ShardSet set{dir, hash128_hex(text), {}, 0, {}};
  try {
    for (const auto& s : j.at("shards")) {
      set.shards.push_back({s.at("domain"), s.at("split"), s.value("licence", ""), s.at("documents"), s.at("tokens"), s.at("bytes")});
    }
  } catch (const nlohmann::json::exception&) {
    return data_loss("{} is not a manifest of shards: run `bgl prep tokenize` again", path);
  }
  BGL_ASSIGN(set.tokenizer_json, env.read_file(join_path(dir, "tokenizer.json")));
  BGL_ASSIGN(const auto tokenizer, text::load_tokenizer(join_path(dir, "tokenizer.json")));
  set.vocab = tokenizer->vocab_size();
  return set;
}

std::vector<std::string> ShardSet::domains() const {
  std::vector<std::string> out;
  for (const Shard& s : shards) {
    if (std::find(out.begin(), out.end(), s.domain) == out.end()) out.push_back(s.domain);
  }
  return out;
}

Result<std::vector<std::string>> ShardSet::prefixes(const std::string& domain, const std::string& split) const {
  std::vector<std::string> out;
  for (const Shard& s : shards) {
    if (s.split == split && (domain.empty() || s.domain == domain)) out.push_back(join_path(dir, s.domain + "/" + s.split));
  }
  if (out.empty()) return not_found("{} has no {} shard of the domain '{}'; its domains are {}", dir, split, domain, fmt::join(domains(), ", "));
  return out;
}

double ShardSet::bytes_per_token(const std::string& domain, const std::string& split) const {
  double bytes = 0, tokens = 0;
  for (const Shard& s : shards) {
    if (s.split != split || (!domain.empty() && s.domain != domain)) continue;
    bytes += static_cast<double>(s.bytes);
    tokens += static_cast<double>(s.tokens);
  }
  return tokens > 0 ? bytes / tokens : 0;
}

}  // namespace bgl::train
