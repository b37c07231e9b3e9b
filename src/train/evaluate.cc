#include "train/evaluate.h"

#include <cmath>

#include "framework/data.h"
#include "train/step.h"

namespace bgl::train {

Result<std::vector<DomainScore>> evaluate_domains(models::Model& model, const ShardSet& shards, int64_t block, int64_t max_windows) {
  if (block == 0) block = model.config().context;
  if (shards.manifest.vocab_size > model.config().vocab) {
    return invalid_argument("the shards' tokens go up to {}, the model knows {}: they do not belong together", shards.manifest.vocab_size, model.config().vocab);
  }
  std::vector<DomainScore> out;
  for (const std::string& domain : shards.domains()) {
    const auto prefixes = shards.prefixes(domain, "heldout");
    if (!prefixes.ok() && prefixes.status().code() == Code::kNotFound) continue;
    if (!prefixes.ok()) return prefixes.status();
    BGL_ASSIGN(const auto loader, framework::ShardLoader::open(*prefixes, block, 0));
    const int64_t windows = max_windows > 0 ? std::min(max_windows, loader.windows()) : loader.windows();
    const int64_t batch = std::max<int64_t>(1, 2048 / block);
    double total = 0;
    int64_t counted = 0;
    for (int64_t w = 0; w < windows; w += batch) {
      BGL_ASSIGN(const framework::Batch b, loader.in_order(w, std::min(batch, windows - w)));
      BGL_ASSIGN(const EvalResult r, evaluate_batch(model, b));
      total += r.loss * static_cast<double>(r.counted);
      counted += r.counted;
    }
    if (counted == 0) continue;
    DomainScore s{domain, total / static_cast<double>(counted), 0, counted};
    if (const double bytes = shards.bytes_per_token(domain, "heldout"); bytes > 0) s.bits_per_byte = s.loss / std::log(2.0) / bytes;
    out.push_back(s);
  }
  if (out.empty()) return not_found("{} has no held-out shards", shards.dir);
  return out;
}

}  // namespace bgl::train
