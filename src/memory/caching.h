// Memory for what no graph foresees. Freed blocks are kept and given again: best fit, split when larger, merged with free
// neighbours. The allocator takes slabs from a source (a device, or the host) and never fails while a free stretch of enough
// bytes lies in one of its slabs, or while the source, given back the slabs that lie wholly free, has as many.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace bgl::memory {

// Where slabs come from. alloc returns null when there is no room.
struct SlabSource {
  std::function<void*(uint64_t bytes)> alloc;
  std::function<void(void* slab, uint64_t bytes)> free;
};
// The host's own memory, 64-byte aligned; slabs of 2 MiB and more in huge pages where the system has them, because a product that walks
// down a matrix's rows needs a page at every step.
SlabSource host_slabs();

struct CachingOptions {
  uint64_t slab_bytes = uint64_t{32} << 20;  // a slab is at least so large; a larger request gets a slab of its own size
  uint64_t capacity = ~uint64_t{0};          // most bytes in slabs
};

class CachingAllocator {
 public:
  explicit CachingAllocator(SlabSource source, CachingOptions options = {});
  ~CachingAllocator();  // all slabs go back, whatever is still held
  CachingAllocator(const CachingAllocator&) = delete;
  CachingAllocator& operator=(const CachingAllocator&) = delete;

  // `bytes` rounded up to 64, at a multiple of 64 from its slab's start; 0 bytes give null. `who` (copied) stands for the block
  // in the list that a failure prints. Thread-safe, O(log blocks).
  Result<void*> allocate(uint64_t bytes, std::string_view who);
  // `p` is what allocate() gave, or null. Anything else is our bug and aborts.
  void free(void* p);
  // Gives wholly free slabs back to the source; returns their bytes.
  uint64_t trim();

  struct Stats {
    uint64_t held = 0;  // by callers
    uint64_t peak_held = 0;
    uint64_t in_slabs = 0;
    uint64_t largest_free = 0;  // the largest free stretch
    int64_t blocks = 0;         // held
  };
  Stats stats() const;
  // "weights 1.5 GiB in 12 blocks, activations 96.0 MiB in 3 blocks", the largest first.
  std::string holders() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// "96.0 MiB", "17 B".
std::string bytes_text(uint64_t bytes);

}  // namespace bgl::memory
