#include "serve/page_pool.h"

#include <algorithm>
#include <random>

#include "base/hash.h"
#include "base/status.h"

namespace bgl::serve {

namespace {

// Of this process, so that nobody can prepare prompts whose pages are taken for those of others.
uint64_t secret() {
  static const uint64_t value = [] {
    std::random_device device;
    return uint64_t{device()} << 32 | device() | 1;
  }();
  return value;
}

}  // namespace

PagePool::PagePool(int64_t pages) : holders_(static_cast<size_t>(pages)), hash_(static_cast<size_t>(pages)) {
  for (int64_t p = pages - 1; p >= 1; --p) free_.push_back(p);
}

std::vector<uint64_t> PagePool::chain(std::span<const int32_t> tokens, int64_t pages, int64_t owner) {
  std::vector<uint64_t> out;
  uint64_t h = secret() + 2 * static_cast<uint64_t>(owner);
  for (int64_t p = 0; p < pages; ++p) {
    const auto* bytes = reinterpret_cast<const char*>(tokens.data() + p * kPageTokens);
    h = hash64({bytes, kPageTokens * sizeof(int32_t)}, h) | 1;  // never 0
    out.push_back(h);
  }
  return out;
}

void PagePool::hold(int64_t page) {
  if (holders_[static_cast<size_t>(page)]++ > 0) return;
  if (const auto it = idle_at_.find(page); it != idle_at_.end()) {
    idle_.erase(it->second);
    idle_at_.erase(it);
  }
}

std::vector<int64_t> PagePool::match(std::span<const int32_t> tokens, int64_t owner) {
  std::vector<int64_t> out;
  for (const uint64_t h : chain(tokens, static_cast<int64_t>(tokens.size()) / kPageTokens, owner)) {
    const auto it = by_hash_.find(h);
    if (it == by_hash_.end()) break;
    hold(it->second);
    out.push_back(it->second);
  }
  return out;
}

std::vector<int64_t> PagePool::take(int64_t n) {
  if (n > available()) return {};
  std::vector<int64_t> out;
  while (static_cast<int64_t>(out.size()) < n) {
    if (free_.empty()) {
      const int64_t oldest = idle_.front();
      idle_.pop_front();
      idle_at_.erase(oldest);
      by_hash_.erase(hash_[static_cast<size_t>(oldest)]);
      hash_[static_cast<size_t>(oldest)] = 0;
      free_.push_back(oldest);
    }
    out.push_back(free_.back());
    free_.pop_back();
    holders_[static_cast<size_t>(out.back())] = 1;
  }
  return out;
}

void PagePool::publish(std::span<const int32_t> tokens, int64_t index, int64_t page, int64_t owner) {
  if (hash_[static_cast<size_t>(page)] != 0) return;
  const uint64_t h = chain(tokens, index + 1, owner).back();
  if (by_hash_.try_emplace(h, page).second) hash_[static_cast<size_t>(page)] = h;
}

void PagePool::release(std::span<const int64_t> pages) {
  // The last pages of a text are idle first: they are worth least without the ones before them.
  for (size_t i = pages.size(); i-- > 0;) {
    const int64_t page = pages[i];
    BGL_CHECK(holders_[static_cast<size_t>(page)] > 0, "page {} is released but held by nobody", page);
    if (--holders_[static_cast<size_t>(page)] > 0) continue;
    if (hash_[static_cast<size_t>(page)] == 0) {
      free_.push_back(page);
    } else {
      idle_.push_back(page);
      idle_at_[page] = std::prev(idle_.end());
    }
  }
}

}  // namespace bgl::serve
