// A piece of device memory shared by the tensors that lie in it. On the cpu it is host memory, 64-byte aligned.
#pragma once

#include <cstddef>
#include <memory>

#include "base/status.h"

namespace bgl::ops {

class Buffer {
 public:
  // Uninitialised memory. Throws Error (resource exhausted) naming the size when there is none.
  static std::shared_ptr<Buffer> allocate(size_t bytes);
  // Memory that `owner` keeps alive, for instance a mapped file; read-only unless the owner says otherwise.
  static std::shared_ptr<Buffer> borrow(const void* data, size_t bytes, std::shared_ptr<const void> owner);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  std::byte* data() const { return data_; }
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }
  size_t bytes() const { return bytes_; }
  bool writable() const { return !owner_; }

  // Bytes of all buffers now allocated, and the most there ever were; borrowed memory is not counted.
  static size_t live_bytes();
  static size_t peak_bytes();
  // Bytes taken from the system: those of all buffers, and of freed ones kept for later ones.
  static size_t held_bytes();

 private:
  Buffer() = default;
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
  std::shared_ptr<const void> owner_;
};

}  // namespace bgl::ops
