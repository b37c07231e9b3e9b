// Words already encoded. A cache is borrowed for one encode() call, so lookups need no lock; where two words share a slot the
// newer replaces the older. Bounded: 65,536 words of at most 46 bytes and 20 ids, each in two lines of the processor's cache.
#pragma once

#include <xxhash.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

namespace bgl::text {

class WordCache {
 public:
  static constexpr size_t kWordBytesMax = 46, kIdsMax = 20;
  class alignas(64) Slot {
   public:
    bool holds(std::string_view word) const { return bytes_ == word.size() && std::memcmp(word_, word.data(), word.size()) == 0; }
    std::span<const int32_t> ids() const { return {ids_, count_}; }
    // Words of more ids are not kept.
    void keep(std::string_view word, std::span<const int32_t> ids) {
      if (ids.size() > kIdsMax) return;
      bytes_ = static_cast<uint8_t>(word.size());
      count_ = static_cast<uint8_t>(ids.size());
      std::copy(word.begin(), word.end(), word_);
      std::copy(ids.begin(), ids.end(), ids_);
    }

   private:
    uint8_t bytes_ = 0, count_ = 0;
    char word_[kWordBytesMax];
    int32_t ids_[kIdsMax];
  };
  // The slot where `word` is or belongs. Longer and empty words must not be asked.
  Slot& at(std::string_view word) {
    if (slots_.empty()) slots_.resize(kSlots);
    return slots_[XXH3_64bits(word.data(), word.size()) % kSlots];
  }

 private:
  static constexpr size_t kSlots = 65536;
  std::vector<Slot> slots_;
};

// Hands out caches to threads: as many exist as calls ever ran at once.
class WordCachePool {
 public:
  class Lease {
   public:
    explicit Lease(WordCachePool& pool) : pool_(pool), cache_(pool.take()) {}
    ~Lease() { pool_.give(std::move(cache_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    WordCache& operator*() { return *cache_; }

   private:
    WordCachePool& pool_;
    std::unique_ptr<WordCache> cache_;
  };

 private:
  std::unique_ptr<WordCache> take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return std::make_unique<WordCache>();
    std::unique_ptr<WordCache> cache = std::move(free_.back());
    free_.pop_back();
    return cache;
  }
  void give(std::unique_ptr<WordCache> cache) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(cache));
  }
  std::mutex mutex_;
  std::vector<std::unique_ptr<WordCache>> free_;
};

}  // namespace bgl::text
