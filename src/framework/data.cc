#include "framework/data.h"

#include <algorithm>
#include <numeric>

#include "framework/random.h"

namespace bgl::framework {
namespace {

// splitmix64: a good 64-bit mix of a counter. Ref: Steele, Lea, Flood 2014.
uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

Batch batch_of(const std::vector<int64_t>& x, const std::vector<int64_t>& y, int64_t rows, int64_t block) {
  Batch b{Tensor::from_vector(x, {rows, block}), Tensor::from_vector(y, {rows, block}), 0};
  b.counted = std::count_if(y.begin(), y.end(), [](int64_t t) { return t != Batch::kIgnore; });
  return b;
}

}  // namespace

Batch random_windows(std::span<const int32_t> tokens, int64_t batch, int64_t block) {
  const auto n = static_cast<int64_t>(tokens.size());
  BGL_REQUIRE(n > block, "[random_windows] {} tokens are too few for a block of {}", n, block);
  std::vector<int64_t> starts(static_cast<size_t>(batch)), x, y;
  ops::default_generator().randint(starts, 0, n - block);
  for (const int64_t s : starts) {
    for (int64_t i = 0; i < block; ++i) {
      x.push_back(tokens[static_cast<size_t>(s + i)]);
      y.push_back(tokens[static_cast<size_t>(s + i + 1)]);
    }
  }
  return batch_of(x, y, batch, block);
}

Result<ShardLoader> ShardLoader::open(const std::string& prefix, int64_t block, uint64_t seed) {
  BGL_ASSIGN(auto data, text::IndexedDataset::open(prefix));
  ShardLoader l;
  l.block_ = block;
  l.seed_ = seed;
  if (data.tokens() < 2) return invalid_argument("{}.bin holds {} tokens: too few to learn from", prefix, data.tokens());
  // A shard shorter than a window is one short window.
  l.windows_ = std::max<int64_t>(1, (data.tokens() - 1) / block);
  l.data_ = std::make_shared<text::IndexedDataset>(std::move(data));
  return l;
}

int64_t ShardLoader::shuffled(int64_t position) {
  const int64_t epoch = position / windows_;
  if (epoch != epoch_) {
    order_.resize(static_cast<size_t>(windows_));
    std::iota(order_.begin(), order_.end(), 0u);
    for (size_t i = order_.size(); i > 1; --i) {
      const uint64_t r = mix(mix(seed_ ^ mix(static_cast<uint64_t>(epoch))) + i);
      std::swap(order_[i - 1], order_[r % i]);
    }
    epoch_ = epoch;
  }
  return order_[static_cast<size_t>(position % windows_)];
}

Result<Batch> ShardLoader::next(int64_t batch) {
  std::vector<int64_t> x, y;
  for (int64_t b = 0; b < batch; ++b) {
    BGL_ASSIGN(Batch one, in_order(shuffled(position_), 1));
    const auto ox = one.x.to_int_vector(), oy = one.y.to_int_vector();
    x.insert(x.end(), ox.begin(), ox.end());
    y.insert(y.end(), oy.begin(), oy.end());
    ++position_;
  }
  return batch_of(x, y, batch, block_);
}

Result<Batch> ShardLoader::in_order(int64_t first, int64_t count) const {
  std::vector<int64_t> x, y;
  std::vector<int32_t> window(static_cast<size_t>(block_ + 1));
  for (int64_t w = first; w < first + count; ++w) {
    const int64_t begin = w * block_;
    const int64_t have = std::clamp<int64_t>(data_->tokens() - begin, 0, block_ + 1);
    BGL_TRY(data_->read(begin, std::span(window).first(static_cast<size_t>(have))));
    for (int64_t i = 0; i < block_; ++i) {
      x.push_back(i < have ? window[static_cast<size_t>(i)] : 0);
      y.push_back(i + 1 < have ? window[static_cast<size_t>(i + 1)] : Batch::kIgnore);
    }
  }
  return batch_of(x, y, count, block_);
}

}  // namespace bgl::framework
