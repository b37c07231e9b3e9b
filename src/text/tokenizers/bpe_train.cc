#include "text/tokenizers/bpe_train.h"

#include <algorithm>
#include <unordered_map>

#include "text/tokenizers/internal/byte_alphabet.h"
#include "text/tokenizers/internal/byte_bpe.h"

namespace bgl::text {
namespace {

using Pair = std::pair<int32_t, int32_t>;
struct PairHash {
  size_t operator()(const Pair& p) const {
    const uint64_t x =
        (static_cast<uint64_t>(static_cast<uint32_t>(p.first)) << 32 | static_cast<uint32_t>(p.second)) * 0x9E3779B97F4A7C15ull;
    return x ^ x >> 29;
  }
};

struct TrainWord {
  std::vector<int32_t> tokens;
  int64_t count;
};
using WordList = std::vector<uint32_t>;  // indexes of words, each once

// A pair with the words it was seen in since the last time it was pushed. The count may be out of date: see pop.
struct Candidate {
  int64_t count;
  Pair pair;
  WordList words;
  // The heap's top is the largest count, then the smallest pair.
  bool operator<(const Candidate& o) const { return count != o.count ? count < o.count : pair > o.pair; }
};

class MergeSearch {
 public:
  MergeSearch(std::vector<TrainWord> words, std::vector<std::string> pieces)
      : words_(std::move(words)), pieces_(std::move(pieces)) {
    for (size_t id = 0; id < pieces_.size(); ++id) ids_[pieces_[id]] = static_cast<int32_t>(id);
    for (uint32_t w = 0; w < words_.size(); ++w) {
      const std::vector<int32_t>& t = words_[w].tokens;
      for (size_t i = 0; i + 1 < t.size(); ++i) change({t[i], t[i + 1]}, words_[w].count, w);
    }
    push_touched();
  }

  // One merge; false when no pair is frequent enough.
  bool step(int64_t min_count) {
    Candidate top;
    for (;;) {
      if (heap_.empty()) return false;
      std::pop_heap(heap_.begin(), heap_.end());
      top = std::move(heap_.back());
      heap_.pop_back();
      const int64_t now = counts_[top.pair];
      if (now == top.count) break;
      if (now <= 0) continue;
      top.count = now;
      heap_.push_back(std::move(top));
      std::push_heap(heap_.begin(), heap_.end());
    }
    if (top.count < std::max<int64_t>(min_count, 1)) return false;
    // Two pairs may spell the same token ("ab"+"c", "a"+"bc"); then both merge into one id.
    std::string text = pieces_[static_cast<size_t>(top.pair.first)] + pieces_[static_cast<size_t>(top.pair.second)];
    const auto [it, fresh] = ids_.try_emplace(text, static_cast<int32_t>(pieces_.size()));
    if (fresh) pieces_.push_back(std::move(text));
    merges_.push_back({top.pair.first, top.pair.second, it->second});
    for (const uint32_t w : top.words) merge_in(w, top.pair, it->second);
    push_touched();
    return true;
  }

  size_t size() const { return pieces_.size(); }
  std::vector<std::string> take_pieces() { return std::move(pieces_); }
  std::vector<BpeMerges::Merge> take_merges() { return std::move(merges_); }

 private:
  void change(Pair pair, int64_t by, uint32_t word) {
    counts_[pair] += by;
    if (by <= 0) return;
    WordList& list = touched_[pair];
    if (list.empty() || list.back() != word) list.push_back(word);
  }

  void merge_in(uint32_t word, Pair pair, int32_t merged) {
    std::vector<int32_t>& t = words_[word].tokens;
    const int64_t count = words_[word].count;
    size_t out = 0;
    for (size_t i = 0; i < t.size(); ++i) {
      if (t[i] != pair.first || i + 1 >= t.size() || t[i + 1] != pair.second) {
        t[out++] = t[i];
        continue;
      }
      if (out > 0) {
        change({t[out - 1], pair.first}, -count, word);
        change({t[out - 1], merged}, count, word);
      }
      if (i + 2 < t.size()) {
        change({pair.second, t[i + 2]}, -count, word);
        change({merged, t[i + 2]}, count, word);
      }
      t[out++] = merged;
      ++i;
    }
    t.resize(out);
  }

  void push_touched() {
    for (auto& [pair, words] : touched_) {
      const int64_t count = counts_[pair];
      if (count <= 0) continue;
      heap_.push_back({count, pair, std::move(words)});
      std::push_heap(heap_.begin(), heap_.end());
    }
    touched_.clear();
  }

  std::vector<TrainWord> words_;
  std::vector<std::string> pieces_;
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<BpeMerges::Merge> merges_;
  std::unordered_map<Pair, int64_t, PairHash> counts_;
  std::unordered_map<Pair, WordList, PairHash> touched_;
  std::vector<Candidate> heap_;
};

}  // namespace

struct BpeTrainer::State {
  struct StringHash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return XXH3_64bits(s.data(), s.size()); }
  };
  BpeTrainOptions options;
  std::unordered_map<std::string, int64_t, StringHash, std::equal_to<>> words;
};

BpeTrainer::BpeTrainer(BpeTrainOptions options) : state_(new State{std::move(options), {}}) {}
BpeTrainer::~BpeTrainer() = default;

void BpeTrainer::add(std::string_view document) {
  for_each_word(PreTokenizer{}, document, [&](std::string_view word) {
    auto it = state_->words.find(word);
    if (it == state_->words.end()) it = state_->words.emplace(std::string(word), 0).first;
    ++it->second;
  });
}

Result<std::unique_ptr<Tokenizer>> BpeTrainer::train() {
  const BpeTrainOptions& options = state_->options;
  const size_t first = options.marks.size() + 256;
  if (options.vocab_size < 0 || static_cast<size_t>(options.vocab_size) < first) {
    return invalid_argument("a vocabulary of {} is too small: {} marks and 256 bytes need {}", options.vocab_size,
                            options.marks.size(), first);
  }
  std::vector<std::string> pieces = options.marks;
  std::vector<AddedToken> added;
  for (size_t i = 0; i < options.marks.size(); ++i) added.push_back({options.marks[i], static_cast<int32_t>(i)});
  std::vector<int> bytes(256);
  for (int b = 0; b < 256; ++b) bytes[static_cast<size_t>(b)] = b;
  std::sort(bytes.begin(), bytes.end(),
            [](int a, int b) { return byte_to_char(static_cast<uint8_t>(a)) < byte_to_char(static_cast<uint8_t>(b)); });
  int32_t byte_ids[256];
  for (const int b : bytes) {
    byte_ids[b] = static_cast<int32_t>(pieces.size());
    pieces.push_back(std::string(1, static_cast<char>(b)));
  }
  std::vector<TrainWord> words;
  words.reserve(state_->words.size());
  for (const auto& [text, count] : state_->words) {
    TrainWord word{{}, count};
    for (const char b : text) word.tokens.push_back(byte_ids[static_cast<uint8_t>(b)]);
    words.push_back(std::move(word));
  }
  state_->words.clear();

  MergeSearch search(std::move(words), std::move(pieces));
  while (search.size() < static_cast<size_t>(options.vocab_size) && search.step(options.min_count)) {
    if (options.progress && search.size() % 64 == 0) options.progress(static_cast<int32_t>(search.size()), options.vocab_size);
  }
  ByteBpeTokenizer::Parts parts;
  parts.merges = search.take_merges();
  parts.pieces = search.take_pieces();
  BGL_ASSIGN(std::unique_ptr<ByteBpeTokenizer> out, ByteBpeTokenizer::create(std::move(parts), std::move(added), "training"));
  if (!options.marks.empty()) out->set_marks(0, 0, false);
  return std::unique_ptr<Tokenizer>(std::move(out));
}

}  // namespace bgl::text
