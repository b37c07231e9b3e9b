// Finding documents that are there twice: exactly, by a hash of the normalised text, and nearly, by MinHash with banding
// (Broder 1997; parameters as FineWeb, https://arxiv.org/abs/2406.17557: 5-word shingles, 14 bands of 8 rows, so that two texts
// of Jaccard similarity 0.75 meet with probability 0.77 and of 0.85 with 0.99).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/status.h"
#include "prep/config.h"

namespace bgl::prep {

// Lower case, without punctuation, one space between words: what two copies have in common.
std::string normalised_text(std::string_view text);

struct Signature {
  Hash128 exact;                // of the normalised text
  std::vector<uint64_t> bands;  // one hash per band; empty when near duplicates are not asked for
};
// Cost: words x bands x rows multiplications. The second takes a text that is normalised already.
Signature signature_of(std::string_view text, const DedupConfig& config);
Signature signature_of_normalised(std::string_view normal, const DedupConfig& config);

enum class Verdict : uint8_t {
  kTrain,
  kHeldout,
  kExactDuplicate,  // of an earlier document
  kNearDuplicate,   // of one that is kept: the first of its group
  kLikeHeldout,     // as above, where the kept one is held out: it must not be learnt
};

struct DedupItem {
  Hash128 exact;
  std::span<const uint64_t> bands;
  uint32_t domain = 0;
};
// Calls its argument for every document, in order; judge_duplicates() asks several times, for the same documents.
using EachItem = std::function<Status(const std::function<void(const DedupItem&)>&)>;

struct JudgeOptions {
  int64_t count = 0;  // of documents, below 2^32
  double heldout_share = 0;
  int64_t memory_bytes = int64_t{1} << 30;
};
// The fate of each document, in the given order. A share of the documents is held out, chosen by the hash of the content; where
// that leaves a domain of two or more kept documents without any, the one of smallest hash is held out. Groups of near
// duplicates are connected components. The result depends on the items and their order only.
// Memory: 9 bytes per document, and at most `memory_bytes` for columns of hashes that are sorted: where they do not fit, the
// items are asked for more often, each time for a part of the hashes.
Result<std::vector<Verdict>> judge_duplicates(const EachItem& each, const DedupConfig& config, const JudgeOptions& options);

}  // namespace bgl::prep
