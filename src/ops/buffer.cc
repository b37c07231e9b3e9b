#include "ops/buffer.h"

#include <atomic>
#include <cstdlib>

#include "memory/caching.h"

namespace bgl::ops {
namespace {

std::atomic<size_t> buffer_live{0};
std::atomic<size_t> buffer_peak{0};

// 64 bytes of slack let a kernel read a whole vector at the end of a row.
constexpr size_t kSlack = 64;

#if defined(__SANITIZE_ADDRESS__)
// The sanitizer must see every block by itself.
void* take(size_t bytes) { return std::aligned_alloc(64, (bytes + kSlack + 63) / 64 * 64); }
void give_back(void* p) { std::free(p); }
size_t held() { return buffer_live.load(); }
#else
// Freed tensors' memory is kept: pages that the system would have to clear again cost more than most operators.
memory::CachingAllocator& tensor_memory() {
  static auto* allocator = new memory::CachingAllocator(memory::host_slabs());
  return *allocator;
}
void* take(size_t bytes) {
  const auto p = tensor_memory().allocate(bytes + kSlack, "tensors");
  return p.ok() ? *p : nullptr;
}
void give_back(void* p) { tensor_memory().free(p); }
size_t held() { return tensor_memory().stats().in_slabs; }
#endif

}  // namespace

std::shared_ptr<Buffer> Buffer::allocate(size_t bytes) {
  std::shared_ptr<Buffer> b(new Buffer);
  b->data_ = static_cast<std::byte*>(take(bytes));
  if (!b->data_) {
    throw Error(make_status(Code::kResourceExhausted, "no memory for {} bytes ({} bytes are in use by tensors)", bytes,
                            buffer_live.load()));
  }
  b->bytes_ = bytes;
  const size_t now = buffer_live.fetch_add(bytes) + bytes;
  size_t seen = buffer_peak.load();
  while (now > seen && !buffer_peak.compare_exchange_weak(seen, now)) {
  }
  return b;
}

std::shared_ptr<Buffer> Buffer::borrow(const void* data, size_t bytes, std::shared_ptr<const void> owner) {
  std::shared_ptr<Buffer> b(new Buffer);
  b->data_ = const_cast<std::byte*>(static_cast<const std::byte*>(data));
  b->bytes_ = bytes;
  b->owner_ = std::move(owner);
  BGL_CHECK(b->owner_, "borrowed memory needs an owner");
  return b;
}

Buffer::~Buffer() {
  if (owner_) return;
  give_back(data_);
  buffer_live.fetch_sub(bytes_);
}

size_t Buffer::live_bytes() { return buffer_live.load(); }
size_t Buffer::peak_bytes() { return buffer_peak.load(); }
size_t Buffer::held_bytes() { return held(); }

}  // namespace bgl::ops
