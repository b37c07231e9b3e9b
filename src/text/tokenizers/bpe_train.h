// Training of byte-level BPE vocabularies: the merges that Hugging Face tokenizers' BpeTrainer finds with the ByteLevel
// alphabet, ties included (the most frequent pair first; of equals the one with the smaller ids). Counts have 64 bits.
//
// Ids: marks in the given order, then the 256 bytes in order of their character in GPT-2's alphabet, then one per merge.
//
// Algorithm: Sennrich et al., https://arxiv.org/abs/1508.07909, on word counts, with an index from pairs to words and a lazy
// heap: time O(text + changed pairs x log), memory O(distinct words). With a bound on memory, words beyond it lie in scratch files,
// and the merges are found in passes over them (internal/merge_search.h): the same ones.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "text/tokenizers/tokenizer.h"

namespace bgl::text {

struct BpeTrainOptions {
  int32_t vocab_size = 8192;                                  // at least marks + 256
  int64_t min_count = 2;                                      // a pair seen less often is not merged
  std::vector<std::string> marks;                             // special tokens; the first is the end-of-text mark
  // For words and where they are; 0: no bound. Pairs of tokens, some 60 bytes each, come on top.
  int64_t memory_bytes = 0;
  std::string scratch;  // a folder for what does not fit; empty: TMPDIR or /tmp
  std::function<void(int32_t done, int32_t total)> progress;  // called now and then, on the calling thread
};

class BpeTrainer {
 public:
  explicit BpeTrainer(BpeTrainOptions options);
  ~BpeTrainer();

  // Counts the words of one document, split as GPT-2 does. Marks in it are ordinary text. Any bytes are accepted. A scratch
  // file that cannot be written is an error of train().
  void add(std::string_view document);
  // Finds the merges. May give fewer tokens than asked when no pair is frequent enough. Call once.
  Result<std::unique_ptr<Tokenizer>> train();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bgl::text
