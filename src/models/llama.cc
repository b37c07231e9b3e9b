#include "models/llama.h"

#include <cmath>

#include "framework/functional.h"
#include "framework/random.h"

namespace bgl::models {
namespace {

namespace fw = framework;

// Llama's attention_bias is in all four projections, Qwen2's leaves the output projection out.
bool output_bias(const ModelConfig& c) { return c.family == Family::kLlama && c.attention_bias; }

}  // namespace

LlamaBlock::LlamaBlock(const ModelConfig& c, Init init)
    : input_layernorm(c.width, c.norm_eps),
      q_proj(c.width, c.heads * c.head_width, c.attention_bias, init),
      k_proj(c.width, c.kv_heads * c.head_width, c.attention_bias, init),
      v_proj(c.width, c.kv_heads * c.head_width, c.attention_bias, init),
      o_proj(c.heads * c.head_width, c.width, output_bias(c), init),
      post_attention_layernorm(c.width, c.norm_eps),
      gate_proj(c.width, c.hidden, c.mlp_bias, init),
      up_proj(c.width, c.hidden, c.mlp_bias, init),
      down_proj(c.hidden, c.width, c.mlp_bias, init),
      config_(c) {
  register_module("self_attn.q_proj", q_proj);
  register_module("self_attn.k_proj", k_proj);
  register_module("self_attn.v_proj", v_proj);
  register_module("self_attn.o_proj", o_proj);
  register_module("mlp.gate_proj", gate_proj);
  register_module("mlp.up_proj", up_proj);
  register_module("mlp.down_proj", down_proj);
  register_module("input_layernorm", input_layernorm);
  register_module("post_attention_layernorm", post_attention_layernorm);
}

Tensor LlamaBlock::mlp(const Tensor& x, const fw::AdapterRows* adapted) {
  ops::Label label("mlp");
  const Tensor h = post_attention_layernorm.forward(x);
  return down_proj.forward(fw::silu(gate_proj.forward(h, adapted)) * up_proj.forward(h, adapted), adapted);
}

Tensor LlamaBlock::forward(const Tensor& x_BTC, const Tensor& positions, const RotaryTables& tables) {
  const int64_t b = x_BTC.size(0), t = x_BTC.size(1), h = config_.heads, g = config_.kv_heads, d = config_.head_width;
  Tensor x = x_BTC;
  {
    ops::Label label("attention");
    const Tensor n = input_layernorm.forward(x);
    auto turn = [&](const Tensor& y, int64_t heads) {
      return fw::rope(y.reshape({b, t, heads, d}).transpose(1, 2), positions, tables.cos, tables.sin, false);
    };
    const Tensor v = v_proj.forward(n).reshape({b, t, g, d}).transpose(1, 2);
    const Tensor y = fw::scaled_dot_product_attention(turn(q_proj.forward(n), h), turn(k_proj.forward(n), g), v,
                                                      1 / std::sqrt(static_cast<double>(d)), true);
    x = x + o_proj.forward(y.transpose(1, 2).reshape({b, t, h * d}));
  }
  return x + mlp(x);
}

Tensor LlamaBlock::step(const Tensor& x_NC, const PagedStep& s, const RotaryTables& tables, Tensor& k_pages, Tensor& v_pages) {
  const int64_t n = x_NC.size(0), h = config_.heads, g = config_.kv_heads, d = config_.head_width;
  const Tensor normed = input_layernorm.forward(x_NC);
  auto turn = [&](const Tensor& y, int64_t heads) {
    const Tensor r = fw::rope(y.reshape({1, n, heads, d}).transpose(1, 2), s.positions.reshape({1, n}), tables.cos, tables.sin, false);
    return r.transpose(1, 2).reshape({n, heads, d}).value();
  };
  const fw::AdapterRows* adapted = s.adapted();
  const ops::Value q = turn(q_proj.forward(normed, adapted), h);
  k_pages.set_value(ops::write_pages(k_pages.value(), turn(k_proj.forward(normed, adapted), g), s.slots.value(), true));
  v_pages.set_value(ops::write_pages(v_pages.value(), v_proj.forward(normed, adapted).reshape({n, g, d}).value(), s.slots.value(), false));
  const Tensor y(ops::paged_attention(q, k_pages.value(), v_pages.value(), s.pages.value(), s.lengths.value(),
                                      1 / std::sqrt(static_cast<double>(d))));
  const Tensor x = x_NC + o_proj.forward(y.reshape({n, h * d}), adapted);
  return x + mlp(x, adapted);
}

Llama::Llama(const ModelConfig& c, Init init)
    : Model(c), embed_tokens_(c.vocab, c.width, init), norm_(c.width, c.norm_eps), lm_head_(0, 0, false, Init::kNone), tables_(make_rotary_tables(c)) {
  register_module("model.embed_tokens", embed_tokens_);
  for (int64_t i = 0; i < c.layers; ++i) {
    layers_.push_back(std::make_unique<LlamaBlock>(c, init));
    register_module(fmt::format("model.layers.{}", i), *layers_.back());
  }
  register_module("model.norm", norm_);
  lm_head_.weight = c.tied ? embed_tokens_.weight : fw::Linear(c.width, c.vocab, false, init).weight;
  register_module("lm_head", lm_head_);
}

Tensor Llama::forward(const Tensor& ids) {
  const int64_t t = ids.size(1);
  BGL_REQUIRE(t <= config_.context, "[{}] a sequence of {} tokens is longer than the model's context of {}", family_name(config_.family), t, config_.context);
  Tensor x = embed_tokens_.forward(ids);
  const Tensor positions = Tensor::arange(t);
  for (size_t i = 0; i < layers_.size(); ++i) {
    ops::Label label(fmt::format("layers.{}", i));
    x = layers_[i]->forward(x, positions, tables_);
  }
  return lm_head_.forward(norm_.forward(x));
}

Tensor Llama::step(const PagedStep& s, PagedCache& cache) {
  Tensor x = embed_tokens_.forward(s.ids);
  for (size_t i = 0; i < layers_.size(); ++i) {
    ops::Label label(fmt::format("layers.{}", i));
    x = layers_[i]->step(x, s, tables_, cache.k[i], cache.v[i]);
  }
  return lm_head_.forward(norm_.forward(fw::embedding(s.rows, x)));
}

void Llama::draw_weights() {
  ops::NoGrad no_grad;
  auto redraw = [](Tensor& t, double std) { t.copy_(fw::normal(t.shape(), 0, std)); };
  const double residual = 0.02 / std::sqrt(2.0 * static_cast<double>(config_.layers));
  redraw(embed_tokens_.weight, 0.02);
  for (const auto& l : layers_) {
    for (fw::Linear* p : {&l->q_proj, &l->k_proj, &l->v_proj, &l->gate_proj, &l->up_proj}) redraw(p->weight, 0.02);
    for (fw::Linear* p : {&l->o_proj, &l->down_proj}) redraw(p->weight, residual);
    for (fw::Linear* p : {&l->q_proj, &l->k_proj, &l->v_proj, &l->o_proj, &l->gate_proj, &l->up_proj, &l->down_proj}) {
      if (p->bias.defined()) p->bias.zero_();
    }
  }
  if (!config_.tied) redraw(lm_head_.weight, 0.02);
}

std::vector<std::pair<std::string, fw::Linear*>> Llama::adaptable() {
  std::vector<std::pair<std::string, fw::Linear*>> out;
  for (size_t i = 0; i < layers_.size(); ++i) {
    LlamaBlock& l = *layers_[i];
    const std::string at = fmt::format("model.layers.{}.", i);
    out.push_back({at + "self_attn.q_proj", &l.q_proj});
    out.push_back({at + "self_attn.k_proj", &l.k_proj});
    out.push_back({at + "self_attn.v_proj", &l.v_proj});
    out.push_back({at + "self_attn.o_proj", &l.o_proj});
    out.push_back({at + "mlp.gate_proj", &l.gate_proj});
    out.push_back({at + "mlp.up_proj", &l.up_proj});
    out.push_back({at + "mlp.down_proj", &l.down_proj});
  }
  return out;
}

}  // namespace bgl::models
