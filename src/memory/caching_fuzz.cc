// Bytes as calls of the caching allocator, against a naive model: three bytes a call. Blocks never overlap, sums agree, and an
// allocation fails only when neither a free stretch of a slab nor the source has room.
#include <map>

#include "base/testing/fuzz.h"
#include "memory/caching.h"

using bgl::fuzz_failed;

namespace {

constexpr uint64_t kCapacity = 64 << 10, kSlab = 8 << 10;

// Slabs of one range of addresses; nothing is touched.
struct Source {
  uint64_t used = 0, next = uint64_t{1} << 40;
  std::map<uint64_t, uint64_t> slabs;
  bgl::memory::SlabSource functions() {
    return {[this](uint64_t bytes) -> void* {
              if (used + bytes > kCapacity) return nullptr;
              used += bytes;
              const uint64_t at = next;
              next += bytes + 4096;
              slabs[at] = bytes;
              return reinterpret_cast<void*>(at);
            },
            [this](void* slab, uint64_t bytes) {
              if (slabs.erase(reinterpret_cast<uint64_t>(slab)) != 1) fuzz_failed("a slab was given back that was not taken");
              used -= bytes;
            }};
  }
};

// Whether the model has room for `bytes`: in a gap of a slab, or in a new slab once free slabs have gone back.
bool has_room(const Source& source, const std::map<uint64_t, uint64_t>& held, uint64_t bytes) {
  uint64_t kept = 0;
  for (const auto& [start, size] : source.slabs) {
    uint64_t at = start;
    bool empty = true;
    for (auto b = held.lower_bound(start); b != held.end() && b->first < start + size; ++b) {
      if (b->first - at >= bytes) return true;
      at = b->first + b->second;
      empty = false;
    }
    if (start + size - at >= bytes) return true;
    if (!empty) kept += size;
  }
  return kept + bytes <= kCapacity;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Source source;
  bgl::memory::CachingAllocator allocator(source.functions(), {.slab_bytes = kSlab, .capacity = kCapacity});
  std::map<uint64_t, uint64_t> held;
  uint64_t sum = 0;
  for (; size >= 3; data += 3, size -= 3) {
    const uint64_t number = data[1] | static_cast<uint64_t>(data[2]) << 8;
    if (data[0] % 8 == 7) {
      allocator.trim();
    } else if (data[0] % 8 >= 4 && !held.empty()) {
      const auto block = std::next(held.begin(), static_cast<int64_t>(number % held.size()));
      allocator.free(reinterpret_cast<void*>(block->first));
      sum -= block->second;
      held.erase(block);
    } else {
      const uint64_t bytes = 1 + number % (data[0] & 8 ? 20'000 : 700), rounded = (bytes + 63) / 64 * 64;
      const bool room = has_room(source, held, rounded);
      const auto got = allocator.allocate(bytes, "fuzz");
      if (got.ok() != room)
        fuzz_failed(got.ok() ? "room that the model does not see" : "refused, with room: " + got.status().message());
      if (!got.ok()) continue;
      const auto at = reinterpret_cast<uint64_t>(*got);
      const auto after = held.lower_bound(at);
      if (after != held.end() && after->first < at + rounded) fuzz_failed("a block overlaps the next");
      if (after != held.begin() && std::prev(after)->first + std::prev(after)->second > at)
        fuzz_failed("a block overlaps the one before");
      held[at] = rounded;
      sum += rounded;
    }
    const auto stats = allocator.stats();
    if (stats.held != sum || stats.blocks != static_cast<int64_t>(held.size())) fuzz_failed("the statistics are wrong");
    if (stats.in_slabs != source.used) fuzz_failed("slabs were lost");
    bgl::fuzz_canary(held.size() == 5 && source.slabs.size() >= 2);
  }
  return 0;
}
