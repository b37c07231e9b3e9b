#include "models/testing/reference.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>

namespace bgl::models::testing {
namespace {

using Row = std::vector<double>;
using Rows = std::vector<Row>;

struct Reference {
  const ModelConfig& c;
  std::map<std::string, std::shared_ptr<ops::Buffer>> parameters;

  const float* at(const std::string& name) const {
    const auto it = parameters.find(name);
    return it == parameters.end() ? nullptr : it->second->as<float>();
  }

  // y = W x + b, W[out][in]; b where the model has one.
  Row product(const std::string& name, const Row& x, int64_t out) const {
    const float* w = at(name + ".weight");
    const float* b = at(name + ".bias");
    Row y;
    for (int64_t o = 0; o < out; ++o) {
      double sum = b ? b[o] : 0;
      for (const double xi : x) sum += *w++ * xi;
      y.push_back(sum);
    }
    return y;
  }

  // x / sqrt(mean(x^2) + eps) * w. Ref: arXiv:1910.07467.
  Row rms_norm(const std::string& name, const Row& x) const {
    double squares = 0;
    for (const double v : x) squares += v * v;
    const double scale = 1 / std::sqrt(squares / static_cast<double>(x.size()) + c.norm_eps);
    Row y;
    for (size_t i = 0; i < x.size(); ++i) y.push_back(x[i] * scale * at(name + ".weight")[i]);
    return y;
  }

  // Radians a position of pair i.
  double frequency(int64_t i) const {
    const double f = 1 / std::pow(c.rope_theta, 2.0 * static_cast<double>(i) / static_cast<double>(c.head_width));
    const RopeScaling& s = c.rope_scaling;
    if (s.kind == RopeScaling::Kind::kNone) return f;
    if (s.kind == RopeScaling::Kind::kLinear) return f / s.factor;
    const double wave = 2 * std::numbers::pi / f, context = static_cast<double>(s.original_context);
    const double longest = context / s.low_freq_factor, shortest = context / s.high_freq_factor;
    if (wave > longest) return f / s.factor;
    if (wave < shortest) return f;
    const double smooth = (context / wave - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
    return (1 - smooth) * f / s.factor + smooth * f;
  }

  // Turns pair (i, i + D/2) of every head by position * frequency(i). Ref: arXiv:2104.09864.
  void rotate(Row& x, int64_t position) const {
    const auto d = static_cast<size_t>(c.head_width);
    for (size_t head = 0; head < x.size(); head += d) {
      for (size_t i = 0; i < d / 2; ++i) {
        const double angle = static_cast<double>(position) * frequency(static_cast<int64_t>(i));
        double &a = x[head + i], &b = x[head + i + d / 2];
        const double turned = a * std::cos(angle) - b * std::sin(angle);
        b = b * std::cos(angle) + a * std::sin(angle);
        a = turned;
      }
    }
  }

  // softmax(q k / sqrt(D)) v of the token at `t` over itself and those before it; query heads share key-value heads in groups.
  // Ref: arXiv:1706.03762, 2305.13245.
  Row attend(const Row& q, const Rows& k, const Rows& v, size_t t) const {
    const auto d = static_cast<size_t>(c.head_width), heads = static_cast<size_t>(c.heads),
               group = heads / static_cast<size_t>(c.kv_heads);
    Row y(heads * d);
    for (size_t h = 0; h < heads; ++h) {
      const size_t shared = h / group * d;
      Row weight;
      double total = 0;
      for (size_t s = 0; s <= t; ++s) {
        double score = 0;
        for (size_t i = 0; i < d; ++i) score += q[h * d + i] * k[s][shared + i];
        weight.push_back(std::exp(score / std::sqrt(static_cast<double>(d))));
        total += weight.back();
      }
      for (size_t s = 0; s <= t; ++s) {
        for (size_t i = 0; i < d; ++i) y[h * d + i] += weight[s] / total * v[s][shared + i];
      }
    }
    return y;
  }

  // down(silu(gate x) * up x). Ref: arXiv:2002.05202.
  Row mlp(const std::string& name, const Row& x) const {
    const Row gate = product(name + ".gate_proj", x, c.hidden);
    Row inner = product(name + ".up_proj", x, c.hidden);
    for (size_t i = 0; i < inner.size(); ++i) inner[i] *= gate[i] / (1 + std::exp(-gate[i]));
    return product(name + ".down_proj", inner, c.width);
  }

  void layer(const std::string& name, Rows& x) const {
    Rows q, k, v;
    for (size_t t = 0; t < x.size(); ++t) {
      const Row n = rms_norm(name + ".input_layernorm", x[t]);
      q.push_back(product(name + ".self_attn.q_proj", n, c.heads * c.head_width));
      k.push_back(product(name + ".self_attn.k_proj", n, c.kv_heads * c.head_width));
      v.push_back(product(name + ".self_attn.v_proj", n, c.kv_heads * c.head_width));
      rotate(q[t], static_cast<int64_t>(t));
      rotate(k[t], static_cast<int64_t>(t));
    }
    auto add = [](Row& to, const Row& from) {
      for (size_t i = 0; i < to.size(); ++i) to[i] += from[i];
    };
    for (size_t t = 0; t < x.size(); ++t) {
      add(x[t], product(name + ".self_attn.o_proj", attend(q[t], k, v, t), c.width));
      add(x[t], mlp(name + ".mlp", rms_norm(name + ".post_attention_layernorm", x[t])));
    }
  }
};

}  // namespace

std::vector<double> reference_logits(const Model& model, const std::vector<int64_t>& ids) {
  Reference r{model.config(), {}};
  for (const auto& p : model.named_parameters()) r.parameters[p.name] = p.tensor.buffer();
  const float* embedding = r.at("model.embed_tokens.weight");
  Rows x;
  for (const int64_t id : ids) x.emplace_back(embedding + id * r.c.width, embedding + (id + 1) * r.c.width);
  for (int64_t l = 0; l < r.c.layers; ++l) r.layer(fmt::format("model.layers.{}", l), x);
  std::vector<double> logits;
  for (const Row& row : x) {
    const Row last = r.product("lm_head", r.rms_norm("model.norm", row), r.c.vocab);
    logits.insert(logits.end(), last.begin(), last.end());
  }
  return logits;
}

double reference_loss(const Model& model, const std::vector<int64_t>& ids) {
  const std::vector<double> logits = reference_logits(model, ids);
  const auto v = static_cast<size_t>(model.config().vocab);
  double loss = 0;
  for (size_t t = 0; t + 1 < ids.size(); ++t) {
    double total = 0;
    for (size_t i = 0; i < v; ++i) total += std::exp(logits[t * v + i]);
    loss += std::log(total) - logits[t * v + static_cast<size_t>(ids[t + 1])];
  }
  return loss / static_cast<double>(ids.size() - 1);
}

double difference(const std::vector<float>& got, const std::vector<double>& want) {
  if (got.size() != want.size()) return INFINITY;
  double apart = 0, largest = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double d = std::abs(static_cast<double>(got[i]) - want[i]);
    if (std::isnan(d)) return INFINITY;
    apart = std::max(apart, d);
    largest = std::max(largest, std::abs(want[i]));
  }
  return apart / largest;
}

}  // namespace bgl::models::testing
