// The pages of the KV cache: who holds them, and which hold the beginning of a text that may come again. A full page is addressed
// by the hash of all tokens up to its end, so requests that begin alike share pages. Ref: arXiv:2309.06180 (paging),
// arXiv:2407.00079 (prefix hashes). Single-threaded: the engine owns it.
#pragma once

#include <cstdint>
#include <list>
#include <span>
#include <unordered_map>
#include <vector>

namespace bgl::serve {

constexpr int64_t kPageTokens = 64;

class PagePool {
 public:
  // Pages 1 .. pages - 1; page 0 is for rows that pad a batch.
  explicit PagePool(int64_t pages);

  // The pages of the longest cached beginning of `tokens`, whole pages only, each held once more. Keys and values depend on what made
  // them beside the tokens, the adapter: texts of different `owner` share nothing.
  std::vector<int64_t> match(std::span<const int32_t> tokens, int64_t owner = 0);
  // n pages held once, evicting cached ones that nobody holds, oldest first; empty when there are not enough.
  std::vector<int64_t> take(int64_t n);
  // Makes page `index` of a request's pages findable: it holds the keys of tokens[64 * index, 64 * (index + 1)). Nothing happens when
  // an equal page is cached already.
  void publish(std::span<const int32_t> tokens, int64_t index, int64_t page, int64_t owner = 0);
  void release(std::span<const int64_t> pages);

  int64_t total() const { return static_cast<int64_t>(holders_.size()) - 1; }
  // Pages that take() can give: free ones and cached ones that nobody holds.
  int64_t available() const { return static_cast<int64_t>(free_.size() + idle_.size()); }
  int64_t cached() const { return static_cast<int64_t>(by_hash_.size()); }

 private:
  static std::vector<uint64_t> chain(std::span<const int32_t> tokens, int64_t pages, int64_t owner);
  void hold(int64_t page);

  std::vector<int64_t> free_;
  std::vector<int32_t> holders_;                               // per page
  std::vector<uint64_t> hash_;                                 // per page; 0: not cached
  std::unordered_map<uint64_t, int64_t> by_hash_;
  std::list<int64_t> idle_;                                    // cached, held by nobody; oldest first
  std::unordered_map<int64_t, std::list<int64_t>::iterator> idle_at_;
};

}  // namespace bgl::serve
