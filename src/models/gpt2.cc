#include "models/gpt2.h"

#include <cmath>

#include "framework/functional.h"
#include "framework/random.h"

namespace bgl::models {
namespace {

namespace fw = framework;

Tensor activate(const Tensor& x, Activation a) {
  switch (a) {
    case Activation::kGelu: return fw::gelu(x);
    case Activation::kGeluTanh: return fw::gelu_tanh(x);
    case Activation::kSilu: return fw::silu(x);
  }
  return x;
}
void redraw(Tensor& t, double std) {
  ops::NoGrad no_grad;
  t.copy_(fw::normal(t.shape(), 0, std));
}

}  // namespace

Gpt2Block::Gpt2Block(const ModelConfig& c, Init init)
    : ln_1(c.width, c.bias, c.norm_eps),
      c_attn(c.width, 3 * c.width, c.bias, init),
      c_proj(c.width, c.width, c.bias, init),
      ln_2(c.width, c.bias, c.norm_eps),
      c_fc(c.width, c.hidden, c.bias, init),
      mlp_c_proj(c.hidden, c.width, c.bias, init),
      config_(c) {
  register_module("ln_1", ln_1);
  register_module("attn.c_attn", c_attn);
  register_module("attn.c_proj", c_proj);
  register_module("ln_2", ln_2);
  register_module("mlp.c_fc", c_fc);
  register_module("mlp.c_proj", mlp_c_proj);
}

Tensor Gpt2Block::mlp(const Tensor& x, const fw::AdapterRows* adapted) {
  ops::Label label("mlp");
  return fw::dropout(mlp_c_proj.forward(activate(c_fc.forward(ln_2.forward(x), adapted), config_.activation), adapted), config_.dropout, training());
}

Tensor Gpt2Block::forward(const Tensor& x_BTC) {
  const int64_t b = x_BTC.size(0), t = x_BTC.size(1), c = config_.width, h = config_.heads, d = config_.head_width;
  Tensor x = x_BTC;
  {
    ops::Label label("attention");
    const Tensor qkv = c_attn.forward(ln_1.forward(x));
    auto head = [&](int64_t i) { return qkv.slice(2, i * c, (i + 1) * c).reshape({b, t, h, d}).transpose(1, 2); };
    const Tensor y = fw::scaled_dot_product_attention(head(0), head(1), head(2), 1 / std::sqrt(static_cast<double>(d)), true);
    x = x + fw::dropout(c_proj.forward(y.transpose(1, 2).reshape({b, t, c})), config_.dropout, training());
  }
  return x + mlp(x);
}

Tensor Gpt2Block::step(const Tensor& x_NC, const PagedStep& s, Tensor& k_pages, Tensor& v_pages) {
  const int64_t n = x_NC.size(0), c = config_.width, h = config_.heads, d = config_.head_width;
  const fw::AdapterRows* adapted = s.adapted();
  const Tensor qkv = c_attn.forward(ln_1.forward(x_NC), adapted);
  auto head = [&](int64_t i) { return qkv.slice(1, i * c, (i + 1) * c).reshape({n, h, d}).value(); };
  k_pages.set_value(ops::write_pages(k_pages.value(), head(1), s.slots.value(), true));
  v_pages.set_value(ops::write_pages(v_pages.value(), head(2), s.slots.value(), false));
  const Tensor y(ops::paged_attention(head(0), k_pages.value(), v_pages.value(), s.pages.value(), s.lengths.value(),
                                      1 / std::sqrt(static_cast<double>(d))));
  const Tensor x = x_NC + c_proj.forward(y.reshape({n, c}), adapted);
  return x + mlp(x, adapted);
}

Gpt2::Gpt2(const ModelConfig& c, Init init)
    : Model(c), wte_(c.vocab, c.width, init), wpe_(c.context, c.width, init), ln_f_(c.width, c.bias, c.norm_eps), lm_head_(0, 0, false, Init::kNone) {
  register_module("wte", wte_);
  register_module("wpe", wpe_);
  for (int64_t i = 0; i < c.layers; ++i) {
    blocks_.push_back(std::make_unique<Gpt2Block>(c, init));
    register_module(fmt::format("h.{}", i), *blocks_.back());
  }
  register_module("ln_f", ln_f_);
  // Drawn even when tied: torch makes the layer before it is tied.
  lm_head_.weight = fw::Linear(c.width, c.vocab, false, init).weight;
  if (c.tied) lm_head_.weight = wte_.weight;
  register_module("lm_head", lm_head_);
}

Tensor Gpt2::forward(const Tensor& ids) {
  const int64_t t = ids.size(1);
  BGL_REQUIRE(t <= config_.context, "[gpt2] a sequence of {} tokens is longer than the model's context of {}", t, config_.context);
  Tensor x = fw::dropout(wte_.forward(ids) + wpe_.forward(Tensor::arange(t)), config_.dropout, training());
  for (size_t i = 0; i < blocks_.size(); ++i) {
    ops::Label label(fmt::format("h.{}", i));
    x = blocks_[i]->forward(x);
  }
  return lm_head_.forward(ln_f_.forward(x));
}

Tensor Gpt2::step(const PagedStep& s, PagedCache& cache) {
  Tensor x = wte_.forward(s.ids) + wpe_.forward(s.positions);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    ops::Label label(fmt::format("h.{}", i));
    x = blocks_[i]->step(x, s, cache.k[i], cache.v[i]);
  }
  return lm_head_.forward(ln_f_.forward(fw::embedding(s.rows, x)));
}

// nanoGPT: every Linear and Embedding in module order (the tied matrix is met twice), then the projections into the residual stream
// once more with a smaller deviation, in the order of the parameters.
void Gpt2::draw_weights() {
  ops::NoGrad no_grad;
  redraw(wte_.weight, 0.02);
  redraw(wpe_.weight, 0.02);
  auto clear = [](Tensor& bias) {
    if (bias.defined()) bias.zero_();
  };
  for (const auto& b : blocks_) {
    for (fw::Linear* l : {&b->c_attn, &b->c_proj, &b->c_fc, &b->mlp_c_proj}) {
      redraw(l->weight, 0.02);
      clear(l->bias);
    }
  }
  redraw(lm_head_.weight, 0.02);
  const double residual = 0.02 / std::sqrt(2.0 * static_cast<double>(config_.layers));
  for (const auto& b : blocks_) {
    redraw(b->c_proj.weight, residual);
    redraw(b->mlp_c_proj.weight, residual);
  }
}

std::vector<std::pair<std::string, fw::Linear*>> Gpt2::adaptable() {
  std::vector<std::pair<std::string, fw::Linear*>> out;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const std::string at = fmt::format("h.{}.", i);
    out.push_back({at + "attn.c_attn", &blocks_[i]->c_attn});
    out.push_back({at + "attn.c_proj", &blocks_[i]->c_proj});
    out.push_back({at + "mlp.c_fc", &blocks_[i]->c_fc});
    out.push_back({at + "mlp.c_proj", &blocks_[i]->mlp_c_proj});
  }
  return out;
}

}  // namespace bgl::models
