// Llama and Qwen2: RMSNorm, rotary positions, grouped-query attention, SwiGLU; Qwen2 has biases in q, k and v. Ref: arXiv:2302.13971,
// 2307.09288, 2407.10671. Rotary pairs are (i, i + D/2), Hugging Face's layout of the q and k projections.
#pragma once

#include "models/model.h"
#include "models/rope.h"

namespace bgl::models {

class LlamaBlock : public framework::Module {
 public:
  LlamaBlock(const ModelConfig& config, Init init);
  Tensor forward(const Tensor& x_BTC, const Tensor& positions, const RotaryTables& tables);
  Tensor step(const Tensor& x_NC, const PagedStep& step, const RotaryTables& tables, Tensor& k_pages, Tensor& v_pages);
  framework::RMSNorm input_layernorm;
  framework::Linear q_proj, k_proj, v_proj, o_proj;
  framework::RMSNorm post_attention_layernorm;
  framework::Linear gate_proj, up_proj, down_proj;

 private:
  Tensor mlp(const Tensor& x, const framework::AdapterRows* adapted = nullptr);
  const ModelConfig config_;
};

class Llama : public Model {
 public:
  Llama(const ModelConfig& config, Init init);
  Tensor forward(const Tensor& ids) override;
  Tensor step(const PagedStep& step, PagedCache& cache) override;
  void draw_weights() override;
  std::vector<std::pair<std::string, framework::Linear*>> adaptable() override;

 private:
  framework::Embedding embed_tokens_;
  std::vector<std::unique_ptr<LlamaBlock>> layers_;
  framework::RMSNorm norm_;
  framework::Linear lm_head_;
  RotaryTables tables_;
};

}  // namespace bgl::models
