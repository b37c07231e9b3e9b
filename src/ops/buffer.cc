#include "ops/buffer.h"

#include <atomic>
#include <cstdlib>

namespace bgl::ops {
namespace {

std::atomic<size_t> buffer_live{0};
std::atomic<size_t> buffer_peak{0};

}  // namespace

std::shared_ptr<Buffer> Buffer::allocate(size_t bytes) {
  std::shared_ptr<Buffer> b(new Buffer);
  const size_t rounded = (bytes + 63) / 64 * 64;
  // 64 bytes of slack let a kernel read a whole vector at the end of a row.
  b->data_ = static_cast<std::byte*>(std::aligned_alloc(64, rounded + 64));
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
  std::free(data_);
  buffer_live.fetch_sub(bytes_);
}

size_t Buffer::live_bytes() { return buffer_live.load(); }
size_t Buffer::peak_bytes() { return buffer_peak.load(); }

}  // namespace bgl::ops
