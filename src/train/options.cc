#include "train/options.h"

namespace bgl::train {
namespace {

void read_model(Config& c, models::ModelConfig& m) {
  using models::Activation;
  const std::string family = c.get("model.family", "gpt2");
  if (family != "gpt2" && family != "llama" && family != "qwen2") c.reject("model.family", "is '" + family + "': choose gpt2, llama or qwen2");
  const bool qwen2 = family == "qwen2", rotary = qwen2 || family == "llama";
  m.family = qwen2 ? models::Family::kQwen2 : rotary ? models::Family::kLlama : models::Family::kGpt2;
  m.layers = c.get_in("model.layers", 4, 1, 1000);
  m.heads = c.get_in("model.heads", 4, 1, 1024);
  m.kv_heads = rotary ? c.get_in("model.kv_heads", m.heads, 1, 1024) : m.heads;
  m.width = c.get_in("model.width", 128, 1, 1 << 20);
  m.hidden = c.get_in("model.hidden", rotary ? m.width * 8 / 3 / 32 * 32 + 32 : 4 * m.width, 1, 1 << 22);
  m.context = c.get_in("model.context", 256, 1, 1 << 20);
  m.vocab = c.get_in("model.vocab", 0, 0, 1 << 24);  // 0: the tokenizer's
  m.bias = rotary ? false : c.get("model.bias", true);
  m.tied = c.get("model.tied", true);
  m.dropout = rotary ? 0 : c.get_in("model.dropout", 0.0, 0.0, 1.0);
  m.attention_bias = qwen2;
  m.norm_eps = c.get_in("model.norm_eps", qwen2 ? 1e-6 : 1e-5, 0.0, 1.0);
  if (rotary) {
    m.rope_theta = c.get_in("model.rope_theta", qwen2 ? 1e6 : 1e4, 1.0, 1e9);
    m.activation = Activation::kSilu;
  } else {
    const std::string a = c.get("model.activation", "gelu");
    if (a != "gelu" && a != "gelu_tanh") c.reject("model.activation", "is '" + a + "': choose gelu or gelu_tanh");
    m.activation = a == "gelu_tanh" ? Activation::kGeluTanh : Activation::kGelu;
  }
  for (const char* key : {"model.kv_heads", "model.rope_theta"}) {
    if (!rotary) c.only_for(key, "llama and qwen2");
  }
  for (const char* key : {"model.bias", "model.dropout", "model.activation"}) {
    if (rotary) c.only_for(key, "gpt2");
  }
  m.head_width = m.width / m.heads;
  if (m.width % m.heads != 0) c.reject("model.width", fmt::format("is {}, which does not divide into {} heads", m.width, m.heads));
}

void read_data(Config& c, TrainOptions& o) {
  DataOptions& d = o.data;
  const std::string text = c.get("data.text", ""), shards = c.get("data.shards", ""), instructions = c.get("data.instructions", "");
  const bool random = c.get("data.random", false);
  const int given = !text.empty() + !shards.empty() + !instructions.empty() + random;
  if (given != 1) c.reject("data", "needs exactly one of text, shards, instructions and random");
  d.kind = !text.empty() ? DataOptions::Kind::kText : !shards.empty() ? DataOptions::Kind::kShards
                                                  : !instructions.empty() ? DataOptions::Kind::kInstructions : DataOptions::Kind::kRandom;
  d.path = text + shards + instructions;
  if (d.kind == DataOptions::Kind::kText) {
    d.tokens = c.get("data.tokens", "char");
    d.heldout = c.get_in("data.heldout", 0.1, 0.0, 0.9);
  } else if (d.kind == DataOptions::Kind::kShards) {
    d.domain = c.get("data.domain", "");
  }
  for (const char* key : {"data.tokens", "data.heldout"}) {
    if (d.kind != DataOptions::Kind::kText) c.only_for(key, "data.text");
  }
  if (d.kind != DataOptions::Kind::kShards) c.only_for("data.domain", "data.shards");
  d.block = c.get_in("data.length", 64, 1, 1 << 20);
  d.batch = c.get_in("data.batch", 12, 1, 1 << 20);
}

// A share of the past that is kept: with 1 nothing new would be let in, and its correction divides by zero.
double read_beta(Config& c, const char* key, double fallback) {
  const double beta = c.get(key, fallback);
  if (!(beta >= 0 && beta < 1)) c.reject(key, fmt::format("{} is outside [0, 1)", beta));
  return beta;
}

void read_optimizer(Config& c, TrainOptions& o) {
  o.optimizer = c.get("optimizer.kind", "adamw");
  if (o.optimizer != "adamw" && o.optimizer != "sgd") c.reject("optimizer.kind", "is '" + o.optimizer + "': choose adamw or sgd");
  if (o.optimizer == "adamw") {
    o.adamw.beta1 = read_beta(c, "optimizer.beta1", 0.9);
    o.adamw.beta2 = read_beta(c, "optimizer.beta2", 0.999);
    o.adamw.eps = c.get_in("optimizer.eps", 1e-8, 0.0, 1.0);
    c.only_for("optimizer.momentum", "sgd");
  } else {
    o.momentum = c.get_in("optimizer.momentum", 0.0, 0.0, 1.0);
    for (const char* key : {"optimizer.beta1", "optimizer.beta2", "optimizer.eps"}) c.only_for(key, "adamw");
  }
  o.weight_decay = c.get_in("optimizer.weight_decay", 0.1, 0.0, 1e3);
  o.decay_matrices_only = c.get("optimizer.decay_matrices_only", true);
  o.clip = c.get_in("optimizer.clip", 1.0, 0.0, 1e9);
}

void read_schedule(Config& c, TrainOptions& o, const Config* begun) {
  const std::string kind = c.get("schedule.kind", "cosine");
  const auto parsed = framework::schedule_kind(kind);
  if (!parsed.ok()) c.reject("schedule.kind", "is '" + kind + "': choose constant, cosine, linear or wsd");
  if (parsed.ok()) o.schedule.kind = *parsed;
  o.schedule.lr = c.get_in("schedule.lr", 1e-3, 0.0, 1e3);
  o.schedule.min_lr = c.get_in("schedule.min_lr", o.schedule.lr / 10, 0.0, 1e3);
  o.schedule.warmup_steps = c.get_in("schedule.warmup_steps", 0, 0, 1ll << 40);
  const bool decays = o.schedule.kind != framework::Schedule::Kind::kConstant;
  const int64_t usual = begun ? Config(*begun).get("schedule.decay_steps", o.steps) : o.steps;
  o.kept_decay = decays && usual != o.steps && !c.has("schedule.decay_steps");
  o.schedule.decay_steps = c.get_in("schedule.decay_steps", usual, 0, 1ll << 40);
  if (o.schedule.kind == framework::Schedule::Kind::kWSD) {
    o.schedule.stable_steps = c.get_in("schedule.stable_steps", o.schedule.decay_steps * 9 / 10, 0, o.schedule.decay_steps);
  } else {
    c.only_for("schedule.stable_steps", "wsd");
    if (decays && o.schedule.decay_steps < o.schedule.warmup_steps) c.reject("schedule.decay_steps", "lies before the end of the warm-up");
  }
}

}  // namespace

Result<TrainOptions> TrainOptions::read(Config c, const std::string& base, const Config* begun) {
  TrainOptions o;
  o.base = base;
  o.name = c.get("name", base.empty() ? "base" : "tuned");
  o.tokenizer = c.get("tokenizer", "");
  if (base.empty()) {
    read_model(c, o.model);
    c.only_for("lora.", "bgl tune");
  } else {
    o.lora.rank = c.get_in("lora.rank", 0, 0, 4096);
    if (o.lora.rank > 0) o.lora.alpha = c.get_in("lora.alpha", 2.0 * static_cast<double>(o.lora.rank), 1e-6, 1e6);
    c.only_for("lora.alpha", "a lora.rank above 0");
    c.only_for("model.", "bgl train: a tuned model is made as its base is");
  }
  o.steps = c.get_in("train.steps", 1000, 0, 1ll << 40);
  o.accumulate = c.get_in("train.accumulate", 1, 1, 1 << 16);
  o.seed = static_cast<uint64_t>(c.get_in("train.seed", 1337, 0, int64_t{1} << 62));
  read_data(c, o);
  read_optimizer(c, o);
  read_schedule(c, o, begun);
  o.eval_every = c.get_in("evaluate.every", 250, 0, 1ll << 40);
  o.eval_batches = c.get_in("evaluate.batches", 20, 1, 1 << 20);
  o.checkpoint_every = c.get_in("checkpoint.every", 500, 0, 1ll << 40);
  o.checkpoint_keep = c.get_in("checkpoint.keep", 2, 1, 1000);
  BGL_TRY(c.finish());
  o.resolved = c.resolved();
  return o;
}

}  // namespace bgl::train
