#include "lang/measure.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/log.h"
#include "lang/builder.h"
#include "lang/kernel.h"

namespace bgl::lang {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Twelve chains of multiply-add in registers: enough to fill two pipes of four to five cycles, few enough for sixteen
// registers.
Function peak_function(int chains) {
  Builder b("measure_peak");
  const Val out = b.pointer("out", Mem::f32), steps = b.i64("steps"), factor = b.f32("factor");
  const int lanes = machine().vector_floats;
  const Val addend = b.broadcast(factor, 1, lanes);
  const auto sums = b.loop(b.const_i64(0), steps, b.const_i64(1), {b.full(1, chains, lanes)},
                           [&](Val, const Builder::Vals& v) -> Builder::Vals { return {b.fma(v[0], addend, addend)}; });
  b.store(out, b.program_id(0) * lanes, b.reduce(sums[0], 0, ReduceKind::kSum), {.rows = 1, .cols = lanes});
  return b.finish();
}

Function stream_function() {
  Builder b("measure_stream");
  const Val x = b.pointer("x", Mem::f32), y = b.pointer("y", Mem::f32), z = b.pointer("z", Mem::f32), s = b.f32("s");
  constexpr int kBlock = 4096;
  const Val start = b.program_id(0) * kBlock;
  b.each(start, start + kBlock, b.const_i64(64), [&](Val i) {
    const TileAccess at{.rows = 4, .cols = 16, .row_stride = b.const_i64(16)};
    b.store(z, i, b.fma(s, b.load(y, i, at), b.load(x, i, at)), at);
  });
  return b.finish();
}

// Eight sums of products of bytes, which leave registers for what dot4 makes of its operands; one of them changes with every step, so that
// no product is moved out of the loop.
Function byte_function(int chains) {
  Builder b("measure_bytes");
  const Val out = b.pointer("out", Mem::i32), steps = b.i64("steps"), factor = b.f32("factor");
  const int lanes = machine().vector_floats;
  const Val right = b.cast(b.row_iota(chains), Elem::i32) * 16843009.0 + b.cast(b.iota(lanes), Elem::i32) + b.cast(factor * 2.0, Elem::i32);
  const auto sums = b.loop(b.const_i64(0), steps, b.const_i64(1), {b.full(0, chains, lanes, Elem::i32)},
                           [&](Val i, const Builder::Vals& v) -> Builder::Vals { return {b.dot4(b.cast(i, Elem::i32), right, v[0])}; });
  b.store(out, b.program_id(0) * lanes, b.reduce(sums[0], 0, ReduceKind::kSum), {.rows = 1, .cols = lanes});
  return b.finish();
}

// The same of products of bfloat16.
Function pair_function(int chains) {
  Builder b("measure_pairs");
  const Val out = b.pointer("out", Mem::f32), steps = b.i64("steps"), factor = b.f32("factor");
  const int lanes = machine().vector_floats;
  const Val right = b.cast(b.row_iota(chains), Elem::i32) * 65537.0 + b.cast(b.iota(lanes), Elem::i32) + b.cast(factor * 2.0, Elem::i32) + double(0x3f803f80);  // pairs near 1
  const auto sums = b.loop(b.const_i64(0), steps, b.const_i64(1), {b.full(0, chains, lanes)},
                           [&](Val i, const Builder::Vals& v) -> Builder::Vals { return {b.dot2(b.cast(i, Elem::i32), right, v[0])}; });
  b.store(out, b.program_id(0) * lanes, b.reduce(sums[0], 0, ReduceKind::kSum), {.rows = 1, .cols = lanes});
  return b.finish();
}

// The best rate of `fn` at `per_lane` operations a lane and step.
double measure_peak(const Function& fn, double per_lane, double seconds) {
  const auto kernel = compile_kernel(fn);
  if (!kernel.ok()) return log_error("{}", kernel.status().message()), 0;
  const int64_t programs = int64_t{8} * machine().threads;
  std::vector<float> out(static_cast<size_t>(programs * machine().vector_floats));
  int64_t steps = 2000;
  double best = 0;
  const double start = now();
  while (now() - start < seconds) {
    const uint64_t slots[] = {slot(out.data()), slot(steps), slot(0.5f)};
    const double before = now();
    if (!launch(**kernel, {programs, 1, 1}, slots).ok()) return 0;
    const double took = now() - before;
    if (took < 2e-3) {
      steps *= 2;
      continue;
    }
    best = std::max(best, per_lane * machine().vector_floats * static_cast<double>(steps * programs) / took);
  }
  return best;
}

double measure_stream(double seconds) {
  const auto kernel = compile_kernel(stream_function());
  if (!kernel.ok()) return log_error("{}", kernel.status().message()), 0;
  constexpr int64_t kElements = int64_t{8} << 20;
  std::vector<float> x(kElements, 1.0f), y(kElements, 2.0f), z(kElements);
  const uint64_t slots[] = {slot(x.data()), slot(y.data()), slot(z.data()), slot(0.5f)};
  double best = 0;
  const double start = now();
  while (now() - start < seconds) {
    const double before = now();
    if (!launch(**kernel, {kElements / 4096, 1, 1}, slots).ok()) return 0;
    best = std::max(best, 12.0 * static_cast<double>(kElements) / (now() - before));
  }
  return best;
}

}  // namespace

Rates measure_rates(double seconds) { return {measure_peak(peak_function(12), 2 * 12, seconds / 2), measure_stream(seconds / 2)}; }

double measure_pair_rate(double seconds) {
  const int chains = machine().registers >= 32 ? 12 : 8;
  return measure_peak(pair_function(chains), 4.0 * chains, seconds);
}
double measure_byte_rate(double seconds) { return measure_peak(byte_function(8), 8 * 8, seconds); }

}  // namespace bgl::lang
