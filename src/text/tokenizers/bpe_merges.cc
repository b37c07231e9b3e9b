#include "text/tokenizers/internal/bpe_merges.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <functional>
#include <queue>
#include <unordered_map>

namespace bgl::text {
namespace {

constexpr size_t kShortWord = 48;

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}
uint64_t mix(uint64_t x) {
  x *= 0x9E3779B97F4A7C15ull;
  return x ^ x >> 32;
}

}  // namespace

BpeMerges::BpeMerges(std::vector<Merge> merges) : list_(std::move(merges)) {
  size_t capacity = 16;
  while (capacity < list_.size() * 2) capacity *= 2;
  slots_.assign(capacity, Slot{0, kNoRank, -1});
  mask_ = capacity - 1;
  of_bytes_.resize(kByteIds * kByteIds);
  for (size_t i = 0; i < list_.size(); ++i) {
    Merge& merge = list_[i];
    if (merge.rank < 0) merge.rank = static_cast<int32_t>(i);
    const uint64_t pair = pair_key(merge.left, merge.right);
    uint64_t slot = mix(pair) & mask_;
    while (slots_[slot].rank != kNoRank && slots_[slot].pair != pair) slot = (slot + 1) & mask_;
    slots_[slot] = {pair, merge.rank, merge.merged};
    if (both_bytes(merge.left, merge.right)) of_bytes_[static_cast<size_t>(merge.left) * kByteIds + static_cast<size_t>(merge.right)] = {merge.rank, merge.merged};
  }
}

BpeMerges::Found BpeMerges::find(int32_t left, int32_t right) const {
  if (both_bytes(left, right)) return of_bytes_[static_cast<size_t>(left) * kByteIds + static_cast<size_t>(right)];
  const uint64_t pair = pair_key(left, right);
  uint64_t i = mix(pair) & mask_;
  while (slots_[i].rank != kNoRank && slots_[i].pair != pair) i = (i + 1) & mask_;
  return {slots_[i].rank, slots_[i].merged};
}

void BpeMerges::apply(std::vector<int32_t>& word) const {
  if (word.size() < 2 || list_.empty()) return;
  word.size() <= kShortWord ? apply_short(word) : apply_long(word);
}

void BpeMerges::apply_short(std::vector<int32_t>& word) const {
  int32_t rank[kShortWord], merged[kShortWord];  // of the pair that begins at i
  size_t n = word.size();
  const auto look = [&](size_t i) {
    const Found found = i + 1 < n ? find(word[i], word[i + 1]) : Found{};
    rank[i] = found.rank;
    merged[i] = found.merged;
  };
  for (size_t i = 0; i < n; ++i) look(i);
  for (;;) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < n; ++i) {
      if (rank[i] < rank[best]) best = i;
    }
    if (rank[best] == kNoRank) break;
    word[best] = merged[best];
    --n;
    const size_t after = (n - best - 1) * sizeof(int32_t);
    std::memmove(word.data() + best + 1, word.data() + best + 2, after);
    std::memmove(rank + best + 1, rank + best + 2, after);
    std::memmove(merged + best + 1, merged + best + 2, after);
    look(best);
    if (best > 0) look(best - 1);
    if (n == 1) break;
  }
  word.resize(n);
}

// Where pairs of one rank begin. Nearly all are found from left to right, as those of a run of spaces are, and lie in that order; the heap
// has the others.
class BpeMerges::Places {
 public:
  bool empty() const { return at_ == ordered_.size() && late_.empty(); }
  void add(uint32_t left) {
    if (ordered_.empty() || left > ordered_.back()) return ordered_.push_back(left);
    late_.push(left);
  }
  uint32_t take_leftmost() {
    if (late_.empty() || (at_ < ordered_.size() && ordered_[at_] < late_.top())) return ordered_[at_++];
    const uint32_t left = late_.top();
    late_.pop();
    return left;
  }

 private:
  std::vector<uint32_t> ordered_;
  size_t at_ = 0;
  std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> late_;
};

void BpeMerges::apply_long(std::vector<int32_t>& word) const {
  const size_t n = word.size();
  std::vector<uint32_t> next(n), previous(n);
  std::unordered_map<int32_t, Places> places;  // by rank
  std::priority_queue<int32_t, std::vector<int32_t>, std::greater<>> ranks;  // that have places
  const auto offer = [&](size_t left) {
    if (next[left] >= n) return;
    const int32_t rank = find(word[left], word[next[left]]).rank;
    if (rank == kNoRank) return;
    Places& p = places[rank];
    if (p.empty()) ranks.push(rank);
    p.add(static_cast<uint32_t>(left));
  };
  for (size_t i = 0; i < n; ++i) {
    next[i] = static_cast<uint32_t>(i + 1);
    previous[i] = static_cast<uint32_t>(i) - 1;  // wraps for i = 0: "none"
  }
  for (size_t i = 0; i + 1 < n; ++i) offer(i);
  while (!ranks.empty()) {
    const int32_t rank = ranks.top();
    Places& p = places.at(rank);
    // A lower rank may come up, which goes first.
    while (!p.empty() && ranks.top() == rank) {
      // A place is stale when either of its tokens has been merged since; merged-away tokens hold -1.
      const size_t left = p.take_leftmost(), right = next[left];
      if (word[left] < 0 || right >= n) continue;
      const Found found = find(word[left], word[right]);
      if (found.rank != rank) continue;
      word[left] = found.merged;
      word[right] = -1;
      next[left] = next[right];
      if (next[left] < n) previous[next[left]] = static_cast<uint32_t>(left);
      if (previous[left] < n) offer(previous[left]);
      offer(left);
    }
    if (p.empty() && ranks.top() == rank) ranks.pop();
  }
  std::erase(word, -1);
}

}  // namespace bgl::text
