// The printers against the interpreter: the same kernels, the same bits.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "device/backends/cpu/llvm_compiler.h"
#include "lang/engine.h"
#include "lang/internal/half.h"
#include "lang/internal/random_kernel.h"
#include "lang/kernel.h"

namespace bgl::lang {
namespace {

using internal::RandomKernel;

// A cpu device as another machine would have it.
std::unique_ptr<device::Device> open_as(const char* isa, const char* engine) {
  setenv("BGL_CPU", isa, 1);
  setenv("BGL_CPU_ENGINE", engine, 1);
  auto d = device::Device::open("cpu", language_services());
  unsetenv("BGL_CPU");
  unsetenv("BGL_CPU_ENGINE");
  EXPECT_TRUE(d.ok()) << d.status().to_string();
  return d.ok() ? std::move(d).value() : nullptr;
}

double as_real(Mem m, const uint8_t* p) {
  uint16_t h;
  float f;
  if (m == Mem::f32) return std::memcpy(&f, p, 4), f;
  std::memcpy(&h, p, 2);
  return m == Mem::bf16 ? internal::from_bf16(h) : internal::from_f16(h);
}
// The first element that differs, or -1. NaN equals NaN: which NaN an operation gives is the machine's choice.
int64_t first_difference(Mem m, const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  const auto size = static_cast<size_t>(mem_size(m));
  for (size_t at = 0; at < a.size(); at += size) {
    if (std::memcmp(&a[at], &b[at], size) == 0) continue;
    if (register_type(m) == Elem::f32 && std::isnan(as_real(m, &a[at])) && std::isnan(as_real(m, &b[at]))) continue;
    return static_cast<int64_t>(at / size);
  }
  return -1;
}

void compare(const char* isa, const char* engine, uint32_t first, uint32_t count) {
  const auto device = open_as(isa, engine);
  ASSERT_TRUE(device);
  if (device->dialects()[0] != engine) GTEST_SKIP() << engine << " is not installed";
  auto queue = device->queue();
  for (uint32_t seed = first; seed < first + count; ++seed) {
    const RandomKernel kernel(seed);
    auto expected = kernel.memory(), got = kernel.memory();
    std::vector<Buffer> buffers;
    for (auto& m : expected) buffers.push_back({m.data(), m.size()});
    const std::array<int64_t, 3> grid{RandomKernel::kPrograms, 2, 1};
    const auto slots = kernel.slots(expected);
    const Status meaning = interpret(kernel.fn, grid, slots, {buffers, device->description().fma != 0});
    ASSERT_TRUE(meaning.ok()) << seed << ": " << meaning.to_string();
    const auto text = print_for(engine, kernel.fn, device->description());
    ASSERT_TRUE(text.ok());
    const auto binary = device->compile(engine, kernel.fn.name, *text);
    ASSERT_TRUE(binary.ok()) << binary.status().to_string() << "\n" << *text;
    ASSERT_TRUE(device->launch(*queue, *binary, grid, kernel.slots(got)).ok());
    for (size_t i = 0; i < expected.size(); ++i) {
      const int64_t at = first_difference(kernel.types[i], expected[i], got[i]);
      ASSERT_EQ(at, -1) << "seed " << seed << ", buffer " << i << " (" << name_of(kernel.types[i]) << ")\n"
                        << print_for("tile", kernel.fn, device->description()).value();
    }
  }
}

TEST(Print, LlvmAgreesWithTheInterpreter) { compare("", "llvm", 1, 30); }
TEST(Print, LlvmForAvx2AgreesWithTheInterpreter) { compare("avx2", "llvm", 1000, 15); }
TEST(Print, LlvmForSse2AgreesWithTheInterpreter) { compare("sse2", "llvm", 2000, 15); }
TEST(Print, CxxAgreesWithTheInterpreter) { compare("", "c++", 3000, 4); }
TEST(Print, CxxForSse2AgreesWithTheInterpreter) { compare("sse2", "c++", 4000, 2); }
TEST(Print, TileAgreesWithTheInterpreter) { compare("", "tile", 5000, 20); }

// This machine may have no AVX-512: what is printed for it compiles all the same, with masks instead of branches.
TEST(Print, LlvmForAvx512Compiles) {
  if (!device::cpu::llvm_present()) GTEST_SKIP() << "libLLVM 19 is not installed";
  LlvmTarget target;
  target.features = "+avx2,+fma,+f16c,+bmi,+bmi2,+avx512f,+avx512dq,+avx512cd,+avx512bw,+avx512vl";
  target.vector_floats = 16;
  target.fma = target.f16c = target.avx2 = target.avx512 = true;
  for (uint32_t seed = 6000; seed < 6020; ++seed) {
    if (seed == 6010) target.features += ",+avx512vnni,+avx512bf16", target.vnni = target.bf16_dots = true;
    std::string error;
    EXPECT_FALSE(device::cpu::compile_llvm(print_llvm(RandomKernel(seed).fn, target), target.features, error).empty()) << error;
  }
}

// Two pages of which the second must not be touched.
struct Guarded {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  char* start = static_cast<char*>(mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  Guarded() { EXPECT_EQ(mprotect(start + page, page, PROT_NONE), 0); }
  ~Guarded() { munmap(start, 2 * page); }
};

// The last elements before a forbidden page, for every memory type, with vectors, columns and strides.
TEST(Print, NothingIsTouchedBeyondTheLimits) {
  const Guarded from, to;
  for (const char* isa : {"", "avx2", "sse2"}) {
    const auto device = open_as(isa, "llvm");
    ASSERT_TRUE(device);
    if (device->dialects()[0] != "llvm") GTEST_SKIP() << "libLLVM 19 is not installed";
    auto queue = device->queue();
    for (const Mem m : {Mem::i8, Mem::u8, Mem::i32, Mem::i64, Mem::bf16, Mem::f16, Mem::f32}) {
      for (const int cols : {1, 16}) {
        Builder b("edge");
        const Val x = b.pointer("x", m), y = b.pointer("y", m), n = b.i64("n");
        const TileAccess at{.rows = 4, .cols = cols, .row_stride = b.const_i64(cols), .row_limit = n, .col_limit = n};
        b.store(y, b.const_i64(0), b.load(x, b.const_i64(0), at), at);
        const Function fn = b.finish();
        const auto binary = device->compile("llvm", "edge", print_for("llvm", fn, device->description()).value());
        ASSERT_TRUE(binary.ok()) << binary.status().to_string();
        const auto size = static_cast<size_t>(mem_size(m));
        for (const int64_t limit : {-5, 0, 1, 2, 3}) {
          // Element (limit - 1, limit - 1) is the last of the page.
          const int64_t last = limit > 0 ? (limit - 1) * cols + std::min<int64_t>(limit, cols) - 1 : -1;
          char* x_at = from.start + from.page - static_cast<size_t>(last + 1) * size;
          char* y_at = to.start + to.page - static_cast<size_t>(last + 1) * size;
          std::memset(from.start, 1, from.page);
          std::memset(to.start, 0, to.page);
          const uint64_t slots[] = {slot(x_at), slot(y_at), slot(limit)};
          ASSERT_TRUE(device->launch(*queue, *binary, {1, 1, 1}, slots).ok());
          if (limit > 0) {
            EXPECT_EQ(std::memcmp(y_at + static_cast<size_t>(last) * size, from.start, size), 0) << name_of(m) << cols << limit;
          }
        }
      }
    }
  }
}

TEST(Print, ObjectsNeedNoOutsideSymbol) {
  // Large constant tiles, copies and clears in loops are what compilers make calls of; the loader refuses an object with any.
  const auto device = open_as("", "llvm");
  ASSERT_TRUE(device);
  if (device->dialects()[0] != "llvm") GTEST_SKIP() << "libLLVM 19 is not installed";
  Builder b("clear");
  const Val x = b.pointer("x", Mem::u8), y = b.pointer("y", Mem::u8), n = b.i64("n");
  b.each(b.const_i64(0), n, b.const_i64(1), [&](Val i) { b.store(y, i, b.constant_int(0, Elem::i32)); });
  b.each(b.const_i64(0), n, b.const_i64(1), [&](Val i) { b.store(y, i, b.load(x, i)); });
  const Function fn = b.finish();
  const auto binary = device->compile("llvm", "clear", print_for("llvm", fn, device->description()).value());
  EXPECT_TRUE(binary.ok()) << binary.status().to_string();
}

}  // namespace
}  // namespace bgl::lang
