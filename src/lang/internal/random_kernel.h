// Random kernels for the tests: every operation, shape, memory type and way of access in small, with the memory they work on.
#pragma once

#include <limits>
#include <random>
#include <vector>

#include "lang/builder.h"
#include "lang/interpret.h"

namespace bgl::lang::internal {

class RandomKernel {
 public:
  static constexpr int64_t kElements = 4800;  // of every buffer: 800 a program, more than a tile of 8 x 32 with the widest strides spans
  static constexpr int64_t kPrograms = 3;

  explicit RandomKernel(uint32_t seed) : rng_(seed), b_("random_" + std::to_string(seed)) { build(); }

  Function fn;
  std::vector<Mem> types;  // of the pointer parameters; the second half of them is written
  size_t inputs = 0;

  // Fresh memory, the same for the same seed: one vector of bytes for each pointer.
  std::vector<std::vector<uint8_t>> memory() const {
    std::mt19937 rng(static_cast<uint32_t>(types.size()) + 99);
    std::vector<std::vector<uint8_t>> out;
    for (const Mem m : types) {
      std::vector<uint8_t> bytes(static_cast<size_t>(kElements) * static_cast<size_t>(mem_size(m)));
      for (uint8_t& v : bytes) v = static_cast<uint8_t>(rng());
      if (m == Mem::f32) {
        auto* f = reinterpret_cast<float*>(bytes.data());
        for (int64_t i = 0; i < kElements; ++i) f[i] = special(rng);
      }
      out.push_back(std::move(bytes));
    }
    return out;
  }
  std::vector<uint64_t> slots(std::vector<std::vector<uint8_t>>& memory) const {
    std::vector<uint64_t> out;
    for (auto& m : memory) out.push_back(reinterpret_cast<uint64_t>(m.data()));
    for (const int64_t v : {limit_, row_stride_, col_stride_}) out.push_back(static_cast<uint64_t>(v));
    return out;
  }

 private:
  using Vals = std::vector<Val>;
  int64_t pick(int64_t n) { return static_cast<int64_t>(rng_() % static_cast<uint64_t>(n)); }
  template <typename T>
  T one_of(std::initializer_list<T> list) {
    return list.begin()[pick(static_cast<int64_t>(list.size()))];
  }
  Val any(const Vals& v) { return v[static_cast<size_t>(pick(static_cast<int64_t>(v.size())))]; }
  static float special(std::mt19937& rng) {
    const float inf = std::numeric_limits<float>::infinity();
    switch (rng() % 24) {
      case 0:
        return 0.0f;
      case 1:
        return -0.0f;
      case 2:
        return inf;
      case 3:
        return -inf;
      case 4:
        return std::numeric_limits<float>::quiet_NaN();
      case 5:
        return 1e-40f;
      case 6:
        return 3e38f;
      default:
        return (static_cast<float>(rng()) / 4294967296.0f - 0.5f) * 8;
    }
  }
  TileAccess random_access() {
    TileAccess at{.rows = rows_, .cols = cols_};
    at.row_stride = one_of<Val>({{}, b_.const_i64(cols_), b_.const_i64(1), row_param_});
    at.col_stride = one_of<Val>({{}, {}, {}, b_.const_i64(0), b_.const_i64(3), col_param_});
    if (pick(3) == 0) at.row_limit = limit_param_ - b_.const_i64(pick(8));
    if (pick(3) == 0) at.col_limit = limit_param_ - b_.program_id(0) * static_cast<double>(pick(4));
    at.other = one_of<double>({0, 0, -1, 2.5});
    return at;
  }

  void build() {
    constexpr Mem kMems[] = {Mem::f32, Mem::bf16, Mem::f16, Mem::i8, Mem::u8, Mem::i32, Mem::i64, Mem::f32};
    rows_ = static_cast<int>(one_of<int64_t>({1, 1, 2, 3, 4, 6, 8}));
    cols_ = static_cast<int>(one_of<int64_t>({1, 2, 4, 8, 16, 32}));
    Vals in, out;
    for (int i = 0; i < 4; ++i) {
      types.push_back(i == 0 ? Mem::f32 : kMems[pick(8)]);
      in.push_back(b_.pointer("in" + std::to_string(i), types.back()));
    }
    inputs = types.size();
    prefetched_ = in[0];
    for (int i = 0; i < 4; ++i) {
      types.push_back(kMems[pick(8)]);
      out.push_back(b_.pointer("out" + std::to_string(i), types.back()));
    }
    limit_ = pick(12), row_stride_ = 1 + pick(40), col_stride_ = 1 + pick(3);
    limit_param_ = b_.i64("limit"), row_param_ = b_.i64("row_stride"), col_param_ = b_.i64("col_stride");
    const Val base = b_.program_id(0) * 100.0 + b_.program_id(1) * 7.0;
    real_.push_back(b_.full(1.5, rows_, cols_));
    i32_.push_back(b_.full(-3, rows_, cols_, Elem::i32));
    i64_.push_back(b_.broadcast(b_.iota(cols_) + b_.row_iota(rows_), rows_, cols_));
    mask_.push_back(b_.cmp_lt(i64_[0], b_.splat_like(2, i64_[0])));
    for (int i = 0; i < 5; ++i) keep(b_.load(i == 0 ? in[0] : any(in), base + b_.const_i64(pick(50)), random_access()));
    loaded_ = real_;
    keep(b_.gather(any(in), any(i64_) * 0.0 + i64_[0] * 5.0 + base, pick(2) ? any(mask_) : Val{}, 1.0));
    for (int i = 0; i < 10; ++i) step();
    if (pick(2)) loop(in[0], base);
    if (pick(2)) scratch();
    for (int i = 0; i < 4; ++i) step();
    finish(out);
    fn = b_.finish();
  }
  void keep(Val v) {
    (v.elem() == Elem::f32 ? real_ : v.elem() == Elem::i32 ? i32_ : v.elem() == Elem::i64 ? i64_ : mask_).push_back(v);
  }
  // A tile with no NaN and no large number, to be cast to an integer.
  Val tame(Val x) {
    const Val clamped = b_.max(b_.min(x, b_.splat_like(1000, x)), b_.splat_like(-1000, x));
    return b_.select(b_.cmp_eq(x, x), clamped, b_.splat_like(0, x));
  }

  void step() {
    const Val x = any(real_), y = any(real_);
    const bool wide = pick(2) == 0;
    const Val p = any(wide ? i64_ : i32_), q = any(wide ? i64_ : i32_);
    const Val width = b_.constant_int(pick(wide ? 64 : 32), p.elem());
    switch (pick(25)) {
      case 24: {  // two bfloat16 of a size between a half and two
        const auto pair = [&](Val v) { return b_.logical_or(b_.logical_and(v, b_.constant_int(0x807f807f - (1ll << 32), Elem::i32)), b_.constant_int(0x3f003f00, Elem::i32)); };
        return keep(b_.dot2(pair(any(i32_)), pair(any(i32_)), any(real_)));
      }
      case 23:
        return keep(b_.dot4(any(i32_), any(i32_), any(i32_)));
      case 0:
        return keep(b_.binary(one_of({Op::kAdd, Op::kSub, Op::kMul, Op::kDiv, Op::kMin, Op::kMax}), x, y));
      case 1:
        return keep(b_.fma(x, y, any(real_)));
      case 2:
        return keep(one_of({b_.neg(x), b_.abs(x), b_.sqrt(b_.abs(x))}));
      case 3:
        return keep(b_.binary(one_of({Op::kEq, Op::kNe, Op::kLt, Op::kLe, Op::kGt, Op::kGe}), x, y));
      case 4:
        return keep(b_.select(any(mask_), x, y));
      case 5:
        return keep(b_.binary(one_of({Op::kAdd, Op::kSub, Op::kMul, Op::kAnd, Op::kOr, Op::kXor, Op::kMin, Op::kMax}), p, q));
      case 6:
        return keep(b_.binary(one_of({Op::kShl, Op::kShr}), p, width));
      case 7:
        return keep(b_.binary(one_of({Op::kEq, Op::kNe, Op::kLt, Op::kLe, Op::kGt, Op::kGe}), p, q));
      case 8:
        return keep(b_.binary(one_of({Op::kAnd, Op::kOr, Op::kXor, Op::kEq, Op::kNe}), any(mask_), any(mask_)));
      case 9:
        return keep(b_.binary(one_of({Op::kDiv, Op::kRem}), b_.logical_and(p, b_.constant_int(0xffff, p.elem())) - 300.0,
                              b_.logical_and(q, b_.constant_int(7, q.elem())) + 1.0));
      case 10:
        return keep(b_.cast(any(i32_), one_of({Elem::i64, Elem::f32})));
      case 11:
        return keep(b_.cast(any(i64_), one_of({Elem::i32, Elem::f32})));
      case 12:
        return keep(b_.cast(any(mask_), one_of({Elem::i32, Elem::i64, Elem::f32})));
      case 13:
        return keep(b_.cast(tame(x), one_of({Elem::i32, Elem::i64})));
      case 14:
        return keep(b_.bitcast(b_.logical_and(any(i32_), b_.constant_int(0x3fffffff, Elem::i32)), Elem::f32));
      case 15:
        return keep(b_.bitcast(tame(any(loaded_)), Elem::i32));
      case 16:
      case 17: {
        const auto kind = one_of({ReduceKind::kSum, ReduceKind::kMax, ReduceKind::kMin});
        return keep(b_.broadcast(b_.reduce(pick(2) ? x : p, static_cast<int>(pick(2)), kind), rows_, cols_));
      }
      case 18:
        return keep(b_.select(any(mask_), p, q));
      case 19:
        return keep(one_of({b_.neg(p), b_.abs(p)}));
      case 20:
        return keep(b_.broadcast(b_.sum(x, 1), rows_, cols_));
      case 21: {
        b_.prefetch(prefetched_, row_param_);
        if (rows_ == cols_) return keep(b_.transpose(pick(2) ? x : p));
        return keep(x + y);
      }
      default:
        return keep(x * y + x);
    }
  }
  void loop(Val pointer, Val base) {
    const Val x = any(real_), n = any(i64_);
    const auto out = b_.loop(b_.const_i64(0), limit_param_, one_of({b_.const_i64(1), b_.const_i64(2), col_param_}),
                             {x, n, any(real_)}, [&](Val iv, const Builder::Vals& v) -> Builder::Vals {
                               const Val row =
                                   b_.load(pointer, base + iv * static_cast<double>(cols_), {.rows = 1, .cols = cols_});
                               Val next = v[1] + iv;
                               if (pick(2))
                                 next = b_.loop(b_.const_i64(1), iv, b_.const_i64(1), {next},
                                                [&](Val k, const Builder::Vals& w) -> Builder::Vals { return {w[0] + k}; })[0];
                               return {b_.fma(row, b_.full(0.5, 1, 1), v[2]), next, v[0]};
                             });
    for (const Val v : out) keep(v);
  }
  void scratch() {
    const Val s = b_.scratch(one_of({Mem::f32, Mem::bf16}), rows_ * cols_ * 2);
    const TileAccess at{.rows = rows_, .cols = cols_, .row_stride = b_.const_i64(cols_)};
    b_.store(s, b_.const_i64(0), any(real_), at);
    b_.when(
        b_.cmp_gt(limit_param_, b_.const_i64(pick(12))), [&] { b_.store(s, b_.const_i64(0), real_[0] * 2.0, at); },
        pick(2) ? std::function<void()>([&] { b_.store(s, b_.const_i64(0), b_.full(7, 1, 1), at); }) : std::function<void()>());
    keep(b_.load(s, b_.const_i64(0), at));
  }
  // Every program writes a stretch of its own in every output; strides and limits as they come.
  void finish(const Vals& out) {
    const Val stretch = (b_.program_id(1) * static_cast<double>(kPrograms) + b_.program_id(0)) * 800.0;
    for (const Val& pointer : out) {
      const Elem e = pointer.elem();
      const Val tile = any(e == Elem::f32 ? real_ : e == Elem::i32 ? i32_ : i64_);
      const int64_t way = pick(5);
      if (way == 0) {
        b_.scatter(pointer, b_.row_iota(rows_) * static_cast<double>(cols_) + b_.iota(cols_) + stretch, tile,
                   pick(2) ? any(mask_) : Val{});
        continue;
      }
      TileAccess at{.rows = rows_, .cols = cols_, .row_stride = b_.const_i64(cols_ * 3)};
      if (way == 1) at.col_stride = b_.const_i64(3);
      if (way == 2) at.col_stride = col_param_;
      if (pick(2)) at.row_limit = limit_param_ - b_.const_i64(pick(8));
      if (pick(2)) at.col_limit = limit_param_;
      b_.store(pointer, stretch, tile, at);
    }
  }

  std::mt19937 rng_;
  Builder b_;
  int rows_ = 1, cols_ = 1;
  int64_t limit_ = 0, row_stride_ = 1, col_stride_ = 1;
  Val limit_param_, row_param_, col_param_, prefetched_;
  Vals real_, i32_, i64_, mask_, loaded_;
};

}  // namespace bgl::lang::internal
