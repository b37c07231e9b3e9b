// Batches of tokens for training: windows drawn at random from one long text, or every window of a shard once an epoch in a
// shuffled order that is a function of seed and position alone, so that a run resumes exactly.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/tensor.h"
#include "text/files/indexed_dataset.h"

namespace bgl::framework {

// x[B, T] and y[B, T] int64: y is x one place on; kIgnore where no loss is taken.
struct Batch {
  static constexpr int64_t kIgnore = -100;
  Tensor x, y;
  int64_t counted = 0;  // elements of y that are not kIgnore
};

// B windows of T + 1 tokens that start at randint(len - T) of the default generator.
Batch random_windows(std::span<const int32_t> tokens, int64_t batch, int64_t block);

// Windows of T + 1 tokens, T apart, of one or more shards seen as one after the other; no window crosses from one into the next.
class ShardLoader {
 public:
  // Each prefix names .bin and .idx. An error when all of them together have fewer than 2 tokens.
  static Result<ShardLoader> open(const std::vector<std::string>& prefixes, int64_t block, uint64_t seed);
  int64_t windows() const { return windows_; }
  int64_t tokens() const { return tokens_; }
  // Windows handed out since the beginning: all there is to resume from.
  int64_t position() const { return position_; }
  void seek(int64_t position) { position_ = position; }
  Result<Batch> next(int64_t batch);
  // Windows [first, first + count) in the order of the shards; a shard's last may be short (kIgnore past its end), and there are
  // none past windows().
  Result<Batch> in_order(int64_t first, int64_t count) const;

 private:
  struct Part {
    std::shared_ptr<text::IndexedDataset> data;
    int64_t first_window = 0;
  };
  int64_t shuffled(int64_t position);
  Status read_window(int64_t window, std::vector<int64_t>& x, std::vector<int64_t>& y) const;
  std::vector<Part> parts_;
  int64_t block_ = 0, windows_ = 0, tokens_ = 0, position_ = 0;
  uint64_t seed_ = 0;
  int64_t epoch_ = -1;
  std::vector<uint32_t> order_;  // of the windows in epoch_
};

// The order of n items in an epoch, a function of seed and epoch alone.
void shuffle_epoch(uint64_t seed, int64_t epoch, int64_t n, std::vector<uint32_t>& order);
// Tokens x[B, T] and y[B, T] as a batch.
Batch make_batch(const std::vector<int64_t>& x, const std::vector<int64_t>& y, int64_t rows, int64_t block);

}  // namespace bgl::framework
