#include "models/model.h"

#include "models/gpt2.h"
#include "models/llama.h"

namespace bgl::models {

PagedCache Model::make_cache(int64_t pages) const {
  PagedCache cache;
  for (int64_t l = 0; l < config_.layers; ++l) {
    cache.k.push_back(Tensor(ops::contiguous(ops::full({pages, config_.kv_heads, config_.head_width, 64}, 0))));
    cache.v.push_back(Tensor(ops::contiguous(ops::full({pages, config_.kv_heads, 64, config_.head_width}, 0))));
  }
  std::vector<Tensor> all = cache.k;
  all.insert(all.end(), cache.v.begin(), cache.v.end());
  framework::eval(all);
  return cache;
}

int64_t Model::parameter_bytes() {
  int64_t bytes = 0;
  for (const Tensor& p : parameters()) bytes += p.numel() * ops::dtype_size(p.dtype());
  for_each_module([&](framework::Module& m) {
    const auto* linear = dynamic_cast<const framework::Linear*>(&m);
    if (!linear) return;
    bytes += linear->packed().bytes();
    if (const auto& tables = linear->adapters(); tables.a.defined()) bytes += 4 * (tables.a.numel() + tables.b.numel());
  });
  return bytes;
}
int64_t page_bytes(const ModelConfig& c) { return c.layers * 2 * c.kv_heads * c.head_width * 64 * 4; }

std::unique_ptr<Model> make_model(const ModelConfig& config, Init init) {
  if (config.family == Family::kGpt2) return std::make_unique<Gpt2>(config, init);
  return std::make_unique<Llama>(config, init);
}

}  // namespace bgl::models
