// Which pairs of tokens a corpus merges, one after the other: of its words, with their counts, the most frequent pair first, of
// equals the one with the smaller ids.
//
// Counts of pairs are exact over all words. Words may lie elsewhere: a pass holds only those with one of the pairs that are
// most frequent at its beginning. A merge changes no other word while it is one of these pairs, or of pairs that came into
// being since; as soon as another pair is the most frequent one, the pass ends.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "text/tokenizers/internal/bpe_merges.h"

namespace bgl::text {

struct TrainWord {
  std::vector<int32_t> tokens;
  int64_t count = 0;
};

class MergeSearch {
 public:
  enum class Step { kMerged, kNoPair, kOtherWords };

  // `pieces`: the bytes of the tokens that words are made of.
  explicit MergeSearch(std::vector<std::string> pieces);

  // Every word once, before the first pass: its pairs are counted.
  void count(const TrainWord& word);
  // Begins a pass. All pairs are looked for, or the most frequent ones that have at most `places_max` places together. Where
  // the first has more alone: false, and the pass is merge_alone() for every word.
  bool begin_pass(std::optional<int64_t> places_max, int64_t min_count);
  // Whether the pass needs this word.
  bool wants(const TrainWord& word) const;
  void hold(TrainWord word);
  // After the pass's words are held, until another result than kMerged: one merge.
  Step step(int64_t min_count);
  // Ends the pass: its words, merged.
  std::vector<TrainWord> release();
  // A pass of the one most frequent pair, word by word; begin_alone() is its merge, nothing when no pair is frequent enough.
  bool begin_alone(int64_t min_count);
  void merge_alone(TrainWord& word);

  size_t size() const { return pieces_.size(); }
  std::vector<std::string> take_pieces() { return std::move(pieces_); }
  std::vector<BpeMerges::Merge> take_merges() { return std::move(merges_); }

 private:
  using Pair = std::pair<int32_t, int32_t>;
  struct PairHash {
    size_t operator()(const Pair& p) const {
      const uint64_t x = (static_cast<uint64_t>(static_cast<uint32_t>(p.first)) << 32 | static_cast<uint32_t>(p.second)) *
                         0x9E3779B97F4A7C15ull;
      return x ^ x >> 29;
    }
  };
  struct Total {
    int64_t count = 0, places = 0;  // places: not weighted with the counts of words
  };
  using WordList = std::vector<uint32_t>;  // indexes of held words, each once
  // A pair with the words it was seen in since the last time it was pushed. The count may be out of date: see step().
  struct Candidate {
    int64_t count = 0;
    Pair pair;
    WordList words = {};
    // The heap's top is the largest count, then the smallest pair.
    bool operator<(const Candidate& o) const { return count != o.count ? count < o.count : pair > o.pair; }
  };

  std::vector<Candidate> by_frequency() const;
  int32_t note_merge(Pair pair);
  void change(Pair pair, int64_t by, std::optional<uint32_t> word);
  void merge_in(TrainWord& word, Pair pair, int32_t merged, std::optional<uint32_t> index);
  void push_touched();

  std::vector<std::string> pieces_;
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<BpeMerges::Merge> merges_;
  std::unordered_map<Pair, Total, PairHash> totals_;

  // Of a pass.
  std::vector<TrainWord> words_;
  bool all_ = true;                                // words are held
  std::unordered_set<Pair, PairHash> looked_for_;  // pairs all of whose words are held, unless all are
  std::optional<Candidate> outside_;               // at most so frequent is every other pair
  std::unordered_map<Pair, WordList, PairHash> touched_;
  std::vector<Candidate> heap_;
  Pair alone_;
  int32_t alone_id_ = 0;
};

}  // namespace bgl::text
