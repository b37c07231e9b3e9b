#include "text/tokenizers/internal/bpe_merges.h"

#include <gtest/gtest.h>

#include <random>

namespace bgl::text {
namespace {

// The definition: merge the pair of lowest rank, the leftmost of equals, until none is left.
std::vector<int32_t> naive(const std::vector<BpeMerges::Merge>& merges, std::vector<int32_t> word) {
  for (;;) {
    size_t best = word.size();
    const BpeMerges::Merge* with = nullptr;
    for (size_t i = 0; i + 1 < word.size(); ++i) {
      for (const BpeMerges::Merge& m : merges) {
        if (m.left == word[i] && m.right == word[i + 1] && (!with || m.rank < with->rank)) best = i, with = &m;
      }
    }
    if (!with) return word;
    word[best] = with->merged;
    word.erase(word.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(BpeMerges, ShortAndLongWordsFollowTheDefinition) {
  std::mt19937 random(21);
  for (int round = 0; round < 300; ++round) {
    std::vector<BpeMerges::Merge> merges;
    const int symbols = 3;
    for (int32_t next = symbols; next < 20; ++next) {
      const auto left = static_cast<int32_t>(random() % static_cast<uint32_t>(next));
      const auto right = static_cast<int32_t>(random() % static_cast<uint32_t>(next));
      bool known = false;
      for (const BpeMerges::Merge& m : merges) known = known || (m.left == left && m.right == right);
      // Every third round merges share ranks, as pieces with equal scores do.
      if (!known) merges.push_back({left, right, next, round % 3 ? next : next / 3});
    }
    // And in some rounds a merge makes a pair that goes before it.
    if (round % 4 == 1) {
      for (BpeMerges::Merge& m : merges) m.rank = static_cast<int32_t>(random() % 12) * 100 + m.merged;
    }
    const BpeMerges table(merges);
    for (const size_t length : {1, 2, 5, 40, 47, 48, 49, 130}) {
      std::vector<int32_t> word(length);
      for (int32_t& id : word) id = static_cast<int32_t>(random() % symbols);
      const std::vector<int32_t> expected = naive(merges, word);
      table.apply(word);
      ASSERT_EQ(word, expected) << "round " << round << " length " << length;
    }
  }
}

TEST(BpeMerges, AMegabyteOfOneWordIsFast) {
  std::vector<BpeMerges::Merge> merges;
  for (int32_t i = 0; i < 12; ++i) merges.push_back({i, i, i + 1});
  std::vector<int32_t> word(1 << 20, 0);
  BpeMerges(merges).apply(word);
  EXPECT_EQ(word.size(), (1u << 20) >> 12);
}

}  // namespace
}  // namespace bgl::text
