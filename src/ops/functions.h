// The operators as functions on graph values. Nothing is computed here: each call checks shapes, throws Error when they do not
// fit, and returns the node's value. Letters: B batch, T time, H heads, D width of a head, C channels, V vocabulary.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "ops/node.h"

namespace bgl::ops {

// --- leaves ---------------------------------------------------------------------------------------------------------
// A number as a tensor of rank 0; it is a run-time argument, so a new value does not recompile anything.
Value scalar(double value, DType dtype = DType::kF32);
Value full(const Shape& shape, double value, DType dtype = DType::kF32);
Value zeros_like(const Value& x);
// 0, 1, ..., n-1.
Value arange(int64_t n, DType dtype = DType::kI64);

// --- element by element, broadcasting as torch does -------------------------------------------------------------------
Value add(const Value& a, const Value& b);
Value sub(const Value& a, const Value& b);
Value mul(const Value& a, const Value& b);
Value div(const Value& a, const Value& b);
Value minimum(const Value& a, const Value& b);
Value maximum(const Value& a, const Value& b);
Value add(const Value& a, double b);
Value sub(const Value& a, double b);
Value mul(const Value& a, double b);
Value div(const Value& a, double b);
Value neg(const Value& a);
Value abs(const Value& a);
Value exp(const Value& a);
Value log(const Value& a);
Value sqrt(const Value& a);
Value rsqrt(const Value& a);
Value tanh(const Value& a);
Value erf(const Value& a);
Value sin(const Value& a);
Value cos(const Value& a);
Value sigmoid(const Value& a);
Value relu(const Value& a);
Value silu(const Value& a);       // x * sigmoid(x)
Value gelu(const Value& a);       // exact: x * Phi(x)
Value gelu_tanh(const Value& a);  // GPT-2's approximation
Value equal(const Value& a, const Value& b);  // bool, as the five below
Value not_equal(const Value& a, const Value& b);
Value less(const Value& a, const Value& b);
Value less_equal(const Value& a, const Value& b);
Value greater(const Value& a, const Value& b);
Value greater_equal(const Value& a, const Value& b);
Value where(const Value& condition, const Value& a, const Value& b);
Value cast(const Value& a, DType dtype);
// x * keep / (1 - p), p in [0, 1); keep holds 1 where an element stays and 0 elsewhere, and has no gradient.
Value dropout(const Value& x, const Value& keep, double p);

// --- views ------------------------------------------------------------------------------------------------------------
Value reshape(const Value& a, Shape shape);  // one size may be -1
Value permute(const Value& a, const std::vector<int64_t>& dims);
Value transpose(const Value& a, int64_t dim0, int64_t dim1);
Value expand(const Value& a, const Shape& shape);  // -1 keeps a size
// Elements start, start+step, ... below end along dim; start and end may be negative and are clamped, as in torch.
Value slice(const Value& a, int64_t dim, int64_t start, int64_t end, int64_t step = 1);
Value select(const Value& a, int64_t dim, int64_t index);

// --- movement ---------------------------------------------------------------------------------------------------------
Value contiguous(const Value& a);
Value cat(std::span<const Value> parts, int64_t dim);
// `base` with the slice replaced by `part`.
Value slice_scatter(const Value& base, const Value& part, int64_t dim, int64_t start, int64_t step = 1);
// Rows of table[V, C] at ids[...]: [..., C]. An id outside [0, V) is a run error.
Value embedding(const Value& table, const Value& ids);

// --- reductions; empty dims means all -----------------------------------------------------------------------------------
Value sum(const Value& a, std::vector<int64_t> dims = {}, bool keepdim = false);
Value mean(const Value& a, std::vector<int64_t> dims = {}, bool keepdim = false);
Value amax(const Value& a, std::vector<int64_t> dims = {}, bool keepdim = false);
Value argmax(const Value& a, int64_t dim);  // the first of equal ones; int64
// Undoes broadcasting: sums `a` down to `shape`.
Value sum_to(const Value& a, const Shape& shape);

// --- linear algebra ------------------------------------------------------------------------------------------------------
// a[..., M, K] x b[..., K, N] -> [..., M, N]; leading dims broadcast; rank 1 operands as in torch.
Value matmul(const Value& a, const Value& b);
// x[..., K] x weight[N, K]^T + bias[N] (bias may be empty).
Value linear(const Value& x, const Value& weight, const Value& bias);

// --- normalisation, softmax, loss -------------------------------------------------------------------------------------------
Value softmax(const Value& a, int64_t dim);
Value log_softmax(const Value& a, int64_t dim);
// Over the last dim; weight[C] and bias[C] may be empty. Ref: arXiv:1607.06450.
Value layer_norm(const Value& x, const Value& weight, const Value& bias, double eps);
// x * rsqrt(mean(x^2) + eps) * weight[C]. Ref: arXiv:1910.07467.
Value rms_norm(const Value& x, const Value& weight, double eps);
// Per row -log softmax(logits[R, V])[target[R]], 0 where the target is ignore_index; [R].
Value cross_entropy_rows(const Value& logits, const Value& targets, int64_t ignore_index = -100);
// The mean of cross_entropy_rows over the rows that count; logits [..., V], targets [...].
Value cross_entropy(const Value& logits, const Value& targets, int64_t ignore_index = -100);

// --- attention -----------------------------------------------------------------------------------------------------------------
// softmax(scale * q k^T + mask) v. q[B, H, T, D], k and v [B, G, S, D], H a multiple of G (head h reads group h / (H/G)).
// causal: query t sees keys 0 .. S - T + t. Never holds the T x S matrix. Ref: arXiv:2205.14135.
Value attention(const Value& q, const Value& k, const Value& v, double scale, bool causal);
// Rotates pairs of x[B, H, T, D] by the angles whose cos and sin stand in cos[P, D/2] and sin[P, D/2] at positions[B, T] (int64).
// interleaved: pairs (2i, 2i+1) as llama2.c has them; otherwise (i, i + D/2) as Hugging Face has them. Ref: arXiv:2104.09864.
Value rope(const Value& x, const Value& positions, const Value& cos, const Value& sin, bool interleaved);
// Attention of N single queries over a paged cache, the serving form: q[N, H, D]; pages of 64 places, keys transposed: k_pages
// [P, G, D, 64], v_pages [P, G, 64, D]; query n sees the first lengths[n] keys of the pages pages[n, 0], pages[n, 1], ... The same
// bits as attention() for the same keys.
Value paged_attention(const Value& q, const Value& k_pages, const Value& v_pages, const Value& pages, const Value& lengths,
                      double scale);
// pages with rows x[N, G, D] written at slots[N] (page * 64 + place); run in place when nobody else holds them. transposed: pages of
// keys, [P, G, D, 64].
Value write_pages(const Value& pages, const Value& x, const Value& slots, bool transposed);

// --- optimizers ------------------------------------------------------------------------------------------------------------------
struct AdamWResult {
  Value param, exp_avg, exp_avg_sq;
};
// torch.optim.AdamW's step. lr, decay = 1 - lr * weight_decay, bias1 = 1 - beta1^t and bias2_sqrt = sqrt(1 - beta2^t) are
// run-time scalars; `scale` multiplies the gradient first (clipping).
AdamWResult adamw(const Value& param, const Value& grad, const Value& exp_avg, const Value& exp_avg_sq, const Value& lr,
                  const Value& decay, const Value& bias1, const Value& bias2_sqrt, const Value& scale, double beta1, double beta2,
                  double eps);

}  // namespace bgl::ops
