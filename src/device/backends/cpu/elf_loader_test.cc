#include "device/backends/cpu/elf_loader.h"

#include <gtest/gtest.h>

#include "device/backends/cpu/llvm_compiler.h"

namespace bgl::device::cpu {
namespace {

std::string object_of(const std::string& text) {
  std::string error;
  std::string object = compile_llvm(text, "", error);
  EXPECT_EQ(error, "");
  return object;
}

TEST(ElfLoader, RunsCodeWithConstants) {
  if (!llvm_present()) GTEST_SKIP() << "libLLVM 19 is not installed";
  // The table is data of its own, reached by a relocation; the second function is called through one.
  const std::string object = object_of(R"(
@table = private constant [4 x i64] [i64 5, i64 7, i64 11, i64 13]
define internal i64 @get(i64 %i) noinline nounwind {
  %p = getelementptr [4 x i64], ptr @table, i64 0, i64 %i
  %v = load i64, ptr %p
  ret i64 %v
}
define i64 @twice(i64 %i) nounwind {
  %a = call i64 @get(i64 %i)
  %b = add i64 %a, %a
  ret i64 %b
})");
  std::string error;
  const auto loaded = LoadedObject::load(object, error);
  ASSERT_TRUE(loaded) << error;
  auto* twice = reinterpret_cast<int64_t (*)(int64_t)>(loaded->find("twice"));
  ASSERT_TRUE(twice);
  EXPECT_EQ(twice(0), 10);
  EXPECT_EQ(twice(3), 26);
  EXPECT_EQ(loaded->find("get"), nullptr);
}

TEST(ElfLoader, UndefinedSymbolsAreRefusedByName) {
  if (!llvm_present()) GTEST_SKIP() << "libLLVM 19 is not installed";
  std::string error;
  EXPECT_FALSE(LoadedObject::load(object_of("declare float @expf(float)\ndefine float @f(float %x) {\n"
                                            "  %y = call float @expf(float %x)\n  ret float %y\n}\n"),
                                  error));
  EXPECT_EQ(error, "the object needs the symbol 'expf', which it does not define");
}

TEST(ElfLoader, DamagedObjectsAreRefusedWithoutHarm) {
  std::string error;
  EXPECT_FALSE(LoadedObject::load("", error));
  EXPECT_EQ(error, "the object is cut short at byte 0");
  EXPECT_FALSE(LoadedObject::load(std::string(64, 'x'), error));
  EXPECT_EQ(error, "the object is not an ELF64 x86-64 relocatable file");
  if (!llvm_present()) GTEST_SKIP() << "libLLVM 19 is not installed";
  const std::string object = object_of("define i64 @f() {\n  ret i64 3\n}\n");
  for (size_t n = 0; n < object.size(); ++n) {
    EXPECT_FALSE(LoadedObject::load(object.substr(0, n), error)) << n;
  }
}

}  // namespace
}  // namespace bgl::device::cpu
