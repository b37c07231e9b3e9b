#include "ops/kernels/row_kernels.h"

#include <fmt/format.h>

#include <limits>

#include "lang/math.h"
#include "ops/kernels/reduce_kernels.h"

namespace bgl::ops::kernels {
namespace {

using lang::Builder;
using lang::Elem;
using lang::Mem;
using lang::TileAccess;
using lang::Val;

constexpr int64_t kVocabularyBlock = 1024;  // the unit of cross-entropy's order
constexpr float kLowest = -std::numeric_limits<float>::infinity();

// A row of float32 at base: reads and writes tiles of 16.
struct Row {
  Builder& b;
  Val pointer, base;
  Val read(Val at, Val limit, double other = 0) const { return b.load(pointer, base + at, access(limit, other)); }
  void write(Val at, Val limit, Val tile) const { b.store(pointer, base + at, tile, access(limit, 0)); }
  // Asks for the same place of the next row, so that memory works while this row is gone over again.
  void prefetch_next(Val at, Val n) const { b.prefetch(pointer, base + n + at); }
  static TileAccess access(Val limit, double other) {
    TileAccess a{.rows = 1, .cols = kLanes, .other = other};
    a.col_limit = limit;
    return a;
  }
};

// Lanes past the end of the row must not count: 0 there.
Val only(Builder& b, Val tile, Val limit) {
  return limit ? b.select(b.cmp_lt(b.iota(kLanes), limit), tile, b.splat_like(0.0, tile)) : tile;
}

// What follows the normalisation: y * weight, then + bias.
struct Affine {
  bool weight = false, bias = false;
};

lang::Function make_norm(bool centred, Affine affine) {
  Builder b(centred ? "layer_norm" : "rms_norm");
  const Val x = b.pointer("x", Mem::f32), weight = affine.weight ? b.pointer("weight", Mem::f32) : Val{},
            bias = affine.bias ? b.pointer("bias", Mem::f32) : Val{}, y = b.pointer("y", Mem::f32);
  const Val mean_out = centred ? b.pointer("mean", Mem::f32) : Val{};
  const Val rstd_out = b.pointer("rstd", Mem::f32), n = b.i64("n"), eps = b.f32("eps");
  const Val row = b.program_id(0);
  const Row in{b, x, row * n}, out{b, y, row * n};
  const Val count = b.cast(n, Elem::f32);
  Val mean;
  if (centred) {
    mean = row_reduce(b, n, Reduce::kSum, [&](Val at, Val limit) { return in.read(at, limit); }) / count;
    b.store(mean_out, row, mean);
  }
  auto centre = [&](Val v) { return centred ? v - mean : v; };
  const Val squares = row_reduce(b, n, Reduce::kSum, [&](Val at, Val limit) {
    if (centred) in.prefetch_next(at, n);
    const Val d = centre(in.read(at, limit));
    return only(b, d * d, centred ? limit : Val{});
  });
  const Val rstd = b.const_f32(1) / b.sqrt(squares / count + eps);
  b.store(rstd_out, row, rstd);
  for_row(b, n, [&](Val at, Val limit) {
    if (!centred) in.prefetch_next(at, n);
    Val v = centre(in.read(at, limit)) * rstd;
    if (affine.weight) v = v * b.load(weight, at, Row::access(limit, 0));
    if (affine.bias) v = v + b.load(bias, at, Row::access(limit, 0));
    out.write(at, limit, v);
  });
  return b.finish();
}

lang::Function make_softmax(bool logarithm) {
  Builder b(logarithm ? "log_softmax" : "softmax");
  const Val x = b.pointer("x", Mem::f32), y = b.pointer("y", Mem::f32), n = b.i64("n");
  const Val base = b.program_id(0) * n;
  const Row in{b, x, base}, out{b, y, base};
  const Val m = row_reduce(b, n, Reduce::kMax, [&](Val at, Val limit) { return in.read(at, limit, kLowest); });
  const Val total = row_reduce(b, n, Reduce::kSum, [&](Val at, Val limit) {
    in.prefetch_next(at, n);
    const Val e = lang::exp_of_nonpositive(b, in.read(at, limit, kLowest) - m);
    if (!logarithm) out.write(at, limit, e);
    return e;
  });
  if (logarithm) {
    const Val shift = m + lang::log(b, total);
    for_row(b, n, [&](Val at, Val limit) { out.write(at, limit, in.read(at, limit) - shift); });
  } else {
    for_row(b, n, [&](Val at, Val limit) { out.write(at, limit, out.read(at, limit) / total); });
  }
  return b.finish();
}

lang::Function make_cross_entropy() {
  Builder b("cross_entropy");
  const Val x = b.pointer("logits", Mem::f32), targets = b.pointer("targets", Mem::i64), loss = b.pointer("loss", Mem::f32),
            lse_out = b.pointer("lse", Mem::f32), n = b.i64("n"), ignored = b.i64("ignored");
  const Val row = b.program_id(0);
  const Row in{b, x, row * n};
  // Block after block of the vocabulary, so that each is read from memory once: the sum so far shrinks as the maximum grows. Where all is
  // -inf so far, a finite number stands for the maximum.
  const Builder::Vals whole = b.loop(
      b.const_i64(0), n, b.const_i64(kVocabularyBlock), {b.full(kLowest, 1, 1), b.full(0, 1, 1)}, [&](Val from, const Builder::Vals& c) {
        const Val to = b.min(from + double(kVocabularyBlock), n);
        const Val m = b.max(c[0], range_reduce(b, from, to, Reduce::kMax, [&](Val at, Val limit) { return in.read(at, limit, kLowest); }));
        const Val largest = b.max(m, b.const_f32(-1e38));
        const Val sum = range_reduce(b, from, to, Reduce::kSum, [&](Val at, Val limit) {
          b.prefetch(x, in.base + at + double(kVocabularyBlock));
          return only(b, lang::share_of_largest(b, in.read(at, limit, kLowest), largest), limit);
        });
        return Builder::Vals{m, b.fma(c[1], lang::share_of_largest(b, c[0], largest), sum)};
      });
  const Val lse = whole[0] + lang::log(b, whole[1]);
  b.store(lse_out, row, lse);
  const Val target = b.load(targets, row);
  b.when(b.cmp_eq(target, ignored), [&] { b.store(loss, row, b.const_f32(0)); },
         [&] { b.store(loss, row, lse - b.load(x, row * n + target)); });
  return b.finish();
}

lang::Function make_cross_entropy_grad() {
  Builder b("cross_entropy_grad");
  const Val x = b.pointer("logits", Mem::f32), targets = b.pointer("targets", Mem::i64), lse = b.pointer("lse", Mem::f32),
            g = b.pointer("g", Mem::f32), dx = b.pointer("dx", Mem::f32), n = b.i64("n"), ignored = b.i64("ignored");
  const Val row = b.program_id(0);
  const Row in{b, x, row * n}, out{b, dx, row * n};
  const Val target = b.load(targets, row);
  const Val scale = b.select(b.cmp_eq(target, ignored), b.const_f32(0), b.load(g, row));
  const Val shift = b.load(lse, row);
  for_row(b, n, [&](Val at, Val limit) {
    const Val p = lang::exp(b, in.read(at, limit) - shift);
    const Val hit = b.cmp_eq(b.iota(kLanes) + at, target);
    out.write(at, limit, (p - b.select(hit, b.const_f32(1), b.const_f32(0))) * scale);
  });
  return b.finish();
}

int64_t rows_of(Lowering& l, OperandId x) {
  const int64_t n = l.shape(x).back();
  return n == 0 ? 0 : numel(l.shape(x)) / n;
}

}  // namespace

void lower_norm(Lowering& l, bool centred, bool weight, bool bias, double eps) {
  const OperandId x = l.contiguous(l.in(0));
  std::vector<Slot> slots = {slot(x)};
  if (weight) slots.push_back(slot(l.contiguous(l.in(1))));
  if (bias) slots.push_back(slot(l.contiguous(l.in(2))));
  for (int i = 0; i < (centred ? 3 : 2); ++i) slots.push_back(slot(l.out(i)));
  slots.push_back(slot(l.shape(x).back()));
  slots.push_back(slot_f32(eps));
  const std::string key = fmt::format("{}{}{}", centred ? "layer_norm" : "rms_norm", weight ? "/w" : "", bias ? "b" : "");
  l.launch(key, [&] { return make_norm(centred, {weight, bias}); }, {rows_of(l, x), 1, 1}, std::move(slots));
}

void lower_softmax(Lowering& l, bool logarithm) {
  const OperandId x = l.contiguous(l.in(0));
  l.launch(logarithm ? "log_softmax" : "softmax", [&] { return make_softmax(logarithm); }, {rows_of(l, x), 1, 1},
           {slot(x), slot(l.out()), slot(l.shape(x).back())});
}

void lower_cross_entropy(Lowering& l, int64_t ignore_index) {
  const OperandId x = l.contiguous(l.in(0)), targets = l.contiguous(l.in(1));
  check_ids(l, targets, l.shape(x)[1], ignore_index, "cross_entropy: target");
  l.launch("cross_entropy", make_cross_entropy, {rows_of(l, x), 1, 1},
           {slot(x), slot(targets), slot(l.out(0)), slot(l.out(1)), slot(l.shape(x)[1]), slot(ignore_index)});
}

void lower_cross_entropy_grad(Lowering& l, int64_t ignore_index) {
  const OperandId x = l.contiguous(l.in(0)), targets = l.contiguous(l.in(1)), lse = l.contiguous(l.in(2)), g = l.contiguous(l.in(3));
  l.launch("cross_entropy_grad", make_cross_entropy_grad, {rows_of(l, x), 1, 1},
           {slot(x), slot(targets), slot(lse), slot(g), slot(l.out()), slot(l.shape(x)[1]), slot(ignore_index)});
}

void check_ids(Lowering& l, OperandId ids, int64_t limit, int64_t allowed, const char* what) {
  const auto operand = static_cast<size_t>(ids.id);
  const int64_t n = numel(l.shape(ids));
  const int64_t offset = l.layout(ids).offset;
  l.host([=](const HostCall& call) -> Status {
    const auto* data = static_cast<const int64_t*>(call.pointers[operand]) + offset;
    for (int64_t i = 0; i < n; ++i) {
      if ((data[i] < 0 || data[i] >= limit) && data[i] != allowed) {
        return invalid_argument("{} {} at element {} is outside [0, {})", what, data[i], i, limit);
      }
    }
    return Status();
  });
}

}  // namespace bgl::ops::kernels
