#include "memory/caching.h"

#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <new>
#include <set>

namespace bgl::memory {
namespace {

constexpr uint64_t kUnit = 64;
constexpr uint64_t kHugePage = uint64_t{2} << 20;

// Large slabs begin where huge pages do.
std::align_val_t alignment_of(uint64_t bytes) { return std::align_val_t{bytes >= kHugePage ? kHugePage : kUnit}; }

}  // namespace

std::string bytes_text(uint64_t bytes) {
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  auto v = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (v >= 1024 && unit < 3) v /= 1024, ++unit;
  return fmt::format("{:.1f} {}", v, kUnits[unit]);
}

SlabSource host_slabs() {
  const auto alloc = [](uint64_t bytes) -> void* {
    if (bytes >> 47) return nullptr;
    void* slab = ::operator new (bytes, alignment_of(bytes), std::nothrow);
    // A system without huge pages refuses: then the slab has small ones.
    if (slab && bytes >= kHugePage) madvise(slab, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
    return slab;
  };
  return {alloc, [](void* slab, uint64_t bytes) { ::operator delete (slab, alignment_of(bytes)); }};
}

struct CachingAllocator::State {
  struct Block {
    char* start = nullptr;
    uint64_t bytes = 0;
    uint64_t slab = 0;  // the slab's number
    bool free = true;
    const std::string* who = nullptr;
  };
  // Best fit: the smallest block that is large enough, and of those the one that lies lowest.
  struct BySize {
    bool operator()(const Block* a, const Block* b) const {
      return a->bytes != b->bytes ? a->bytes < b->bytes : a->start < b->start;
    }
  };

  SlabSource source;
  CachingOptions options;
  mutable std::mutex mutex;
  std::map<char*, Block> blocks;  // every block, free or held, by address; neighbours in a slab are neighbours here
  std::set<Block*, BySize> free_blocks;
  std::map<uint64_t, std::pair<char*, uint64_t>> slabs;
  uint64_t next_slab = 1;
  std::set<std::string, std::less<>> names;
  Stats stats;

  Block* take_slab(uint64_t bytes);
  uint64_t give_back_free_slabs();
  Block* find(uint64_t bytes);
  void merge(std::map<char*, Block>::iterator at);
  std::string holders() const;
};

// The slab as one free block, or null.
CachingAllocator::State::Block* CachingAllocator::State::take_slab(uint64_t bytes) {
  const uint64_t room = options.capacity - std::min(options.capacity, stats.in_slabs);
  for (const uint64_t size : {std::max(bytes, options.slab_bytes), bytes}) {
    if (size > room) continue;
    auto* memory = static_cast<char*>(source.alloc(size));
    if (!memory) continue;
    slabs[next_slab] = {memory, size};
    stats.in_slabs += size;
    Block* block = &(blocks[memory] = {memory, size, next_slab++, true, nullptr});
    free_blocks.insert(block);
    return block;
  }
  return nullptr;
}

uint64_t CachingAllocator::State::give_back_free_slabs() {
  uint64_t given = 0;
  for (auto s = slabs.begin(); s != slabs.end();) {
    const auto [start, bytes] = s->second;
    const auto b = blocks.find(start);
    if (!b->second.free || b->second.bytes != bytes) {
      ++s;
      continue;
    }
    free_blocks.erase(&b->second);
    blocks.erase(b);
    source.free(start, bytes);
    stats.in_slabs -= bytes;
    given += bytes;
    s = slabs.erase(s);
  }
  return given;
}

CachingAllocator::State::Block* CachingAllocator::State::find(uint64_t bytes) {
  Block key;
  key.bytes = bytes;
  const auto at = free_blocks.lower_bound(&key);
  return at == free_blocks.end() ? nullptr : *at;
}

// Joins a free block with the free neighbours of its slab.
void CachingAllocator::State::merge(std::map<char*, Block>::iterator at) {
  auto joins = [](const Block& low, const Block& high) {
    return low.free && high.free && low.slab == high.slab && low.start + low.bytes == high.start;
  };
  if (const auto next = std::next(at); next != blocks.end() && joins(at->second, next->second)) {
    free_blocks.erase(&next->second);
    at->second.bytes += next->second.bytes;
    blocks.erase(next);
  }
  if (at != blocks.begin()) {
    const auto before = std::prev(at);
    if (joins(before->second, at->second)) {
      free_blocks.erase(&before->second);
      before->second.bytes += at->second.bytes;
      blocks.erase(at);
      at = before;
    }
  }
  free_blocks.insert(&at->second);
}

std::string CachingAllocator::State::holders() const {
  struct Holder {
    uint64_t bytes = 0;
    int64_t blocks = 0;
  };
  std::map<std::string, Holder> by_name;
  for (const auto& [start, b] : blocks) {
    if (b.free) continue;
    Holder& h = by_name[*b.who];
    h.bytes += b.bytes, ++h.blocks;
  }
  std::vector<std::pair<std::string, Holder>> sorted(by_name.begin(), by_name.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second.bytes > b.second.bytes; });
  std::string out;
  constexpr size_t kMost = 10;
  for (size_t i = 0; i < sorted.size() && i < kMost; ++i) {
    const Holder& h = sorted[i].second;
    out += fmt::format("{}{} {} in {} block{}", i ? ", " : "", sorted[i].first, bytes_text(h.bytes), h.blocks,
                       h.blocks == 1 ? "" : "s");
  }
  if (sorted.size() > kMost) out += fmt::format(", and {} more", sorted.size() - kMost);
  return out.empty() ? "nobody" : out;
}

CachingAllocator::CachingAllocator(SlabSource source, CachingOptions options) : state_(std::make_unique<State>()) {
  state_->source = std::move(source);
  state_->options = options;
}
CachingAllocator::~CachingAllocator() {
  for (const auto& [number, slab] : state_->slabs) state_->source.free(slab.first, slab.second);
}

Result<void*> CachingAllocator::allocate(uint64_t bytes, std::string_view who) {
  if (bytes == 0) return static_cast<void*>(nullptr);
  State& s = *state_;
  const std::lock_guard lock(s.mutex);
  const uint64_t size = bytes > ~uint64_t{0} - kUnit ? bytes : (bytes + kUnit - 1) / kUnit * kUnit;
  State::Block* block = s.find(size);
  if (!block) block = s.take_slab(size);
  if (!block && s.give_back_free_slabs() > 0) block = s.take_slab(size);
  if (!block) {
    const uint64_t largest = s.free_blocks.empty() ? 0 : (*s.free_blocks.rbegin())->bytes;
    return make_status(Code::kResourceExhausted,
                       "out of memory: {} for {}; {} in slabs, of which {} free, {} at most in one piece; held by {}",
                       bytes_text(size), who, bytes_text(s.stats.in_slabs), bytes_text(s.stats.in_slabs - s.stats.held),
                       bytes_text(largest), s.holders());
  }
  s.free_blocks.erase(block);
  if (block->bytes > size) {
    char* rest = block->start + size;
    State::Block* left = &(s.blocks[rest] = {rest, block->bytes - size, block->slab, true, nullptr});
    s.free_blocks.insert(left);
    block->bytes = size;
  }
  block->free = false;
  const auto name = s.names.find(who);
  block->who = &*(name != s.names.end() ? name : s.names.emplace(who).first);
  s.stats.held += size;
  s.stats.peak_held = std::max(s.stats.peak_held, s.stats.held);
  ++s.stats.blocks;
  return static_cast<void*>(block->start);
}

void CachingAllocator::free(void* p) {
  if (!p) return;
  State& s = *state_;
  const std::lock_guard lock(s.mutex);
  const auto at = s.blocks.find(static_cast<char*>(p));
  BGL_CHECK(at != s.blocks.end() && !at->second.free, "{} was not allocated here, or is free already", p);
  at->second.free = true;
  at->second.who = nullptr;
  s.stats.held -= at->second.bytes;
  --s.stats.blocks;
  s.merge(at);
}

uint64_t CachingAllocator::trim() {
  const std::lock_guard lock(state_->mutex);
  return state_->give_back_free_slabs();
}

CachingAllocator::Stats CachingAllocator::stats() const {
  const std::lock_guard lock(state_->mutex);
  Stats out = state_->stats;
  out.largest_free = state_->free_blocks.empty() ? 0 : (*state_->free_blocks.rbegin())->bytes;
  return out;
}
std::string CachingAllocator::holders() const {
  const std::lock_guard lock(state_->mutex);
  return state_->holders();
}

}  // namespace bgl::memory
