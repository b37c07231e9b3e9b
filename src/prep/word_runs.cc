#include "prep/internal/word_runs.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/hash.h"

namespace bgl::prep {
namespace {

constexpr uint64_t kBase = 0x9E3779B97F4A7C15ull;

// Most words are short: those of up to seven bytes fit a number with their length, and no two of them have one hash.
uint64_t hash_of_word(std::string_view word) {
  if (word.size() > 7) return hash64(word);
  uint64_t bytes = 0;
  std::memcpy(&bytes, word.data(), word.size());
  const uint64_t h = (bytes ^ word.size() << 56) * 0xD6E8FEB86659FD93ull;
  return (h ^ h >> 32) * 0xD6E8FEB86659FD93ull;
}

}  // namespace

Repeats repeats(const std::vector<std::string_view>& items) {
  Repeats out;
  std::vector<std::pair<uint64_t, size_t>> hashes(items.size());
  for (size_t i = 0; i < items.size(); ++i) hashes[i] = {hash64(items[i]), items[i].size()};
  std::sort(hashes.begin(), hashes.end());
  for (size_t i = 1; i < hashes.size(); ++i) {
    if (hashes[i] != hashes[i - 1]) continue;
    ++out.items;
    out.bytes += hashes[i].second;
  }
  return out;
}

WordRuns::WordRuns(const std::vector<std::string_view>& words) : words_(words.size()), prefix_(words_ + 1), bytes_(words_ + 1) {
  for (size_t i = 0; i < words_; ++i) {
    prefix_[i + 1] = prefix_[i] * kBase + hash_of_word(words[i]);
    bytes_[i + 1] = bytes_[i] + words[i].size();
  }
  power_[0] = 1;
  for (size_t n = 1; n <= kLongest; ++n) power_[n] = power_[n - 1] * kBase;
  places_.resize(words_);
  for (size_t i = 0; i < words_; ++i) places_[i].at = static_cast<uint32_t>(i);
}

uint32_t WordRuns::slot_of(uint64_t hash) {
  const size_t mask = slots_.size() - 1;
  size_t i = (hash ^ hash >> 32) & mask;
  while (slots_[i].count != 0 && slots_[i].hash != hash) i = (i + 1) & mask;
  return static_cast<uint32_t>(i);
}

// Counts the runs of n that begin at `places_`, and keeps the places of those that are there twice.
void WordRuns::count_runs(size_t n) {
  slots_.assign(std::bit_ceil(std::max<size_t>(places_.size() * 2, 16)), Slot{});
  for (Place& place : places_) {
    const uint64_t hash = hash_of(place.at, n);
    place.slot = slot_of(hash);
    Slot& slot = slots_[place.slot];
    if (slot.count++ == 0) slot.hash = hash, slot.first = place.at;
  }
  std::erase_if(places_, [&](const Place& place) { return slots_[place.slot].count < 2; });
}

void WordRuns::lengthen_to(size_t n) {
  while (length_ < n && !places_.empty()) {
    // Runs of one word are not counted: all pairs of words may be repeated.
    if (length_ == 1) {
      places_.pop_back();
    } else {
      size_t kept = 0;
      for (size_t i = 0; i + 1 < places_.size(); ++i) {
        if (places_[i + 1].at == places_[i].at + 1) places_[kept++] = places_[i];
      }
      places_.resize(kept);
    }
    count_runs(++length_);
  }
}

size_t WordRuns::top_bytes(size_t n) {
  lengthen_to(n);
  uint32_t count = 0;
  size_t bytes = 0;
  for (const Place& place : places_) {
    const Slot& slot = slots_[place.slot];
    if (slot.first != place.at || slot.count < count) continue;
    const size_t run = bytes_of(slot.first, n);
    if (slot.count > count || run > bytes) count = slot.count, bytes = run;
  }
  return count * bytes;
}

size_t WordRuns::repeated_bytes(size_t n) {
  lengthen_to(n);
  size_t bytes = 0, free_from = 0;
  for (const Place& place : places_) slots_[place.slot].seen = false;
  for (const Place& place : places_) {
    if (place.at < free_from) continue;
    if (!std::exchange(slots_[place.slot].seen, true)) continue;
    bytes += bytes_of(place.at, n);
    free_from = place.at + n;
  }
  return bytes;
}

}  // namespace bgl::prep
