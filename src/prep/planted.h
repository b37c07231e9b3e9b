// Documents among which duplicates of known similarity are planted, and how many of them are found: what `bgl bench prep`
// prints and the tests demand.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "prep/config.h"

namespace bgl::prep {

struct Planted {
  enum class Kind : uint8_t {
    kOriginal,
    kExact,  // an original in other letters and punctuation
    kNear,   // an original with words changed, at a Jaccard similarity of 0.88 to 0.92 of their five-word shingles
    kAlike,  // shares some 0.4 with an original: no duplicate
  };
  std::vector<std::string> texts;
  std::vector<Kind> kinds;  // of the texts
};
// `originals` of each kind, 200 to 600 words each; the originals come first.
Planted plant_duplicates(size_t originals, uint64_t seed);

struct DuplicateScore {
  double exact_recall = 0, near_recall = 0;  // the share of the planted that is dropped
  double precision = 0;                      // the share of the dropped that is planted
};
Result<DuplicateScore> score_duplicates(const Planted& planted, const DedupConfig& config);

// The Jaccard similarity of two texts' shingles of n words, by definition.
double jaccard(const std::vector<std::string>& a, const std::vector<std::string>& b, size_t n);

}  // namespace bgl::prep
