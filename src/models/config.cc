#include "models/config.h"

#include <nlohmann/json.hpp>

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

void parse_llama(Reader& r, ModelConfig& c, std::string& activation) {
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
  r.optional("attention_bias", c.attention_bias);
  r.optional("hidden_act", activation);
  c.tied = false;
  r.optional("tie_word_embeddings", c.tied);
  c.head_width = c.heads > 0 ? c.width / c.heads : 0;
  r.optional("head_dim", c.head_width);
}

}  // namespace

const char* family_name(Family f) { return f == Family::kGpt2 ? "gpt2" : "llama"; }

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
  } else if (type == "llama") {
    c.family = Family::kLlama;
    parse_llama(r, c, activation);
  } else {
    return invalid_argument("{}: there is no model family \"{}\": gpt2 and llama are known", where, type);
  }
  BGL_TRY(r.status());
  const auto scaling = j.find("rope_scaling");
  if (scaling != j.end() && !scaling->is_null()) {
    return make_status(Code::kUnimplemented, "{}: \"rope_scaling\" is not supported yet; only plain rotary positions are", where);
  }
  BGL_TRY(parse_activation(activation, where, c.activation));
  c.unknown_json = json_text;
  BGL_TRY(c.check(where));
  return c;
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
  if (family == Family::kLlama && head_width % 2 != 0) return invalid_argument("{}: rotary positions need an even head width, not {}", where, head_width);
  return Status();
}

std::string ModelConfig::to_json() const {
  json j = json::parse(unknown_json, nullptr, false);
  if (!j.is_object()) j = json::object();
  constexpr const char* kActivations[] = {"gelu", "gelu_new", "silu"};
  j["model_type"] = family_name(family);
  j["vocab_size"] = vocab;
  if (!j.contains("torch_dtype")) j["torch_dtype"] = "float32";
  const char* activation_text = kActivations[static_cast<int>(activation)];
  if (family == Family::kGpt2) {
    if (!j.contains("architectures")) j["architectures"] = {"GPT2LMHeadModel"};
    j["n_layer"] = layers;
    j["n_head"] = heads;
    j["n_embd"] = width;
    j["n_positions"] = context;
    j["layer_norm_epsilon"] = norm_eps;
    j["activation_function"] = activation_text;
    if (!bias) j["use_bias"] = false;
    if (hidden != 4 * width) j["n_inner"] = hidden;
    if (!tied) j["tie_word_embeddings"] = false;
  } else {
    if (!j.contains("architectures")) j["architectures"] = {"LlamaForCausalLM"};
    j["num_hidden_layers"] = layers;
    j["num_attention_heads"] = heads;
    j["num_key_value_heads"] = kv_heads;
    j["hidden_size"] = width;
    j["intermediate_size"] = hidden;
    j["max_position_embeddings"] = context;
    j["rms_norm_eps"] = norm_eps;
    j["rope_theta"] = rope_theta;
    j["attention_bias"] = attention_bias;
    j["hidden_act"] = activation_text;
    j["tie_word_embeddings"] = tied;
    if (head_width * heads != width || j.contains("head_dim")) j["head_dim"] = head_width;
  }
  return j.dump(2) + "\n";
}

}  // namespace bgl::models
