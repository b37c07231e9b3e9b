#include "models/config.h"

#include <nlohmann/json.hpp>

#include "base/env.h"

namespace bgl::models {
namespace {

using nlohmann::json;

// Reads keys of one object; keeps the first error.
class Reader {
 public:
  Reader(const json& object, const std::string& where) : object_(object), where_(where) {}
  template <typename T>
  bool optional(const char* key, T& out) {
    const auto it = object_.find(key);
    if (it == object_.end() || it->is_null()) return false;
    try {
      if constexpr (std::is_same_v<T, int64_t>) {
        if (!it->is_number_integer()) throw std::invalid_argument("integer");
      }
      it->get_to(out);
      return true;
    } catch (const std::exception&) {
      if (status_.ok()) status_ = invalid_argument("{}: \"{}\" is {}, which is not what this key holds", where_, key, it->dump());
      return false;
    }
  }
  template <typename T>
  void require(const char* key, T& out) {
    if (!object_.contains(key)) {
      if (status_.ok()) status_ = invalid_argument("{}: the key \"{}\" is missing", where_, key);
      return;
    }
    optional(key, out);
  }
  const Status& status() const { return status_; }

 private:
  const json& object_;
  const std::string& where_;
  Status status_;
};

Status parse_activation(const std::string& name, const std::string& where, Activation& out) {
  if (name == "gelu") {
    out = Activation::kGelu;
  } else if (name == "gelu_new" || name == "gelu_pytorch_tanh") {
    out = Activation::kGeluTanh;
  } else if (name == "silu" || name == "swish") {
    out = Activation::kSilu;
  } else {
    return invalid_argument("{}: there is no activation \"{}\": gelu, gelu_new and silu are known", where, name);
  }
  return Status();
}

void parse_gpt2(Reader& r, ModelConfig& c, std::string& activation) {
  activation = "gelu_new";
  r.require("vocab_size", c.vocab);
  r.require("n_layer", c.layers);
  r.require("n_head", c.heads);
  r.require("n_embd", c.width);
  if (!r.optional("n_positions", c.context)) r.require("n_ctx", c.context);
  r.optional("layer_norm_epsilon", c.norm_eps);
  r.optional("activation_function", activation);
  r.optional("use_bias", c.bias);
  if (!r.optional("n_inner", c.hidden)) c.hidden = 4 * c.width;
  c.kv_heads = c.heads;
  c.tied = true;
  r.optional("tie_word_embeddings", c.tied);
  c.head_width = c.heads > 0 ? c.width / c.heads : 0;
}

// What Llama and Qwen2 share.
void parse_rotary(Reader& r, ModelConfig& c, std::string& activation) {
  activation = "silu";
  r.require("vocab_size", c.vocab);
  r.require("num_hidden_layers", c.layers);
  r.require("num_attention_heads", c.heads);
  r.require("hidden_size", c.width);
  r.require("intermediate_size", c.hidden);
  r.require("max_position_embeddings", c.context);
  c.kv_heads = c.heads;
  r.optional("num_key_value_heads", c.kv_heads);
  r.optional("rms_norm_eps", c.norm_eps);
  r.optional("rope_theta", c.rope_theta);
  r.optional("hidden_act", activation);
  c.tied = false;
  r.optional("tie_word_embeddings", c.tied);
  c.head_width = c.heads > 0 ? c.width / c.heads : 0;
  r.optional("head_dim", c.head_width);
}

// Older files have rope_theta and rope_scaling side by side, newer ones both in rope_parameters.
Status parse_rope(const json& j, const std::string& where, ModelConfig& c) {
  const char* key = j.contains("rope_parameters") ? "rope_parameters" : "rope_scaling";
  const auto it = j.find(key);
  if (it == j.end() || it->is_null()) return Status();
  if (!it->is_object()) return invalid_argument("{}: \"{}\" is {}, which is not what this key holds", where, key, it->dump());
  const std::string inside = fmt::format("{}: \"{}\"", where, key);
  Reader r(*it, inside);
  std::string kind = "default";
  if (!r.optional("rope_type", kind)) r.optional("type", kind);
  r.optional("rope_theta", c.rope_theta);
  RopeScaling& s = c.rope_scaling;
  if (kind == "linear") {
    s.kind = RopeScaling::Kind::kLinear;
    r.require("factor", s.factor);
  } else if (kind == "llama3") {
    s.kind = RopeScaling::Kind::kLlama3;
    r.require("factor", s.factor);
    r.require("low_freq_factor", s.low_freq_factor);
    r.require("high_freq_factor", s.high_freq_factor);
    r.require("original_max_position_embeddings", s.original_context);
  } else if (kind != "default") {
    return make_status(Code::kUnimplemented, "{}: there is no kind \"{}\" of it here: default, linear and llama3 are known", inside, kind);
  }
  return r.status();
}

// Windows over the last tokens only, which Qwen2's files can ask for: in one key, or layer by layer.
Status check_full_attention(const json& j, const std::string& where) {
  bool windows = j.value("use_sliding_window", json(false)) == json(true);
  if (const auto types = j.find("layer_types"); types != j.end() && types->is_array()) {
    for (const json& t : *types) windows |= t != json("full_attention");
  }
  if (!windows) return Status();
  return make_status(Code::kUnimplemented, "{}: this model's layers look at a sliding window of the text, which is not supported; only full attention is", where);
}

}  // namespace

const char* family_name(Family f) {
  switch (f) {
    case Family::kGpt2: return "gpt2";
    case Family::kLlama: return "llama";
    case Family::kQwen2: return "qwen2";
  }
  return "";
}

Result<ModelConfig> ModelConfig::parse(const std::string& json_text, const std::string& where) {
  const json j = json::parse(json_text, nullptr, false);
  if (!j.is_object()) return data_loss("{} is not a JSON object", where);
  std::string type, activation;
  Reader r(j, where);
  r.require("model_type", type);
  BGL_TRY(r.status());
  ModelConfig c;
  if (type == "gpt2") {
    c.family = Family::kGpt2;
    parse_gpt2(r, c, activation);
  } else if (type == "llama" || type == "qwen2") {
    c.family = type == "llama" ? Family::kLlama : Family::kQwen2;
    c.attention_bias = c.family == Family::kQwen2;
    parse_rotary(r, c, activation);
    if (c.family == Family::kLlama) {
      r.optional("attention_bias", c.attention_bias);
      r.optional("mlp_bias", c.mlp_bias);
    }
    BGL_TRY(r.status());
    BGL_TRY(parse_rope(j, where, c));
    BGL_TRY(check_full_attention(j, where));
  } else {
    return invalid_argument("{}: there is no model family \"{}\": gpt2, llama and qwen2 are known", where, type);
  }
  BGL_TRY(r.status());
  BGL_TRY(parse_activation(activation, where, c.activation));
  c.unknown_json = json_text;
  BGL_TRY(c.check(where));
  return c;
}

Status RopeScaling::check(const std::string& where) const {
  if (kind == Kind::kNone) return Status();
  if (!(factor >= 1)) return invalid_argument("{}: rotary positions are stretched by a factor of 1 or more, not {}", where, factor);
  if (kind == Kind::kLinear) return Status();
  if (!(low_freq_factor > 0 && low_freq_factor < high_freq_factor)) {
    return invalid_argument("{}: low_freq_factor {} and high_freq_factor {} are no range above 0", where, low_freq_factor, high_freq_factor);
  }
  if (original_context < 1) return invalid_argument("{}: original_max_position_embeddings is {}, not a length", where, original_context);
  return Status();
}

Status ModelConfig::check(const std::string& where) const {
  struct Size {
    const char* name;
    int64_t value, most;
  };
  constexpr int64_t kMost = int64_t{1} << 24;
  for (const Size& s : {Size{"vocabulary", vocab, kMost}, Size{"context", context, kMost}, Size{"number of layers", layers, 1000},
                        Size{"number of heads", heads, 1024}, Size{"number of key-value heads", kv_heads, 1024}, Size{"width", width, kMost},
                        Size{"width of a head", head_width, 256}, Size{"hidden width", hidden, kMost}}) {
    if (s.value < 1 || s.value > s.most) return invalid_argument("{}: the {} is {}, not in [1, {}]", where, s.name, s.value, s.most);
  }
  if (heads % kv_heads != 0) return invalid_argument("{}: {} heads cannot share {} key-value heads", where, heads, kv_heads);
  if (family == Family::kGpt2 && width % heads != 0) return invalid_argument("{}: a width of {} does not divide into {} heads", where, width, heads);
  if (family == Family::kGpt2) return Status();
  if (head_width % 2 != 0) return invalid_argument("{}: rotary positions need an even head width, not {}", where, head_width);
  if (activation != Activation::kSilu) return invalid_argument("{}: the MLP of a {} model is gated by silu and by no other activation", where, family_name(family));
  if (!(rope_theta > 0)) return invalid_argument("{}: rotary positions need a rope_theta above 0, not {}", where, rope_theta);
  return rope_scaling.check(where);
}

Result<std::string> read_config_file(const std::string& dir) {
  const std::string path = join_path(dir, "config.json");
  if (!real_env().exists(path)) return not_found("{} has no config.json: is it a model's folder?", dir);
  return real_env().read_file(path);
}

}  // namespace bgl::models
