// A model against the held-out documents of each domain.
#pragma once

#include <string>
#include <vector>

#include "models/model.h"
#include "train/shards.h"

namespace bgl::train {

struct DomainScore {
  std::string domain;
  double loss = 0;           // nats a token
  double bits_per_byte = 0;  // the figure that does not depend on the tokenizer
  int64_t tokens = 0;
};

// Every held-out token once, in windows of `block` tokens (0: the model's context), at most `max_windows` windows a domain (0: all).
Result<std::vector<DomainScore>> evaluate_domains(models::Model& model, const ShardSet& shards, int64_t block = 0, int64_t max_windows = 0);

}  // namespace bgl::train
