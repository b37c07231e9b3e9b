#include "framework/data.h"

#include <fmt/ranges.h>

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

}  // namespace

Batch make_batch(const std::vector<int64_t>& x, const std::vector<int64_t>& y, int64_t rows, int64_t block) {
  Batch b{Tensor::from_vector(x, {rows, block}), Tensor::from_vector(y, {rows, block}), 0};
  b.counted = std::count_if(y.begin(), y.end(), [](int64_t t) { return t != Batch::kIgnore; });
  return b;
}

void shuffle_epoch(uint64_t seed, int64_t epoch, int64_t n, std::vector<uint32_t>& order) {
  order.resize(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0u);
  for (size_t i = order.size(); i > 1; --i) {
    const uint64_t r = mix(mix(seed ^ mix(static_cast<uint64_t>(epoch))) + i);
    std::swap(order[i - 1], order[r % i]);
  }
}

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
  return make_batch(x, y, batch, block);
}

Result<ShardLoader> ShardLoader::open(const std::vector<std::string>& prefixes, int64_t block, uint64_t seed) {
  ShardLoader l;
  l.block_ = block;
  l.seed_ = seed;
  for (const std::string& prefix : prefixes) {
    BGL_ASSIGN(auto data, text::IndexedDataset::open(prefix));
    if (data.tokens() < 2) continue;
    l.parts_.push_back({std::make_shared<text::IndexedDataset>(std::move(data)), l.windows_});
    const int64_t tokens = l.parts_.back().data->tokens();
    l.windows_ += (tokens - 1 + block - 1) / block;
    l.tokens_ += tokens;
  }
  if (l.windows_ == 0) return invalid_argument("{} hold no two tokens: too few to learn from", fmt::join(prefixes, ", "));
  return l;
}

int64_t ShardLoader::shuffled(int64_t position) {
  if (const int64_t epoch = position / windows_; epoch != epoch_) {
    shuffle_epoch(seed_, epoch, windows_, order_);
    epoch_ = epoch;
  }
  return order_[static_cast<size_t>(position % windows_)];
}

Status ShardLoader::read_window(int64_t window, std::vector<int64_t>& x, std::vector<int64_t>& y) const {
  size_t p = parts_.size() - 1;
  while (parts_[p].first_window > window) --p;
  const text::IndexedDataset& data = *parts_[p].data;
  const int64_t begin = (window - parts_[p].first_window) * block_;
  const int64_t have = std::clamp<int64_t>(data.tokens() - begin, 0, block_ + 1);
  std::vector<int32_t> tokens(static_cast<size_t>(have));
  BGL_TRY(data.read(begin, tokens));
  for (int64_t i = 0; i < block_; ++i) {
    x.push_back(i < have ? tokens[static_cast<size_t>(i)] : 0);
    y.push_back(i + 1 < have ? tokens[static_cast<size_t>(i + 1)] : Batch::kIgnore);
  }
  return Status();
}

Result<Batch> ShardLoader::next(int64_t batch) {
  std::vector<int64_t> x, y;
  for (int64_t b = 0; b < batch; ++b) BGL_TRY(read_window(shuffled(position_++), x, y));
  return make_batch(x, y, batch, block_);
}

Result<Batch> ShardLoader::in_order(int64_t first, int64_t count) const {
  std::vector<int64_t> x, y;
  count = std::min(count, windows_ - first);
  for (int64_t w = first; w < first + count; ++w) BGL_TRY(read_window(w, x, y));
  return make_batch(x, y, std::max<int64_t>(count, 0), block_);
}

}  // namespace bgl::framework
