// Batches of tokens for training: windows drawn at random from one long text, or every window of a shard once an epoch in a
// shuffled order that is a function of seed and position alone, so that a run resumes exactly.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/tensor.h"
#include "text/indexed_dataset.h"

namespace bgl::framework {

// x[B, T] and y[B, T] int64: y is x one place on; kIgnore where no loss is taken.
struct Batch {
  static constexpr int64_t kIgnore = -100;
  Tensor x, y;
  int64_t counted = 0;  // elements of y that are not kIgnore
};

// B windows of T + 1 tokens that start at randint(len - T) of the default generator.
Batch random_windows(std::span<const int32_t> tokens, int64_t batch, int64_t block);

class ShardLoader {
 public:
  // `prefix` names .bin and .idx. An error when the shard has fewer than block + 1 tokens.
  static Result<ShardLoader> open(const std::string& prefix, int64_t block, uint64_t seed);
  int64_t windows() const { return windows_; }
  int64_t tokens() const { return data_->tokens(); }
  // Windows handed out since the beginning: all there is to resume from.
  int64_t position() const { return position_; }
  void seek(int64_t position) { position_ = position; }
  Result<Batch> next(int64_t batch);
  // Windows [first, first + count) in the order of the shard; the last may be short (kIgnore past its end).
  Result<Batch> in_order(int64_t first, int64_t count) const;

 private:
  int64_t shuffled(int64_t position);
  std::shared_ptr<text::IndexedDataset> data_;
  int64_t block_ = 0, windows_ = 0, position_ = 0;
  uint64_t seed_ = 0;
  int64_t epoch_ = -1;
  std::vector<uint32_t> order_;  // of the windows in epoch_
};

}  // namespace bgl::framework
