// Where a run's batches come from. A source draws training batches in an order that its state() resumes exactly, and evaluation
// batches.
#pragma once

#include <memory>
#include <string>

#include "framework/data.h"
#include "text/tokenizers/tokenizer.h"
#include "train/options.h"

namespace bgl::train {

using framework::Batch;

class Source {
 public:
  virtual ~Source() = default;
  virtual Result<Batch> next(int64_t batch) = 0;
  // Batch `index` of an evaluation: of the training part, or of the held-out one. A null x: there is none.
  virtual Result<Batch> evaluation(bool heldout, int64_t index, int64_t batch) = 0;
  virtual bool has_heldout() const { return true; }
  virtual std::string state() const = 0;
  virtual Status set_state(const std::string& state) = 0;

  int64_t vocab = 0;
  double bytes_per_token = 0;        // of the held-out part; 0: unknown
  std::string hash;                  // of the data
  std::string tokenizer_json;        // empty: the source has none of its own
};

// `block` may not exceed the model's context. Errors name the file.
Result<std::unique_ptr<Source>> open_source(const DataOptions& options, const text::Tokenizer* tokenizer, int64_t vocab, uint64_t seed);

}  // namespace bgl::train
