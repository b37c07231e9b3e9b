#include <nlohmann/json.hpp>

#include "models/config.h"

namespace bgl::models {
namespace {

using nlohmann::json;

// In the keys that readers of every age know.
void write_rope(const ModelConfig& c, json& j) {
  j.erase("rope_parameters");
  j.erase("rope_scaling");
  j["rope_theta"] = c.rope_theta;
  const RopeScaling& s = c.rope_scaling;
  if (s.kind == RopeScaling::Kind::kLinear) j["rope_scaling"] = {{"rope_type", "linear"}, {"factor", s.factor}};
  if (s.kind == RopeScaling::Kind::kLlama3) {
    j["rope_scaling"] = {{"rope_type", "llama3"},
                         {"factor", s.factor},
                         {"low_freq_factor", s.low_freq_factor},
                         {"high_freq_factor", s.high_freq_factor},
                         {"original_max_position_embeddings", s.original_context}};
  }
}

// A key that files leave out while it says the usual; what a file says already is set anew.
template <typename T>
void set_unless_usual(json& j, const char* key, T value, T usual) {
  if (value != usual || j.contains(key)) j[key] = value;
}

}  // namespace

std::string ModelConfig::to_json() const {
  if (const auto said = parse(unknown_json, ""); said.ok() && *said == *this) return unknown_json;
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
    set_unless_usual(j, "use_bias", bias, true);
    set_unless_usual(j, "n_inner", hidden, 4 * width);
    set_unless_usual(j, "tie_word_embeddings", tied, true);
  } else {
    const bool llama = family == Family::kLlama;
    if (!j.contains("architectures")) j["architectures"] = {llama ? "LlamaForCausalLM" : "Qwen2ForCausalLM"};
    j["num_hidden_layers"] = layers;
    j["num_attention_heads"] = heads;
    j["num_key_value_heads"] = kv_heads;
    j["hidden_size"] = width;
    j["intermediate_size"] = hidden;
    j["max_position_embeddings"] = context;
    j["rms_norm_eps"] = norm_eps;
    if (llama) j["attention_bias"] = attention_bias;
    set_unless_usual(j, "mlp_bias", mlp_bias, false);
    j["hidden_act"] = activation_text;
    j["tie_word_embeddings"] = tied;
    set_unless_usual(j, "head_dim", head_width, width / heads);
    write_rope(*this, j);
  }
  return j.dump(2) + "\n";
}

}  // namespace bgl::models
