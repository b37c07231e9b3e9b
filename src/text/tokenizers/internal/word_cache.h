// Words already encoded. A cache is borrowed for one encode() call, so lookups need no lock; where two words share a slot the
// newer replaces the older. Bounded: 16,384 words of at most 64 bytes.
#pragma once

#include <xxhash.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace bgl::text {

class WordCache {
 public:
  static constexpr size_t kWordBytesMax = 64;
  struct Slot {
    std::string word;
    std::vector<int32_t> ids;
  };
  // The slot where `word` is or belongs; slot.word == word when its ids are known. Longer words must not be asked.
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
