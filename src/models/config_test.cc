// config.json and generation_config.json: what is read, what is refused word for word, what is written.
#include "models/config.h"

#include <gtest/gtest.h>

#include "models/generation.h"
#include "models/testing/random_model.h"

namespace bgl::models {
namespace {

const std::string kQwen2 = R"({
 "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": 151936, "num_hidden_layers": 24, "hidden_size": 896,
 "num_attention_heads": 14, "num_key_value_heads": 2, "intermediate_size": 4864, "max_position_embeddings": 32768, "hidden_act": "silu",
 "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768, "use_sliding_window": false, "tie_word_embeddings": true,
 "torch_dtype": "bfloat16"
})";
const std::string kLlama3 =
    R"({"model_type": "llama", "vocab_size": 128256, "num_hidden_layers": 16, "hidden_size": 2048, "num_attention_heads": 32,
 "num_key_value_heads": 8, "intermediate_size": 8192, "max_position_embeddings": 131072, "head_dim": 64, "rms_norm_eps": 1e-05,
 "attention_bias": false, "mlp_bias": false, "tie_word_embeddings": true, "eos_token_id": [128001, 128008, 128009], "rope_theta": 500000.0,
 "rope_scaling": {"factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"}})";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  EXPECT_NE(text.find(from), std::string::npos) << from;
  return text.replace(text.find(from), from.size(), to);
}

TEST(Config, PublishedFilesAreReadAndWrittenByteForByte) {
  for (const auto& [text, want] : {std::pair{kQwen2, testing::qwen2_5_0_5b(24)}, {kLlama3, testing::llama_3_2_1b(16)}}) {
    const auto got = ModelConfig::parse(text, "config.json");
    ASSERT_TRUE(got.ok()) << got.status().message();
    ModelConfig expected = want;
    expected.unknown_json = text;
    EXPECT_TRUE(*got == expected) << got->to_json();
    EXPECT_EQ(got->to_json(), text);
  }
}

TEST(Config, AChangedSizeKeepsTheOtherKeys) {
  ModelConfig c = ModelConfig::parse(kLlama3, "config.json").value();
  c.layers = 3;
  const std::string text = c.to_json();
  EXPECT_NE(text.find("\"num_hidden_layers\": 3"), std::string::npos);
  EXPECT_NE(text.find("128008"), std::string::npos) << text;
  ModelConfig again = ModelConfig::parse(text, "config.json").value();
  again.unknown_json = c.unknown_json;
  EXPECT_TRUE(again == c) << text;
}

TEST(Config, EveryKindIsWrittenAndReadAgain) {
  for (const auto& [name, config] : testing::small_configs()) {
    auto again = ModelConfig::parse(config.to_json(), "config.json");
    ASSERT_TRUE(again.ok()) << name << ": " << again.status().message();
    again->unknown_json = config.unknown_json;
    EXPECT_TRUE(*again == config) << name << again->to_json();
  }
}

TEST(Config, RopeParametersOfNewerFiles) {
  const std::string text = replaced(kQwen2, "\"rope_theta\": 1000000.0",
                                    "\"rope_parameters\": {\"rope_type\": \"linear\", \"factor\": 2, \"rope_theta\": 5e5}");
  const auto c = ModelConfig::parse(text, "config.json");
  ASSERT_TRUE(c.ok()) << c.status().message();
  EXPECT_EQ(c->rope_theta, 5e5);
  EXPECT_EQ(c->rope_scaling, (RopeScaling{.kind = RopeScaling::Kind::kLinear, .factor = 2}));
}

TEST(Config, WhatCannotBeIsTold) {
  const auto error = [](const std::string& text) { return ModelConfig::parse(text, "c").status().message(); };
  EXPECT_EQ(error(replaced(kLlama3, "llama3", "yarn")),
            "c: \"rope_scaling\": there is no kind \"yarn\" of it here: default, linear and llama3 are known");
  EXPECT_EQ(error(replaced(kLlama3, "\"factor\": 32.0, ", "")), "c: \"rope_scaling\": the key \"factor\" is missing");
  EXPECT_EQ(error(replaced(kLlama3, "\"factor\": 32.0", "\"factor\": 0.5")),
            "c: rotary positions are stretched by a factor of 1 or more, not 0.5");
  EXPECT_EQ(error(replaced(kLlama3, "\"low_freq_factor\": 1.0", "\"low_freq_factor\": 8.0")),
            "c: low_freq_factor 8 and high_freq_factor 4 are no range above 0");
  EXPECT_EQ(error(replaced(kLlama3, ": 8192, \"rope", ": 0, \"rope")),
            "c: original_max_position_embeddings is 0, not a length");
  EXPECT_EQ(error(replaced(kQwen2, "\"rope_theta\": 1000000.0", "\"rope_scaling\": 2")),
            "c: \"rope_scaling\" is 2, which is not what this key holds");
  EXPECT_EQ(error(replaced(kQwen2, "1000000.0", "0")), "c: rotary positions need a rope_theta above 0, not 0");
  EXPECT_EQ(error(replaced(kQwen2, "window\": false", "window\": true")),
            "c: this model's layers look at a sliding window of the text, which is not supported; only full attention is");
  EXPECT_EQ(
      error(replaced(kQwen2, "\"sliding_window\": 32768", "\"layer_types\": [\"full_attention\", \"sliding_attention\"]")),
      "c: this model's layers look at a sliding window of the text, which is not supported; only full attention is");
  EXPECT_EQ(error(replaced(kQwen2, "\"silu\"", "\"gelu\"")),
            "c: the MLP of a qwen2 model is gated by silu and by no other activation");
  EXPECT_EQ(error(replaced(kQwen2, "qwen2\"", "qwen9\"")),
            "c: there is no model family \"qwen9\": gpt2, llama and qwen2 are known");
  EXPECT_EQ(error(replaced(kLlama3, "\"head_dim\": 64", "\"head_dim\": 63")),
            "c: rotary positions need an even head width, not 63");
}

TEST(Generation, EndTokensAreOneOrAList) {
  EXPECT_EQ(GenerationDefaults::parse(R"({"eos_token_id": 7})", "g")->end_tokens, std::vector<int32_t>{7});
  const auto g = GenerationDefaults::parse(
      R"({"eos_token_id": [7, 9], "temperature": 0.7, "top_p": 0.8, "top_k": 20, "do_sample": true, "pad_token_id": 1})", "g");
  ASSERT_TRUE(g.ok());
  EXPECT_EQ(g->end_tokens, (std::vector<int32_t>{7, 9}));
  EXPECT_EQ(g->temperature, 0.7);
  EXPECT_EQ(g->top_p, 0.8);
  EXPECT_EQ(g->top_k, 20);
  const auto none = GenerationDefaults::parse("{\"eos_token_id\": null}", "g");
  EXPECT_TRUE(none->end_tokens.empty() && !none->temperature && !none->top_p && !none->top_k);
  EXPECT_EQ(GenerationDefaults::parse(R"({"do_sample": false, "temperature": 0.7})", "g")->temperature, 0);
}

TEST(Generation, WrongValuesAreNamed) {
  const auto error = [](const std::string& text) { return GenerationDefaults::parse(text, "g").status().message(); };
  EXPECT_EQ(error(R"({"eos_token_id": [1, "x"]})"), "g: \"eos_token_id\" is [1,\"x\"], not a token's number or a list of them");
  EXPECT_EQ(error(R"({"eos_token_id": -1})"), "g: \"eos_token_id\" is -1, not a token's number or a list of them");
  EXPECT_EQ(error(R"({"temperature": "hot"})"), "g: \"temperature\" is \"hot\", not a number from 0 to 2");
  EXPECT_EQ(error(R"({"top_p": 1.5})"), "g: \"top_p\" is 1.5, not a number from 0 to 1");
  EXPECT_EQ(error(R"({"top_k": 0.5})"), "g: \"top_k\" is 0.5, not a whole number from 0");
  EXPECT_EQ(error("[]"), "g is not a JSON object");
}

}  // namespace
}  // namespace bgl::models
