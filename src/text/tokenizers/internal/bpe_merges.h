// Byte-pair merging of one word: while some adjacent pair of tokens has a merge, the pair with the lowest rank is merged, the
// leftmost first among equals. Words of up to 48 tokens scan an array; longer ones keep the places of every rank in order, so that the
// cost grows with the length alone: a megabyte without a space, or of nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace bgl::text {

class BpeMerges {
 public:
  struct Merge {
    int32_t left, right;  // ids
    int32_t merged;       // id of the pair's concatenation
    int32_t rank = -1;    // -1: the place in the list; equal ranks go left to right
  };
  BpeMerges() = default;
  // Of two entries for one pair the later counts, as in Hugging Face tokenizers.
  explicit BpeMerges(std::vector<Merge> merges);

  // Merges `word`, given as the ids of its smallest units, in place.
  void apply(std::vector<int32_t>& word) const;
  const std::vector<Merge>& list() const { return list_; }

 private:
  struct Slot {
    uint64_t pair;
    int32_t rank;
    int32_t merged;
  };
  static constexpr int32_t kNoRank = INT32_MAX;
  struct Found {
    int32_t rank = kNoRank, merged = -1;
  };
  Found find(int32_t left, int32_t right) const;
  void apply_short(std::vector<int32_t>& word) const;
  class Places;
  void apply_long(std::vector<int32_t>& word) const;

  std::vector<Merge> list_;
  std::vector<Slot> slots_;  // open addressing, a power of two, at most half full
  // Pairs of the first ids, which are those of bytes: what every word begins with.
  static constexpr size_t kByteIds = 256;
  std::vector<Found> of_bytes_;
  static bool both_bytes(int32_t left, int32_t right) { return (static_cast<uint32_t>(left) | static_cast<uint32_t>(right)) < kByteIds; }
  uint64_t mask_ = 0;
};

}  // namespace bgl::text
