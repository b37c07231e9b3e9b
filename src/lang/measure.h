// What this machine reaches, measured by kernels of our own: the ceiling that achieved rates are shares of.
#pragma once

namespace bgl::lang {

struct Rates {
  double f32_flops = 0;           // per second, all threads; a fused multiply-add counts two
  double stream_bytes_per_s = 0;  // read and written by z = x + s y over arrays larger than the caches, all threads
};

// Takes little more than `seconds`, and nearly a hundred megabytes for that time. Zeros when no kernel runs.
Rates measure_rates(double seconds = 0.3);

// Multiplications and additions of dot4 (ir.h) in registers, per second, all threads.
double measure_byte_rate(double seconds = 0.1);
// The same of dot2.
double measure_pair_rate(double seconds = 0.1);

}  // namespace bgl::lang
