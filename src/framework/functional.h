// torch.nn.functional's names on Tensors; shapes and errors as in ops/functions.h.
#pragma once

#include <vector>

#include "framework/tensor.h"

namespace bgl::framework {

inline Value value_or_none(const Tensor& t) { return t.defined() ? t.value() : Value{}; }

inline Tensor matmul(const Tensor& a, const Tensor& b) { return Tensor(ops::matmul(a.value(), b.value())); }
inline Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {}) {
  return Tensor(ops::linear(x.value(), weight.value(), value_or_none(bias)));
}
inline Tensor embedding(const Tensor& ids, const Tensor& weight) { return Tensor(ops::embedding(weight.value(), ids.value())); }
inline Tensor layer_norm(const Tensor& x, const Tensor& weight = {}, const Tensor& bias = {}, double eps = 1e-5) {
  return Tensor(ops::layer_norm(x.value(), value_or_none(weight), value_or_none(bias), eps));
}
inline Tensor rms_norm(const Tensor& x, const Tensor& weight = {}, double eps = 1e-5) {
  return Tensor(ops::rms_norm(x.value(), value_or_none(weight), eps));
}
inline Tensor softmax(const Tensor& x, int64_t dim) { return Tensor(ops::softmax(x.value(), dim)); }
inline Tensor log_softmax(const Tensor& x, int64_t dim) { return Tensor(ops::log_softmax(x.value(), dim)); }
inline Tensor gelu(const Tensor& x) { return Tensor(ops::gelu(x.value())); }
inline Tensor gelu_tanh(const Tensor& x) { return Tensor(ops::gelu_tanh(x.value())); }
inline Tensor silu(const Tensor& x) { return Tensor(ops::silu(x.value())); }
inline Tensor relu(const Tensor& x) { return Tensor(ops::relu(x.value())); }
inline Tensor tanh(const Tensor& x) { return Tensor(ops::tanh(x.value())); }
inline Tensor sigmoid(const Tensor& x) { return Tensor(ops::sigmoid(x.value())); }
inline Tensor exp(const Tensor& x) { return Tensor(ops::exp(x.value())); }
inline Tensor sum(const Tensor& x, std::vector<int64_t> dims = {}, bool keepdim = false) {
  return Tensor(ops::sum(x.value(), std::move(dims), keepdim));
}
inline Tensor mean(const Tensor& x, std::vector<int64_t> dims = {}, bool keepdim = false) {
  return Tensor(ops::mean(x.value(), std::move(dims), keepdim));
}
inline Tensor cross_entropy(const Tensor& logits, const Tensor& targets, int64_t ignore_index = -100) {
  return Tensor(ops::cross_entropy(logits.value(), targets.value(), ignore_index));
}
// The sum of the losses instead of their mean: for gradients that are normalised over several batches.
inline Tensor cross_entropy_sum(const Tensor& logits, const Tensor& targets, int64_t ignore_index = -100) {
  const Value l = logits.value(), t = targets.value();
  return Tensor(ops::sum(ops::cross_entropy_rows(ops::reshape(l, {-1, l.size(-1)}), ops::reshape(t, {-1}), ignore_index)));
}
inline Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v, double scale, bool is_causal) {
  return Tensor(ops::attention(q.value(), k.value(), v.value(), scale, is_causal));
}
inline Tensor rope(const Tensor& x, const Tensor& positions, const Tensor& cos, const Tensor& sin, bool interleaved) {
  return Tensor(ops::rope(x.value(), positions.value(), cos.value(), sin.value(), interleaved));
}
// Zeroes elements with probability p, drawn from the default generator now, and scales the others by 1 / (1 - p).
Tensor dropout(const Tensor& x, double p, bool training);

}  // namespace bgl::framework
