// Each function reduces its argument to a short interval, takes a minimax polynomial there and puts the parts together with
// integer work on the exponent. The coefficients were fitted in arithmetic of 40 digits and more against the final relative
// error, then rounded: by Remez exchange, and those of quotients by Lawson's reweighted least squares.
#include "lang/math.h"

#include <initializer_list>
#include <limits>

namespace bgl::lang {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kLog2e = 1.44269504088896340736;
// ln 2 in two parts; the first has so few bits that its product with an exponent is exact even without FMA.
constexpr double kLn2High = 0.693359375;
constexpr double kLn2Low = -0.00021219444170128554;
// Adding 1.5 * 2^23 to |v| < 2^22 rounds v to the nearest integer, which then stands in the low bits.
constexpr double kMagic = 12582912.0;

struct Math {
  Builder& b;

  Val f(double v, Val like) const { return b.splat_like(v, like); }
  Val i(int64_t v) const { return b.constant_int(v, Elem::i32); }
  Val bits(Val x) const { return b.bitcast(x, Elem::i32); }
  Val real(Val n) const { return b.bitcast(n, Elem::f32); }
  Val fma(Val x, Val y, double z) const { return b.fma(x, y, b.const_f32(z)); }
  Val fma(Val x, double y, Val z) const { return b.fma(x, b.const_f32(y), z); }
  // c0 + c1 x + c2 x^2 + ...
  Val polynomial(Val x, std::initializer_list<double> c) const {
    const double* k = c.end() - 1;
    Val sum = f(*k, x);
    while (k != c.begin()) sum = fma(sum, x, *--k);
    return sum;
  }
  // c0 + c1 x + ... + c5 x^5 with fewer roundings one after the other than polynomial() has.
  Val short_chain(Val x, Val square, const double (&c)[6]) const {
    const Val high = polynomial(x, {c[3], c[4], c[5]}), low = polynomial(x, {c[1], c[2]});
    return fma(b.fma(high, square, low), x, c[0]);
  }
  // `magnitude` (not negative) with the sign of x.
  Val with_sign_of(Val x, Val magnitude) const {
    const Val sign = b.logical_and(bits(x), i(-2147483648ll));
    return real(b.logical_or(bits(magnitude), sign));
  }

  struct Reduced {
    Val biased;  // n + kMagic
    Val rest;    // x - n ln 2, at most ln 2 / 2
  };
  Reduced by_ln2(Val x) const {
    const Val biased = fma(x, kLog2e, f(kMagic, x));
    const Val n = biased - kMagic;
    return {biased, fma(n, -kLn2Low, fma(n, -kLn2High, x))};
  }
  // e^x for |x| < 88; outside it the result means nothing.
  Val exp_inside(Val x) const {
    const Reduced at = by_ln2(x);
    const Val q = polynomial(
        at.rest, {0.4999999403953552, 0.16666515171527863, 0.04166845604777336, 0.008369418792426586, 0.0013813144760206342});
    const Val p = b.fma(q, at.rest * at.rest, at.rest) + 1.0;
    // The low bits of `biased` are n; shifted into the exponent they multiply by 2^n.
    return real(bits(p) + b.shl(bits(at.biased), i(23)));
  }
};

// sin and cos after Cody and Waite: x = n pi/2 + r with pi/2 in four parts, and n mod 4 chooses function and sign.
Val sine_or_cosine(Builder& builder, Val argument, int64_t quarter) {
  const Math m{builder};
  const Val x = builder.abs(argument);
  const Val biased = m.fma(x, 0.63661977236758134308, m.f(kMagic, x));
  const Val n = biased - kMagic;
  Val r = m.fma(n, -1.5703125, x);
  r = m.fma(n, -0.0004837512969970703, r);
  r = m.fma(n, -7.549533620476723e-08, r);
  r = m.fma(n, -2.5633440682570896e-12, r);
  const Val s = r * r;
  const Val sine = builder.fma(m.polynomial(s, {-0.16666655242443085, 0.008332155644893646, -0.0001951463200384751}), s * r, r);
  const Val cosine = builder.fma(m.polynomial(s, {0.04166664555668831, -0.0013887309469282627, 2.443241282890085e-05}), s * s,
                                 m.fma(s, -0.5, m.f(1.0, s)));
  const Val turn = m.bits(biased) + m.i(quarter);
  const Val odd = builder.cmp_ne(builder.logical_and(turn, m.i(1)), m.i(0));
  Val sign = builder.shl(builder.logical_and(turn, m.i(2)), m.i(30));
  if (quarter == 0)
    sign = builder.binary(Op::kXor, sign, builder.logical_and(m.bits(argument), m.i(-2147483648ll)));  // sine is odd
  const Val value = m.real(builder.binary(Op::kXor, m.bits(builder.select(odd, cosine, sine)), sign));
  return builder.max(builder.min(value, m.f(1.0, x)), m.f(-1.0, x));
}

}  // namespace

// The logarithms of the largest float and of the smallest normal one.
constexpr float kExpMost = 88.7228317f, kExpLeast = -87.3365402f;

Val exp(Builder& b, Val x) {
  const Val inside = b.select(b.cmp_le(x, b.const_f32(kExpMost)), Math{b}.exp_inside(x), x + kInf);
  return b.select(b.cmp_lt(x, b.const_f32(kExpLeast)), b.const_f32(0), inside);
}

Val exp_of_nonpositive(Builder& b, Val x) {
  return b.select(b.cmp_lt(x, b.const_f32(kExpLeast)), b.const_f32(0), Math{b}.exp_inside(x));
}

Val share_of_largest(Builder& b, Val x, Val largest) {
  const Math m{b};
  const Val d = x - largest, t = b.select(b.cmp_lt(d, b.const_f32(kExpLeast)), b.const_f32(kExpLeast), d);  // NaN stays
  const Val biased = m.fma(t, kLog2e, m.f(kMagic, t));
  const Val f = b.fma(t, m.f(kLog2e, t), b.neg(biased - kMagic)), square = f * f;
  // 2^f in pairs of terms: a short chain keeps more of them in flight.
  const Val high = b.fma(square, m.f(0.001326472731307149, f), m.polynomial(f, {0.05550733581185341, 0.009671512991189957}));
  const Val p = b.fma(b.fma(high, square, m.polynomial(f, {0.6931470036506653, 0.24022242426872253})), f, m.f(1.0, f));
  return m.real(m.bits(p) + b.shl(m.bits(biased), m.i(23)));
}

Val log(Builder& b, Val x) {
  const Math m{b};
  const Val small = b.cmp_lt(x, b.const_f32(1.17549435e-38));
  const Val bits = m.bits(b.select(small, x * 33554432.0, x));  // 2^25
  // x = m 2^e with m in [sqrt 1/2, sqrt 2): the exponent is taken after moving sqrt 1/2 onto a power of two.
  const Val e = b.shr(bits + m.i(0x40000000 - 0x3f3504f3), m.i(23)) - m.i(128);
  const Val f = m.real(bits - b.shl(e, m.i(23))) - 1.0;
  const Val n = b.cast(e, Elem::f32) - b.select(small, b.const_f32(25), b.const_f32(0));
  const Val p = m.polynomial(f, {0.3333333134651184, -0.25000837445259094, 0.2000129222869873, -0.16622765362262726,
                                 0.14199696481227875, -0.13164184987545013, 0.1277911216020584, -0.07646103203296661});
  const Val s = f * f;
  // f - f^2/2 + f^3 p(f) + n ln 2, small parts first.
  const Val tail = m.fma(s, -0.5, m.fma(n, kLn2Low, p * (s * f)));
  const Val inside = m.fma(n, kLn2High, f + tail);
  const Val low = b.select(b.cmp_eq(x, b.const_f32(0)), b.const_f32(-kInf), b.const_f32(kNan));
  const Val finite = b.select(b.cmp_gt(x, b.const_f32(0)), inside, b.select(b.cmp_ne(x, x), x, low));
  return b.select(b.cmp_eq(x, b.const_f32(kInf)), x, finite);
}

Val tanh(Builder& b, Val x) {
  // With u = e^{2|x|} - 1 kept exact near 0, tanh |x| = u / (u + 2).
  const Math m{b};
  const Val y = b.min(b.abs(x), m.f(10.0, x)) * 2.0;
  const Math::Reduced at = m.by_ln2(y);
  const Val q = m.polynomial(at.rest, {0.5, 0.1666666567325592, 0.04166634753346443, 0.008333391509950161, 0.001394165214151144,
                                       0.00019845958740916103});
  const Val p = b.fma(q, at.rest * at.rest, at.rest);
  const Val scale = m.real(b.shl(m.bits(at.biased), m.i(23)) + m.i(0x3f800000));
  const Val u = b.fma(scale, p, scale - 1.0);
  return m.with_sign_of(x, u / (u + 2.0));
}

Val erf(Builder& b, Val x) {
  // x P(x^2) / Q(x^2), until the result is 1 in float32.
  const Math m{b};
  const Val t = b.max(b.min(x, m.f(3.9, x)), m.f(-3.9, x));
  const Val s = t * t, square = s * s;
  const Val p = m.short_chain(s, square, {1.1283791475741063, 0.18966880938381916, 0.052668329337327485, 0.0037384245712547386,
                                 0.00028506292574227016, 2.066446005376727e-06});
  const Val q = m.short_chain(s, square, {1.0, 0.5014223869682018, 0.11381976402417927, 0.014914437796727947, 0.0011573930933920608,
                                 3.8269772829028456e-05});
  return b.max(b.min(t * p / q, m.f(1.0, x)), m.f(-1.0, x));
}

Val sigmoid(Builder& b, Val x) { return b.splat_like(1.0, x) / (exp(b, b.neg(x)) + 1.0); }

Val sin(Builder& b, Val x) { return sine_or_cosine(b, x, 0); }
Val cos(Builder& b, Val x) { return sine_or_cosine(b, x, 1); }

}  // namespace bgl::lang
