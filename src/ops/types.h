// What a tensor is before it has bytes: element type and shape; and how its elements lie in a buffer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace bgl::ops {

enum class DType : uint8_t { kF32, kBF16, kF16, kF64, kI64, kI32, kI8, kU8, kBool };
int64_t dtype_size(DType t);
const char* dtype_name(DType t);  // torch's names: "float32", "bfloat16", "int64", "bool", ...
inline bool is_float(DType t) { return t == DType::kF32 || t == DType::kBF16 || t == DType::kF16 || t == DType::kF64; }

using Shape = std::vector<int64_t>;
int64_t numel(const Shape& shape);
std::string shape_text(const Shape& shape);  // "[2, 3]"
// Row-major strides in elements.
Shape contiguous_strides(const Shape& shape);
// The shape both operands broadcast to (torch's rule); throws Error naming `op` when there is none.
Shape broadcast_shapes(const Shape& a, const Shape& b, const char* op);
// dim in [-rank, rank) made non-negative; throws Error naming `op` otherwise.
int64_t normalize_dim(int64_t dim, int64_t rank, const char* op);

struct TensorMeta {
  DType dtype = DType::kF32;
  Shape shape;
  int64_t bytes() const { return numel(shape) * dtype_size(dtype); }
  bool operator==(const TensorMeta&) const = default;
};

// Element (i0, i1, ...) lies at offset + sum i_d * strides[d], counted in elements from the start of its buffer.
struct Layout {
  Shape shape;
  Shape strides;
  int64_t offset = 0;
  bool contiguous() const;
  bool operator==(const Layout&) const = default;
};

}  // namespace bgl::ops
