#include "storage/lake/sampler.h"

#include <algorithm>
#include <bit>

#include "base/hash.h"

namespace bgl::storage {
namespace {

constexpr int kRounds = 4;

uint64_t round_key(uint64_t half, uint64_t seed, uint64_t epoch, int round) {
  const uint64_t words[] = {half, seed, epoch, static_cast<uint64_t>(round)};
  return hash64({reinterpret_cast<const char*>(words), sizeof words});
}

// A permutation of [0, 2^(2 bits)).
uint64_t permute(uint64_t value, int bits, uint64_t seed, uint64_t epoch) {
  const uint64_t mask = (uint64_t{1} << bits) - 1;
  uint64_t left = value >> bits, right = value & mask;
  for (int round = 0; round < kRounds; ++round) {
    left ^= round_key(right, seed, epoch, round) & mask;
    std::swap(left, right);
  }
  return left << bits | right;
}

}  // namespace

Result<LakeSampler> LakeSampler::open(Lake& lake, SamplerOptions options) {
  if (options.world < 1 || options.rank < 0 || options.rank >= options.world || options.position < 0) {
    return invalid_argument("rank {} of {} at position {}: the rank must be in [0, world), the position at least 0",
                            options.rank, options.world, options.position);
  }
  BGL_ASSIGN(const int64_t records, lake.record_count());
  return LakeSampler(lake, options, records);
}

int64_t LakeSampler::number_at(int64_t position) const {
  const auto count = static_cast<uint64_t>(records_);
  const int bits = (std::bit_width(count - 1) + 1) / 2;
  auto value = static_cast<uint64_t>(position % records_);
  // The domain is at most four times the count, so this ends after four steps on average.
  do {
    value = permute(value, bits, options_.seed, static_cast<uint64_t>(position / records_));
  } while (value >= count);
  return static_cast<int64_t>(value);
}

Result<std::vector<LakeFile>> LakeSampler::next(int64_t count) {
  std::vector<LakeFile> files;
  // A lake of nothing but replaced and removed records ends the search after a whole epoch without a file.
  int64_t without_file = 0;
  while (static_cast<int64_t>(files.size()) < count && without_file < records_) {
    std::vector<int64_t> numbers;
    const int64_t wanted = count - static_cast<int64_t>(files.size());
    for (; static_cast<int64_t>(numbers.size()) < wanted; ++position_) {
      if (position_ % options_.world == options_.rank) numbers.push_back(number_at(position_));
    }
    BGL_ASSIGN(auto read, lake_->read_records(numbers));
    for (auto& file : read) {
      if (file) files.push_back(*std::move(file));
      without_file = file ? 0 : without_file + 1;
    }
  }
  return files;
}

}  // namespace bgl::storage
