// What is there more than once: lines, paragraphs, runs of words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace bgl::prep {

struct Repeats {
  size_t items = 0, bytes = 0;  // of the second and later copies
};
Repeats repeats(const std::vector<std::string_view>& items);

// Runs of words that are there more than once. Two runs are the same when their words are, whatever white space is between.
//
// A run of n words is there twice only where both runs of n - 1 in it are, so that each length looks at no more places than the
// one before had repeated: of prose, a few per cent for five words.
class WordRuns {
 public:
  explicit WordRuns(const std::vector<std::string_view>& words);
  // Bytes of the words in all copies of the most frequent run of n; of equally frequent ones the longest. 0 when none is there
  // twice. Lengths are asked for in rising order.
  size_t top_bytes(size_t n);
  // Bytes of the words in runs of n that were there before; runs that overlap count once.
  size_t repeated_bytes(size_t n);

 private:
  struct Slot {
    uint64_t hash;
    uint32_t count, first;  // places with this run, and the first of them; count 0 is empty
    bool seen;              // by repeated_bytes()
  };
  struct Place {
    uint32_t at, slot;
  };
  uint64_t hash_of(size_t at, size_t n) const { return prefix_[at + n] - prefix_[at] * power_[n]; }
  size_t bytes_of(size_t at, size_t n) const { return bytes_[at + n] - bytes_[at]; }
  void lengthen_to(size_t n);
  void count_runs(size_t n);
  uint32_t slot_of(uint64_t hash);

  static constexpr size_t kLongest = 16;
  size_t words_;
  std::vector<uint64_t> prefix_;  // polynomial hashes of the words before
  std::vector<size_t> bytes_;     // of the words before
  uint64_t power_[kLongest + 1];
  size_t length_ = 1;          // of the runs that the rest is about
  std::vector<Place> places_;  // where runs of this length begin that are there at least twice, in rising order
  std::vector<Slot> slots_;    // open addressing
};

}  // namespace bgl::prep
