// A run of training or tuning, from its options to a model folder. RUN holds:
//   config.toml             the resolved configuration; another one is refused for the same RUN
//   log.jsonl               run_log.h
//   checkpoints/step-N/     resumable states
//   model/                  the finished model, a Hugging Face folder
//   adapter/                the low-rank parts, when LoRA tuned
//   report.html             loss, learning rate and throughput as plots
//   profile.json            where the time and memory of some steps went, when they were measured: profile/profile.h
#pragma once

#include <string>

#include "train/options.h"

namespace bgl::train {

struct RunSummary {
  int64_t steps = 0;
  double last_loss = 0, val_loss = 0;
  double tokens_per_s = 0;  // median over the steps of this process
  std::string weights_hash;
  bool nothing_to_do = false;
  bool profiled = false;  // profile.json was written
};

struct RunExtras {
  bool profile = false;  // measure up to 10 steps of this process after its first 3, or its last one where there are fewer
};

// Goes on where RUN's newest checkpoint stopped; does nothing when RUN is finished. SIGKILL at any point and the same call again
// end with the same bits. Errors: another process works on RUN; another configuration; data or a tokenizer other than those it
// began with; data and model that do not fit; a loss
// that is not a number.
Result<RunSummary> run_training(const TrainOptions& options, const std::string& run_dir, const RunExtras& extras = {});

}  // namespace bgl::train
