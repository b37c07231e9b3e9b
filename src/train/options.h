// What a run of training is, read from its TOML. examples/*.toml show every table.
#pragma once

#include <cstdint>
#include <string>

#include "base/config.h"
#include "framework/optim.h"
#include "models/config.h"

namespace bgl::train {

struct DataOptions {
  enum class Kind : uint8_t {
    kText,          // one text file, random windows
    kShards,        // a folder of `bgl prep tokenize`, every window once an epoch
    kInstructions,  // JSON lines with prompt and answer; loss on answers alone
    kRandom,        // random tokens, one batch for all steps: for measuring
  } kind = Kind::kText;
  std::string path;
  std::string domain;         // of shards; empty: all of them, one after the other
  std::string tokens = "char";  // of text: "char" (its sorted characters are the vocabulary) or a tokenizer's path
  double heldout = 0.1;       // of text: the last part, kept for validation
  int64_t block = 64;         // tokens of one sequence
  int64_t batch = 12;         // sequences of one micro-batch
};

struct LoraOptions {
  int64_t rank = 0;  // 0: all weights are trained
  double alpha = 16;
};

struct TrainOptions {
  std::string name = "model";  // of the model in its lineage
  std::string base;            // the model to tune; empty: a new one from [model]
  std::string tokenizer;       // a model folder gets its tokenizer.json from here (or from the data, or the base)
  models::ModelConfig model;
  DataOptions data;
  LoraOptions lora;
  int64_t steps = 1000;
  int64_t accumulate = 1;  // micro-batches of one step
  uint64_t seed = 1337;
  std::string optimizer = "adamw";
  framework::AdamWOptions adamw;
  double momentum = 0;
  double weight_decay = 0.1;
  bool decay_matrices_only = true;
  double clip = 1.0;  // 0: off
  framework::Schedule schedule;
  int64_t eval_every = 250;
  int64_t eval_batches = 20;
  int64_t checkpoint_every = 500;
  int64_t checkpoint_keep = 2;
  bool kept_decay = false;  // schedule.decay_steps is that of the run's beginning, not `steps`
  std::string resolved;     // the whole configuration as TOML

  // Errors name file, line and key; an unknown key suggests the nearest. `base` not empty: tuning, and [model] is not allowed. `begun`: the
  // configuration of the run that is gone on with; a schedule.decay_steps that `config` does not name stays as it is there, so that
  // train.steps can be raised.
  static Result<TrainOptions> read(Config config, const std::string& base = "", const Config* begun = nullptr);
};

}  // namespace bgl::train
