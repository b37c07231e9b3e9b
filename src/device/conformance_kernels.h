// The kernels of the conformance suite, in tile text (lang/text.h).
#pragma once

namespace bgl::device {

// counts[linear program] += linear program + 1, for the linear number p0 + nx (p1 + ny p2).
inline constexpr const char* kCountPrograms = R"(kernel count_programs(counts: *i64, nx: i64, ny: i64) {
  %3 = program_id 0 : i64
  %4 = program_id 1 : i64
  %5 = program_id 2 : i64
  %6 = mul %2, %5 : i64
  %7 = add %4, %6 : i64
  %8 = mul %1, %7 : i64
  %9 = add %3, %8 : i64
  %10 = const 0 : i64
  %11 = const 1 : i64
  %12 = load %0, %9, %10, %11, _, _ other 0 : i64
  %13 = add %12, %9 : i64
  %14 = add %13, %11 : i64
  store %0, %9, %10, %11, _, _, %14 : i64
}
)";

// Seven rows of eight: x + y, x * y, x / y, max, min, sqrt x, x * scale.
inline constexpr const char* kArithmetic = R"(kernel arithmetic(x: *f32, y: *f32, out: *f32, scale: f32) {
  %4 = const 0 : i64
  %5 = const 1 : i64
  %6 = load %0, %4, %4, %5, _, _ other 0 : 1x8xf32
  %7 = load %1, %4, %4, %5, _, _ other 0 : 1x8xf32
  %8 = add %6, %7 : 1x8xf32
  store %2, %4, %4, %5, _, _, %8 : 1x8xf32
  %9 = mul %6, %7 : 1x8xf32
  %10 = const 8 : i64
  store %2, %10, %4, %5, _, _, %9 : 1x8xf32
  %11 = div %6, %7 : 1x8xf32
  %12 = const 16 : i64
  store %2, %12, %4, %5, _, _, %11 : 1x8xf32
  %13 = max %6, %7 : 1x8xf32
  %14 = const 24 : i64
  store %2, %14, %4, %5, _, _, %13 : 1x8xf32
  %15 = min %6, %7 : 1x8xf32
  %16 = const 32 : i64
  store %2, %16, %4, %5, _, _, %15 : 1x8xf32
  %17 = sqrt %6 : 1x8xf32
  %18 = const 40 : i64
  store %2, %18, %4, %5, _, _, %17 : 1x8xf32
  %19 = broadcast %3 : 1x8xf32
  %20 = mul %6, %19 : 1x8xf32
  %21 = const 48 : i64
  store %2, %21, %4, %5, _, _, %20 : 1x8xf32
}
)";

// Eight numbers as bf16 and as f16.
inline constexpr const char* kNarrow = R"(kernel narrow(x: *f32, a: *bf16, b: *f16) {
  %3 = const 0 : i64
  %4 = const 1 : i64
  %5 = load %0, %3, %3, %4, _, _ other 0 : 1x8xf32
  store %1, %3, %3, %4, _, _, %5 : 1x8xf32
  store %2, %3, %3, %4, _, _, %5 : 1x8xf32
}
)";

// y[i] = 2 x[i] for i < n, 16 to a program.
inline constexpr const char* kLimited = R"(kernel limited(x: *f32, y: *f32, n: i64) {
  %3 = program_id 0 : i64
  %4 = const 16 : i64
  %5 = mul %3, %4 : i64
  %6 = sub %2, %5 : i64
  %7 = const 0 : i64
  %8 = const 1 : i64
  %9 = load %0, %5, %7, %8, _, %6 other 0 : 1x16xf32
  %10 = add %9, %9 : 1x16xf32
  store %1, %5, %7, %8, _, %6, %10 : 1x16xf32
}
)";

}  // namespace bgl::device
