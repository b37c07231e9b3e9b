#include "lang/interpret.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "lang/builder.h"
#include "lang/internal/half.h"
#include "lang/kernel.h"

namespace bgl::lang {
namespace {

// y[i] = x[i + shift] for the 8 elements of each program, with a limit or without.
Function copy_function(bool limited, int64_t shift) {
  Builder b("copy");
  const Val x = b.pointer("x", Mem::f32), y = b.pointer("y", Mem::f32), n = b.i64("n");
  const Val start = b.program_id(0) * 8;
  TileAccess at{.rows = 1, .cols = 8};
  if (limited) at.col_limit = n - start;
  b.store(y, start, b.load(x, start + static_cast<double>(shift), at), at);
  return b.finish();
}
std::string without_place(std::string message) {
  // The line of the builder call moves with this file: "interpret_test.cc:23" becomes "HERE".
  const size_t at = message.find("interpret_test.cc:");
  if (at == std::string::npos) return message;
  return message.replace(at, message.find(": ", at) - at, "HERE");
}

TEST(Interpret, NamesTheElementOutOfBounds) {
  std::vector<float> x(12), y(16);
  const uint64_t slots[] = {slot(x.data()), slot(y.data()), slot(int64_t{12})};
  const Buffer buffers[] = {{x.data(), 48}, {y.data(), 64}};
  EXPECT_TRUE(interpret(copy_function(true, 0), {2, 1, 1}, slots, {buffers}).ok());
  const Status s = interpret(copy_function(false, 0), {2, 1, 1}, slots, {buffers});
  EXPECT_EQ(without_place(s.message()),
            "[kernel copy] HERE: load: element (0, 4) is x[12], outside its buffer of elements 0 to 11, in program (1, 0, 0)");
  EXPECT_EQ(without_place(interpret(copy_function(true, -1), {2, 1, 1}, slots, {buffers}).message()),
            "[kernel copy] HERE: load: element (0, 0) is x[-1], outside its buffer of elements 0 to 11, in program (0, 0, 0)");
}

TEST(Interpret, FindsRaces) {
  Builder b("clash");
  const Val y = b.pointer("y", Mem::f32);
  const Val p = b.program_id(0);
  b.store(y, p * 3, b.full(1, 1, 4), {.rows = 1, .cols = 4});
  const Function fn = b.finish();
  std::vector<float> data(64);
  const uint64_t slots[] = {slot(data.data())};
  const Buffer buffers[] = {{data.data(), 256}};
  EXPECT_EQ(without_place(interpret(fn, {2, 1, 1}, slots, {buffers}).message()),
            "[kernel clash] HERE: store: a race: writes y[3], which program (0, 0, 0) wrote, in program (1, 0, 0)");
  EXPECT_TRUE(interpret(fn, {1, 1, 1}, slots, {buffers}).ok());

  // In place with a shift: a program reads what its neighbour writes.
  const uint64_t in_place[] = {slot(data.data()), slot(data.data()), slot(int64_t{64})};
  EXPECT_TRUE(interpret(copy_function(true, 0), {2, 1, 1}, in_place, {buffers}).ok());
  EXPECT_EQ(without_place(interpret(copy_function(true, 1), {2, 1, 1}, in_place, {buffers}).message()),
            "[kernel copy] HERE: store: a race: writes y[8], which program (0, 0, 0) read, in program (1, 0, 0)");
}

TEST(Interpret, FindsUninitialisedReads) {
  std::vector<float> x(16), y(16);
  const uint64_t slots[] = {slot(x.data()), slot(y.data()), slot(int64_t{16})};
  const Buffer buffers[] = {{x.data(), 64, false}, {y.data(), 64, false}};
  EXPECT_EQ(without_place(interpret(copy_function(true, 0), {2, 1, 1}, slots, {buffers}).message()),
            "[kernel copy] HERE: load: reads x[0], which nothing has written, in program (0, 0, 0)");

  Builder b("scratchy");
  const Val out = b.pointer("y", Mem::f32);
  const Val s = b.scratch(Mem::f32, 16), zero = b.const_i64(0);
  b.store(s, zero, b.full(2, 1, 8), {.rows = 1, .cols = 8});
  b.store(out, b.program_id(0) * 16, b.load(s, zero, {.rows = 1, .cols = 16}), {.rows = 1, .cols = 16});
  const uint64_t one[] = {slot(y.data())};
  EXPECT_EQ(without_place(interpret(b.finish(), {1, 1, 1}, one).message()),
            "[kernel scratchy] HERE: load: reads scratch[8], which nothing has written, in program (0, 0, 0)");
}

TEST(Interpret, DivisionShiftAndStepFaults) {
  auto run = [](const std::function<void(Builder&, Val)>& fill) {
    Builder b("faulty");
    const Val n = b.i64("n");
    fill(b, n);
    const uint64_t slots[] = {0};
    return without_place(interpret(b.finish(), {1, 1, 1}, slots).message());
  };
  EXPECT_EQ(run([](Builder& b, Val n) { b.binary(Op::kDiv, n, n); }),
            "[kernel faulty] HERE: div: by zero, in program (0, 0, 0)");
  EXPECT_EQ(run([](Builder& b, Val n) { b.binary(Op::kRem, n, n); }),
            "[kernel faulty] HERE: rem: by zero, in program (0, 0, 0)");
  EXPECT_EQ(run([](Builder& b, Val n) { b.shl(n, b.const_i64(64)); }),
            "[kernel faulty] HERE: shl: by 64, not 0 to 63, in program (0, 0, 0)");
  EXPECT_EQ(run([](Builder& b, Val n) { b.each(n, n + 5.0, n, [](Val) {}); }),
            "[kernel faulty] HERE: for: the step is 0, in program (0, 0, 0)");
}

TEST(Interpret, LoopsMaySwapWhatTheyCarry) {
  Builder b("swap");
  const Val y = b.pointer("y", Mem::i64);
  const auto out = b.loop(b.const_i64(0), b.const_i64(3), b.const_i64(1), {b.const_i64(5), b.const_i64(7)},
                          [](Val, const Builder::Vals& v) -> Builder::Vals {
                            return {v[1], v[0]};
                          });
  b.store(y, b.const_i64(0), out[0]);
  b.store(y, b.const_i64(1), out[1]);
  int64_t got[2] = {};
  const uint64_t slots[] = {slot(got)};
  ASSERT_TRUE(interpret(b.finish(), {1, 1, 1}, slots).ok());
  EXPECT_EQ(got[0], 7);
  EXPECT_EQ(got[1], 5);
}

TEST(Half, EveryF16SurvivesAndRoundingIsToNearestEven) {
  using namespace internal;
  for (uint32_t h = 0; h < 65536; ++h) {
    const float f = from_f16(static_cast<uint16_t>(h));
    if (f == f) {
      ASSERT_EQ(to_f16(f), h);
    } else {
      ASSERT_EQ(to_f16(f), h | 0x200);
    }
    const float w = from_bf16(static_cast<uint16_t>(h));
    ASSERT_EQ(to_bf16(w), w == w ? h : h | 0x40);
  }
  // Half way between two neighbours goes to the even one, a hair above it to the upper.
  for (uint32_t h = 0; h < 0x7bff; ++h) {
    const double low = from_f16(static_cast<uint16_t>(h)), high = from_f16(static_cast<uint16_t>(h + 1));
    const auto middle = static_cast<float>((low + high) / 2);
    ASSERT_EQ(to_f16(middle), h % 2 ? h + 1 : h);
    ASSERT_EQ(to_f16(std::nextafter(middle, 1e9f)), h + 1);
    ASSERT_EQ(to_f16(std::nextafter(middle, 0.0f)), h);
  }
  EXPECT_EQ(to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(to_f16(65519.996f), 0x7bff);
  EXPECT_EQ(to_bf16(3.4028235e38f), 0x7f80);
}

}  // namespace
}  // namespace bgl::lang
