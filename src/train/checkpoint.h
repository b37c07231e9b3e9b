// The state of a run as a checkpoint in boxes: parameters, optimizer, the batch drawn for the coming step, and where the random
// streams and the data stand.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "framework/data.h"
#include "framework/optim.h"
#include "models/model.h"

namespace bgl::train {

struct RunState {
  int64_t step = 0;
  std::string source;     // Source::state()
  std::string generator;  // of torch's stream
  std::string data;       // Source::hash of what was trained on; empty in checkpoints that do not say
  std::string tokenizer;  // the hash of the tokenizer.json that the model gets; empty likewise
};

struct Resumed {
  RunState state;
  std::vector<framework::Batch> next;
};

Status write_checkpoint(const std::string& dir, models::Model& model, framework::Optimizer& optimizer, const std::vector<framework::Batch>& next,
                        const RunState& state, int64_t keep);

// What the newest complete step says of itself, without its tensors; empty when there is none. Errors as of read_checkpoint().
Result<std::optional<RunState>> newest_state(const std::string& dir);

// Fills model and optimizer from the newest complete step; empty when there is none. Damage is an error that names file and tensor
// and says how to go on.
Result<std::optional<Resumed>> read_checkpoint(const std::string& dir, models::Model& model, framework::Optimizer& optimizer);

}  // namespace bgl::train
