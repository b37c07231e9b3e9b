#include "train/shards.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/hash.h"

namespace bgl::train {
namespace {

Status changed(const std::string& path) {
  return data_loss("{}: its checksum is not the manifest's: take a good copy, or remove it and run 'bgl prep tokenize' again", path);
}

Status check_file(const std::string& path, const std::string& hash) {
  const auto view = real_env().map(path);
  if (!view.ok() && view.status().code() == Code::kNotFound) {
    return data_loss("{}: the manifest names it and it is not there: run 'bgl prep tokenize' again", path);
  }
  if (!view.ok()) return view.status();
  if (hex64(hash64((*view)->bytes())) == hash) return Status();
  return changed(path);
}

}  // namespace

Result<ShardSet> ShardSet::read(const std::string& dir) {
  Env& env = real_env();
  if (!env.exists(join_path(dir, "manifest.json"))) return not_found("{} has no manifest.json: is it a folder that `bgl prep tokenize` wrote?", dir);
  ShardSet set{dir, {}, {}};
  BGL_ASSIGN(set.manifest, prep::read_manifest(env, dir));
  const std::string tokenizer = join_path(dir, set.manifest.tokenizer_file);
  BGL_ASSIGN(set.tokenizer_json, env.read_file(tokenizer));
  if (hash128_hex(set.tokenizer_json) != set.manifest.tokenizer_hash) return changed(tokenizer);
  return set;
}

Status ShardSet::verify(const std::function<void(int64_t)>& tell) const {
  int64_t done = 0;
  for (const prep::Shard& s : manifest.shards) {
    for (const auto& [file, hash] : {std::pair{s.prefix + ".bin", s.bin_hash}, std::pair{s.prefix + ".idx", s.idx_hash}}) {
      const std::string path = join_path(dir, file);
      BGL_TRY(check_file(path, hash));
      BGL_ASSIGN(const FileStat info, real_env().stat(path));
      tell(done += info.size);
    }
  }
  return Status();
}

std::vector<std::string> ShardSet::domains() const {
  std::vector<std::string> out;
  for (const prep::Shard& s : manifest.shards) {
    if (std::find(out.begin(), out.end(), s.domain) == out.end()) out.push_back(s.domain);
  }
  return out;
}

Result<std::vector<std::string>> ShardSet::prefixes(const std::string& domain, const std::string& split) const {
  std::vector<std::string> out;
  for (const prep::Shard& s : manifest.shards) {
    if (s.split != split || (!domain.empty() && s.domain != domain)) continue;
    const std::string prefix = join_path(dir, s.prefix);
    BGL_TRY(check_file(prefix + ".bin", s.bin_hash));
    BGL_TRY(check_file(prefix + ".idx", s.idx_hash));
    out.push_back(prefix);
  }
  if (out.empty()) return not_found("{} has no {} shard of the domain '{}'; its domains are {}", dir, split, domain, fmt::join(domains(), ", "));
  return out;
}

double ShardSet::bytes_per_token(const std::string& domain, const std::string& split) const {
  double bytes = 0, tokens = 0;
  for (const prep::Shard& s : manifest.shards) {
    if (s.split != split || (!domain.empty() && s.domain != domain)) continue;
    bytes += static_cast<double>(s.text_bytes);
    tokens += static_cast<double>(s.tokens);
  }
  return tokens > 0 ? bytes / tokens : 0;
}

}  // namespace bgl::train
