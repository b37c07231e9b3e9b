// Tensor: PyTorch's names and meaning on lazy values. A Tensor is a handle to storage and a way to look at it; storage holds a graph
// value that may already have bytes. Nothing runs until somebody looks: item(), to_vector(), buffer(), detach(), eval(), or a cut.
// A cut runs all that waits: optimizer.step() is one, and 10,000 more nodes than the last cut left make one. With BGL_EAGER=1 every operator runs
// at its call, so that a debugger stops where it was written.
//
// In-place writes are functional inside: they give the storage a new value, and every view of that storage sees it.
// Errors: wrong shapes and types throw bgl::Error at the call; item() and the like throw it for a failed run.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ops/functions.h"
#include "ops/node.h"

namespace bgl::framework {

using ops::DType;
using ops::Shape;
using ops::Value;

class Tensor {
 public:
  Tensor() = default;  // undefined
  // A tensor over a graph value.
  explicit Tensor(Value value);

  static Tensor from_vector(std::span<const float> data, const Shape& shape);
  static Tensor from_vector(std::span<const int64_t> data, const Shape& shape);
  static Tensor from_buffer(std::shared_ptr<ops::Buffer> buffer, DType dtype, const Shape& shape);
  static Tensor full(const Shape& shape, double value, DType dtype = DType::kF32);
  static Tensor zeros(const Shape& shape, DType dtype = DType::kF32) { return full(shape, 0, dtype); }
  static Tensor ones(const Shape& shape, DType dtype = DType::kF32) { return full(shape, 1, dtype); }
  static Tensor arange(int64_t n, DType dtype = DType::kI64);

  bool defined() const { return impl_ != nullptr; }
  explicit operator bool() const { return defined(); }
  // The value at this moment, through the view; later in-place writes do not change it.
  Value value() const;
  const Shape& shape() const;
  DType dtype() const;
  int64_t dim() const { return static_cast<int64_t>(shape().size()); }
  int64_t size(int64_t dim) const;
  int64_t numel() const { return ops::numel(shape()); }

  // --- autograd ---
  bool requires_grad() const;
  Tensor& requires_grad_(bool on = true);  // leaves only
  // The gradient collected by backward(); undefined before.
  Tensor grad() const;
  void set_grad(const Tensor& grad);
  // Adds d(this)/d(leaf) to the grad of every leaf that requires one. `seed` for tensors of more than one element.
  void backward(const Tensor& seed = {}) const;
  Tensor detach() const;
  Tensor clone() const;

  // --- looking: these run the graph ---
  double item() const;
  std::vector<float> to_vector() const;
  std::vector<int64_t> to_int_vector() const;
  // The bytes, row-major; they live as long as the returned pointer.
  std::shared_ptr<ops::Buffer> buffer() const;

  // --- views ---
  Tensor view(const Shape& shape) const;  // as reshape, but an error when a copy would be needed
  Tensor reshape(const Shape& shape) const;
  Tensor permute(const std::vector<int64_t>& dims) const;
  Tensor transpose(int64_t a, int64_t b) const;
  Tensor expand(const Shape& shape) const;
  Tensor slice(int64_t dim, int64_t start, int64_t end, int64_t step = 1) const;
  Tensor select(int64_t dim, int64_t index) const;

  // --- in place ---
  Tensor& copy_(const Tensor& source);
  Tensor& fill_(double value);
  Tensor& add_(const Tensor& other, double alpha = 1);
  Tensor& mul_(const Tensor& other);
  Tensor& mul_(double factor);
  Tensor& zero_() { return fill_(0); }
  // Gives the storage of a whole (not a view) a new value of the same shape: what an optimizer does. Of another type only where
  // nothing views it: what a loader does.
  void set_value(Value value);

  struct Impl;
  const std::shared_ptr<Impl>& impl() const { return impl_; }

 private:
  explicit Tensor(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

Tensor operator+(const Tensor& a, const Tensor& b);
Tensor operator-(const Tensor& a, const Tensor& b);
Tensor operator*(const Tensor& a, const Tensor& b);
Tensor operator/(const Tensor& a, const Tensor& b);
Tensor operator+(const Tensor& a, double b);
Tensor operator-(const Tensor& a, double b);
Tensor operator*(const Tensor& a, double b);
Tensor operator/(const Tensor& a, double b);
Tensor operator-(const Tensor& a);

// Computes these tensors, in one graph.
void eval(std::span<const Tensor> tensors);
// Computes every tensor that is alive and pending: what optimizer.step() does so that a loop that never looks does not grow.
void eval_all_pending();

}  // namespace bgl::framework
