// GPT-2. Ref: Radford et al. 2019; the order in which weights are made and drawn is nanoGPT's, so that a seed means the same.
#pragma once

#include "models/model.h"

namespace bgl::models {

class Gpt2Block : public framework::Module {
 public:
  Gpt2Block(const ModelConfig& config, Init init);
  Tensor forward(const Tensor& x_BTC);
  Tensor step(const Tensor& x_NC, const PagedStep& step, Tensor& k_pages, Tensor& v_pages);
  framework::LayerNorm ln_1;
  framework::Linear c_attn, c_proj;
  framework::LayerNorm ln_2;
  framework::Linear c_fc, mlp_c_proj;

 private:
  Tensor mlp(const Tensor& x, const framework::AdapterRows* adapted = nullptr);
  const ModelConfig config_;
};

class Gpt2 : public Model {
 public:
  Gpt2(const ModelConfig& config, Init init);
  Tensor forward(const Tensor& ids) override;
  Tensor step(const PagedStep& step, PagedCache& cache) override;
  void draw_weights() override;
  std::vector<std::pair<std::string, framework::Linear*>> adaptable() override;

 private:
  framework::Embedding wte_, wpe_;
  std::vector<std::unique_ptr<Gpt2Block>> blocks_;
  framework::LayerNorm ln_f_;
  framework::Linear lm_head_;
};

}  // namespace bgl::models
