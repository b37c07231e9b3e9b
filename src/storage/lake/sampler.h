// Training samples straight from a lake: every file once an epoch, in an order that looks random and needs no list.
//
// The order is a permutation of the record numbers by a Feistel network of four rounds, keyed by seed and epoch; numbers beyond
// the count are walked over (Black and Rogaway 2002, "Ciphers with arbitrary finite domains"). Record i of it belongs to rank
// i mod world. The whole state is one number, so a run resumes exactly, and with another world size too.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "storage/lake/lake.h"

namespace bgl::storage {

struct SamplerOptions {
  uint64_t seed = 1;
  int64_t rank = 0;
  int64_t world = 1;
  // Places of the epochs' orders, of all ranks together, that were read before: position() of the run that is resumed.
  int64_t position = 0;
};

class LakeSampler {
 public:
  // The lake must outlive the sampler and not change: a seal or merge gives the records other numbers.
  static Result<LakeSampler> open(Lake& lake, SamplerOptions options);

  // The next `count` files of this rank, read with one request per file in disk order and given in the order of sampling;
  // epochs follow one another. Fewer only where the lake has no file at all.
  Result<std::vector<LakeFile>> next(int64_t count);
  int64_t position() const { return position_; }
  int64_t epoch() const { return records_ == 0 ? 0 : position_ / records_; }

 private:
  LakeSampler(Lake& lake, SamplerOptions options, int64_t records)
      : lake_(&lake), options_(options), records_(records), position_(options.position) {}
  int64_t number_at(int64_t position) const;
  Lake* lake_;
  SamplerOptions options_;
  int64_t records_;
  int64_t position_;
};

}  // namespace bgl::storage
