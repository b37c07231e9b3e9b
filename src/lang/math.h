// Elementary functions as tile code, on f32 tiles of any shape: kernels call no outside symbol, and every printer and device
// gives the same bits. Errors are against the exact value, for all finite arguments whose result is a normal number:
//   exp, log 1.2 ulp; tanh, sigmoid 3 ulp; erf 4.5 ulp (6 without FMA); sin, cos 1.6 ulp for |x| <= pi and an absolute 2e-7 up to |x| = 1e5.
// Results below 2^-126 are flushed to 0. NaN gives NaN, infinities their limits: exp(-inf) = 0, log(0) = -inf, log(x < 0) =
// NaN, tanh(inf) = 1, sin(inf) = NaN. Beyond |x| = 1e5 sin and cos stay within [-1, 1] but lose their meaning.
#pragma once

#include "lang/builder.h"

namespace bgl::lang {

Val exp(Builder& b, Val x);
Val exp_of_nonpositive(Builder& b, Val x);  // the same bits for x <= 0, NaN and -inf, with fewer instructions
// e^(x - largest) for x <= largest within 3e-7, and at least 1e-38: a term of a sum that holds e^0, in few and short chains.
Val share_of_largest(Builder& b, Val x, Val largest);
Val log(Builder& b, Val x);
Val tanh(Builder& b, Val x);
Val erf(Builder& b, Val x);
Val sigmoid(Builder& b, Val x);
Val sin(Builder& b, Val x);
Val cos(Builder& b, Val x);

}  // namespace bgl::lang
