#include "framework/tensor.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "compiler/compile.h"
#include "compiler/differentiate.h"

namespace bgl::framework {
namespace internal {

// One step from a storage to a view of it. `apply` looks; `write` gives the value before the step with the looked-at part replaced.
struct ViewStep {
  enum class Kind : uint8_t { kReshape, kPermute, kExpand, kSlice } kind;
  std::vector<int64_t> ints;  // shape; dims; shape; dim, start, end, step

  Value apply(const Value& v) const {
    switch (kind) {
      case Kind::kReshape: return ops::reshape(v, ints);
      case Kind::kPermute: return ops::permute(v, ints);
      case Kind::kExpand: return ops::expand(v, ints);
      case Kind::kSlice: return ops::slice(v, ints[0], ints[1], ints[2], ints[3]);
    }
    return v;
  }
  Value write(const Value& before, const Value& part) const {
    switch (kind) {
      case Kind::kReshape: return ops::reshape(part, before.shape());
      case Kind::kPermute: {
        std::vector<int64_t> back(ints.size());
        for (size_t i = 0; i < ints.size(); ++i) back[static_cast<size_t>(ints[i])] = static_cast<int64_t>(i);
        return ops::permute(part, back);
      }
      case Kind::kExpand: throw Error(invalid_argument("[in-place] one element of an expanded tensor stands for several: clone() it first"));
      case Kind::kSlice: return ops::slice_scatter(before, part, ints[0], ints[1], ints[3]);
    }
    return part;
  }
};

struct Storage {
  Value value;
  uint64_t version = 0;
  bool requires_grad = false;  // a parameter: its value is always a leaf that requires a gradient
};

}  // namespace internal

using internal::Storage;
using internal::ViewStep;

struct Tensor::Impl {
  std::shared_ptr<Storage> storage;
  std::vector<ViewStep> steps;
  ops::TensorMeta meta;
  Value seen;  // the view's value at version `seen_version`
  uint64_t seen_version = 0;
  Tensor grad;

  Impl();
  ~Impl();
};

namespace {

std::unordered_set<Tensor::Impl*>& live_impls() {
  static auto* set = new std::unordered_set<Tensor::Impl*>;  // outlives static tensors
  return *set;
}

std::shared_ptr<Tensor::Impl> new_impl(Value value) {
  auto impl = std::make_shared<Tensor::Impl>();
  impl->storage = std::make_shared<Storage>();
  impl->meta = value.meta();
  impl->storage->value = std::move(value);
  impl->seen = impl->storage->value;
  return impl;
}

void evaluate_or_throw(const std::vector<Value>& values) {
  if (values.empty()) return;
  if (Status s = compiler::evaluate(values); !s.ok()) throw Error(std::move(s));
}

// A parameter that was written to gets its new bytes now, as a leaf, so that gradients stop at it.
void settle(Storage& storage) {
  Value& v = storage.value;
  if (!storage.requires_grad || v.node->op->op_class == ops::OpClass::kLeaf) return;
  if (!v.node->computed()) evaluate_or_throw({v});
  v = ops::make_leaf(v.meta(), v.node->buffers[static_cast<size_t>(v.index)], true);
  storage.version++;
}

// Bounds what a loop that neither looks nor steps keeps waiting. What a later backward() needs and no tensor holds stays alive, so
// the next cut is reckoned from what a cut has left.
void cut_when_many() {
  constexpr int64_t kNodesMost = 10'000;
  static int64_t left = 0;  // tensors belong to one thread
  const int64_t alive = ops::nodes_alive();
  left = std::min(left, alive);
  if (alive <= left + kNodesMost) return;
  eval_all_pending();
  left = ops::nodes_alive();
}

}  // namespace

Tensor::Impl::Impl() { live_impls().insert(this); }
Tensor::Impl::~Impl() { live_impls().erase(this); }

Tensor::Tensor(Value value) : impl_(new_impl(std::move(value))) {
  if (compiler::eager()) {
    evaluate_or_throw({impl_->seen});
  } else {
    cut_when_many();
  }
}

Value Tensor::value() const {
  BGL_REQUIRE(impl_, "an undefined tensor was used");
  Impl& i = *impl_;
  settle(*i.storage);
  if (i.seen_version != i.storage->version || !i.seen) {
    Value v = i.storage->value;
    for (const ViewStep& step : i.steps) v = step.apply(v);
    i.seen = v;
    i.seen_version = i.storage->version;
  }
  return i.seen;
}

const Shape& Tensor::shape() const {
  BGL_REQUIRE(impl_, "an undefined tensor was used");
  return impl_->meta.shape;
}
DType Tensor::dtype() const {
  BGL_REQUIRE(impl_, "an undefined tensor was used");
  return impl_->meta.dtype;
}
int64_t Tensor::size(int64_t dim) const { return shape()[static_cast<size_t>(ops::normalize_dim(dim, this->dim(), "size"))]; }

Tensor Tensor::from_buffer(std::shared_ptr<ops::Buffer> buffer, DType dtype, const Shape& shape) {
  BGL_REQUIRE(static_cast<int64_t>(buffer->bytes()) >= ops::numel(shape) * ops::dtype_size(dtype), "[from_buffer] {} bytes for {} {}",
              buffer->bytes(), ops::dtype_name(dtype), ops::shape_text(shape));
  return Tensor(ops::make_leaf({dtype, shape}, std::move(buffer)));
}

namespace {
template <typename T>
Tensor copy_in(std::span<const T> data, DType dtype, const Shape& shape) {
  BGL_REQUIRE(static_cast<int64_t>(data.size()) == ops::numel(shape), "[from_vector] {} elements for shape {}", data.size(),
              ops::shape_text(shape));
  auto buffer = ops::Buffer::allocate(data.size_bytes());
  if (!data.empty()) std::memcpy(buffer->data(), data.data(), data.size_bytes());
  return Tensor::from_buffer(std::move(buffer), dtype, shape);
}
}  // namespace

Tensor Tensor::from_vector(std::span<const float> data, const Shape& shape) { return copy_in(data, DType::kF32, shape); }
Tensor Tensor::from_vector(std::span<const int64_t> data, const Shape& shape) { return copy_in(data, DType::kI64, shape); }
Tensor Tensor::full(const Shape& shape, double value, DType dtype) { return Tensor(ops::full(shape, value, dtype)); }
Tensor Tensor::arange(int64_t n, DType dtype) { return Tensor(ops::arange(n, dtype)); }

bool Tensor::requires_grad() const { return impl_ && value().node->requires_grad; }

Tensor& Tensor::requires_grad_(bool on) {
  BGL_REQUIRE(impl_ && impl_->steps.empty(), "[requires_grad_] only a whole tensor, not a view, can require a gradient");
  Storage& storage = *impl_->storage;
  if (storage.requires_grad == on) return *this;
  Value v = value();
  BGL_REQUIRE(!v.node->requires_grad || storage.requires_grad, "[requires_grad_] only a leaf can require a gradient");
  if (!v.node->computed()) evaluate_or_throw({v});
  storage.requires_grad = on;
  storage.value = ops::make_leaf(impl_->meta, v.node->buffers[static_cast<size_t>(v.index)], on);
  storage.version++;
  return *this;
}

Tensor Tensor::grad() const { return impl_ ? impl_->grad : Tensor(); }
void Tensor::set_grad(const Tensor& grad) {
  BGL_REQUIRE(impl_, "an undefined tensor was used");
  impl_->grad = grad;
}

void Tensor::backward(const Tensor& seed) const {
  const Value out = value();
  BGL_REQUIRE(seed.defined() || ops::numel(out.shape()) == 1, "[backward] a tensor of shape {} needs a seed gradient",
              ops::shape_text(out.shape()));
  // Leaves know no tensors; the live tensors know their leaves.
  std::unordered_map<const ops::Node*, Impl*> owners;
  for (Impl* impl : live_impls()) {
    if (impl->storage->requires_grad && impl->steps.empty()) owners[impl->storage->value.node.get()] = impl;
  }
  const std::vector<Value> leaves = compiler::differentiable_leaves(out);
  ops::NoGrad no_grad;  // as torch without create_graph: gradients hold nothing for second ones
  const std::vector<Value> grads = compiler::differentiate(out, leaves, seed.defined() ? seed.value() : Value{});
  for (size_t i = 0; i < leaves.size(); ++i) {
    const auto owner = owners.find(leaves[i].node.get());
    if (owner == owners.end() || !grads[i]) continue;
    Tensor& slot = owner->second->grad;
    slot = slot.defined() ? Tensor(ops::add(slot.value(), grads[i])) : Tensor(grads[i]);
  }
}

Tensor Tensor::detach() const {
  Value v = value();
  if (!v.node->requires_grad) return *this;
  evaluate_or_throw({v});
  return Tensor(ops::make_leaf(v.meta(), v.node->buffers[static_cast<size_t>(v.index)], false));
}
Tensor Tensor::clone() const { return Tensor(ops::contiguous(value())); }

std::shared_ptr<ops::Buffer> Tensor::buffer() const {
  const Value v = value();
  if (!v.node->computed()) evaluate_or_throw({v});
  return v.node->buffers[static_cast<size_t>(v.index)];
}

double Tensor::item() const {
  BGL_REQUIRE(numel() == 1, "[item] a tensor of shape {} is not one number", ops::shape_text(shape()));
  const auto b = buffer();
  switch (dtype()) {
    case DType::kF32: return *b->as<float>();
    case DType::kF64: return *b->as<double>();
    case DType::kI64: return static_cast<double>(*b->as<int64_t>());
    case DType::kI32: return *b->as<int32_t>();
    case DType::kI8: return *b->as<int8_t>();
    case DType::kU8: case DType::kBool: return *b->as<uint8_t>();
    default: return Tensor(ops::cast(value(), DType::kF32)).item();
  }
}

std::vector<float> Tensor::to_vector() const {
  if (dtype() != DType::kF32) return Tensor(ops::cast(value(), DType::kF32)).to_vector();
  const auto b = buffer();
  return {b->as<float>(), b->as<float>() + numel()};
}

std::vector<int64_t> Tensor::to_int_vector() const {
  if (dtype() != DType::kI64) return Tensor(ops::cast(value(), DType::kI64)).to_int_vector();
  const auto b = buffer();
  return {b->as<int64_t>(), b->as<int64_t>() + numel()};
}

namespace {
std::shared_ptr<Tensor::Impl> view_impl(const Tensor& base, ViewStep step) {
  const Value v = step.apply(base.value());
  auto impl = std::make_shared<Tensor::Impl>();
  impl->storage = base.impl()->storage;
  impl->steps = base.impl()->steps;
  impl->steps.push_back(std::move(step));
  impl->meta = v.meta();
  impl->seen = v;
  impl->seen_version = impl->storage->version;
  return impl;
}
}  // namespace

Tensor Tensor::reshape(const Shape& shape) const {
  Shape full = ops::reshape(value(), shape).shape();
  return Tensor(view_impl(*this, {ViewStep::Kind::kReshape, full}));
}
Tensor Tensor::view(const Shape& shape) const {
  // Whether strides can express it is a matter of the steps so far; replay them on a layout.
  ops::Layout layout{impl_->storage->value.shape(), ops::contiguous_strides(impl_->storage->value.shape()), 0};
  Value v = impl_->storage->value;
  std::vector<ViewStep> steps = impl_->steps;
  steps.push_back({ViewStep::Kind::kReshape, ops::reshape(value(), shape).shape()});
  for (const ViewStep& step : steps) {
    const Value next = step.apply(v);
    if (next.node == v.node) continue;
    ops::Layout out;
    BGL_REQUIRE(next.node->op->view && next.node->op->view(layout, *next.node, out),
                "[view] {} cannot be seen as {} without a copy: use reshape", ops::shape_text(this->shape()), ops::shape_text(shape));
    layout = out;
    v = next;
  }
  return reshape(shape);
}
Tensor Tensor::permute(const std::vector<int64_t>& dims) const {
  std::vector<int64_t> order;
  for (const int64_t d : dims) order.push_back(ops::normalize_dim(d, dim(), "permute"));
  return Tensor(view_impl(*this, {ViewStep::Kind::kPermute, order}));
}
Tensor Tensor::transpose(int64_t a, int64_t b) const {
  std::vector<int64_t> order;
  for (int64_t d = 0; d < dim(); ++d) order.push_back(d);
  std::swap(order[static_cast<size_t>(ops::normalize_dim(a, dim(), "transpose"))],
            order[static_cast<size_t>(ops::normalize_dim(b, dim(), "transpose"))]);
  return permute(order);
}
Tensor Tensor::expand(const Shape& shape) const {
  return Tensor(view_impl(*this, {ViewStep::Kind::kExpand, ops::expand(value(), shape).shape()}));
}
Tensor Tensor::slice(int64_t dim, int64_t start, int64_t end, int64_t step) const {
  const int64_t d = ops::normalize_dim(dim, this->dim(), "slice");
  const int64_t n = size(d);
  if (start < 0) start += n;
  if (end < 0) end += n;
  start = std::clamp<int64_t>(start, 0, n);
  end = std::clamp<int64_t>(end, start, n);
  return Tensor(view_impl(*this, {ViewStep::Kind::kSlice, {d, start, end, step}}));
}
Tensor Tensor::select(int64_t dim, int64_t index) const {
  const int64_t d = ops::normalize_dim(dim, this->dim(), "select");
  BGL_REQUIRE(index >= -size(d) && index < size(d), "[select] index {} is outside dim {} of size {}", index, d, size(d));
  if (index < 0) index += size(d);
  Shape s = shape();
  s.erase(s.begin() + d);
  return slice(d, index, index + 1).reshape(s);
}

Tensor& Tensor::copy_(const Tensor& source) {
  BGL_REQUIRE(impl_, "an undefined tensor was used");
  BGL_REQUIRE(!ops::grad_enabled() || !impl_->storage->requires_grad, "[in-place] a leaf that requires a gradient is written to: use NoGrad");
  Value part = ops::expand(ops::cast(source.value(), dtype()), shape());
  // The values along the chain of views, then back up with the part replaced.
  std::vector<Value> chain = {impl_->storage->value};
  for (const ViewStep& step : impl_->steps) chain.push_back(step.apply(chain.back()));
  for (size_t i = impl_->steps.size(); i-- > 0;) part = impl_->steps[i].write(chain[i], part);
  if (part.node->op->op_class == ops::OpClass::kView || part.node->computed()) part = ops::contiguous(part);
  if (compiler::eager()) evaluate_or_throw({part});
  impl_->storage->value = part;
  impl_->storage->version++;
  return *this;
}
Tensor& Tensor::fill_(double v) { return copy_(full(shape(), v, dtype())); }
Tensor& Tensor::add_(const Tensor& other, double alpha) {
  return copy_(Tensor(ops::add(value(), alpha == 1 ? other.value() : ops::mul(other.value(), alpha))));
}
Tensor& Tensor::mul_(const Tensor& other) { return copy_(Tensor(ops::mul(value(), other.value()))); }
Tensor& Tensor::mul_(double factor) { return copy_(Tensor(ops::mul(value(), factor))); }

void Tensor::set_value(Value value) {
  BGL_REQUIRE(impl_ && impl_->steps.empty(), "[set_value] a view has no storage of its own");
  BGL_REQUIRE(value.shape() == shape(), "[set_value] {} for a tensor of shape {}", ops::shape_text(value.shape()),
              ops::shape_text(shape()));
  BGL_REQUIRE(value.dtype() == dtype() || impl_->storage.use_count() == 1, "[set_value] {} for a tensor of {} that has views",
              ops::dtype_name(value.dtype()), ops::dtype_name(dtype()));
  impl_->meta = value.meta();
  impl_->seen = {};
  impl_->storage->value = std::move(value);
  impl_->storage->version++;
}

Tensor operator+(const Tensor& a, const Tensor& b) { return Tensor(ops::add(a.value(), b.value())); }
Tensor operator-(const Tensor& a, const Tensor& b) { return Tensor(ops::sub(a.value(), b.value())); }
Tensor operator*(const Tensor& a, const Tensor& b) { return Tensor(ops::mul(a.value(), b.value())); }
Tensor operator/(const Tensor& a, const Tensor& b) { return Tensor(ops::div(a.value(), b.value())); }
Tensor operator+(const Tensor& a, double b) { return Tensor(ops::add(a.value(), b)); }
Tensor operator-(const Tensor& a, double b) { return Tensor(ops::sub(a.value(), b)); }
Tensor operator*(const Tensor& a, double b) { return Tensor(ops::mul(a.value(), b)); }
Tensor operator/(const Tensor& a, double b) { return Tensor(ops::div(a.value(), b)); }
Tensor operator-(const Tensor& a) { return Tensor(ops::neg(a.value())); }

void eval(std::span<const Tensor> tensors) {
  std::vector<Value> values;
  for (const Tensor& t : tensors) values.push_back(t.value());
  evaluate_or_throw(values);
}

void eval_all_pending() {
  std::vector<Value> values;
  std::unordered_set<const ops::Node*> seen;
  for (Tensor::Impl* impl : live_impls()) {
    if (impl->seen_version != impl->storage->version || impl->storage->requires_grad) impl->seen = {};
    const Value& v = impl->storage->value;
    if (!v.node->computed() && seen.insert(v.node.get()).second) values.push_back(v);
  }
  std::sort(values.begin(), values.end(), [](const Value& a, const Value& b) { return a.node->id < b.node->id; });
  evaluate_or_throw(values);
  for (Tensor::Impl* impl : live_impls()) settle(*impl->storage);
}

}  // namespace bgl::framework
