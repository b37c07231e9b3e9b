#include "device/device.h"

#include <gtest/gtest.h>

#include <cstring>

namespace bgl::device {
namespace {

TEST(Device, UnknownPluginSaysWhereItLooked) {
  const auto d = Device::open("nosuch");
  ASSERT_FALSE(d.ok());
  EXPECT_EQ(d.status().code(), Code::kNotFound);
  EXPECT_NE(d.status().message().find("no device plugin libbgl_nosuch.so in "), std::string::npos);
}

TEST(Device, CpuDescribesItself) {
  auto d = Device::open("cpu");
  ASSERT_TRUE(d.ok()) << d.status().to_string();
  const bgl_description& about = (*d)->description();
  EXPECT_STREQ(about.name, "cpu");
  EXPECT_EQ(about.host_visible, 1);
  EXPECT_TRUE(about.vector_floats == 4 || about.vector_floats == 8 || about.vector_floats == 16);
  EXPECT_FALSE((*d)->dialects().empty());
}

TEST(Device, CopiesBytes) {
  auto d = Device::open("cpu");
  ASSERT_TRUE(d.ok());
  Device& device = **d;
  auto queue = device.queue();
  auto a = device.alloc(64), b = device.alloc(64);
  ASSERT_TRUE(queue.ok() && a.ok() && b.ok());
  char in[64], out[64] = {};
  for (int i = 0; i < 64; ++i) in[i] = static_cast<char>(i);
  EXPECT_TRUE(device.write(*queue, *a, 0, in, 64).ok());
  EXPECT_TRUE(device.copy(*queue, *b, 16, *a, 0, 48).ok());
  EXPECT_TRUE(device.read(*queue, out, *b, 16, 48).ok());
  EXPECT_EQ(std::memcmp(in, out, 48), 0);
  EXPECT_EQ(device.address(*a) % 64, 0u);
}

TEST(Device, UnknownDialectIsRefused) {
  auto d = Device::open("cpu");
  ASSERT_TRUE(d.ok());
  const auto b = (*d)->compile("cuda", "f", "");
  ASSERT_FALSE(b.ok());
  EXPECT_EQ(b.status().code(), Code::kUnimplemented);
  EXPECT_EQ(b.status().message(),
            fmt::format("device cpu: compile: the cpu compiles {}, not 'cuda'", (*d)->description().dialects));
}

TEST(Device, CompilesLaunchesAndReloadsLlvm) {
  auto d = Device::open("cpu");
  ASSERT_TRUE(d.ok());
  Device& device = **d;
  if (device.dialects()[0] != "llvm") GTEST_SKIP() << "libLLVM 19 is not installed";
  const std::string text = R"(
define void @mark(ptr %args, i64 %b, i64 %e, i64 %p1, i64 %p2) nounwind {
entry:
  %out = load ptr, ptr %args, align 8
  br label %head
head:
  %i = phi i64 [ %b, %entry ], [ %n, %head ]
  %ten = mul i64 %p1, 10
  %hundred = mul i64 %p2, 100
  %x = add i64 %i, %ten
  %y = add i64 %x, %hundred
  %at = getelementptr i64, ptr %out, i64 %y
  %z = add i64 %y, 1
  store i64 %z, ptr %at, align 8
  %n = add i64 %i, 1
  %more = icmp slt i64 %n, %e
  br i1 %more, label %head, label %done
done:
  ret void
})";
  auto queue = device.queue();
  auto binary = device.compile("llvm", "mark", text);
  ASSERT_TRUE(binary.ok()) << binary.status().to_string();
  auto saved = device.save(*binary);
  ASSERT_TRUE(saved.ok());
  auto again = device.load("mark", *saved);
  ASSERT_TRUE(again.ok()) << again.status().to_string();
  for (Binary* b : {&*binary, &*again}) {
    std::vector<int64_t> out(1000);
    const uint64_t slots[] = {reinterpret_cast<uint64_t>(out.data())};
    ASSERT_TRUE(device.launch(*queue, *b, {10, 10, 10}, slots).ok());
    for (int64_t i = 0; i < 1000; ++i) ASSERT_EQ(out[static_cast<size_t>(i)], i + 1);
  }
  const auto other = device.load("another", *saved);
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.status().message(), "device cpu: load: the object does not define the kernel 'another'");
  const auto broken = device.compile("llvm", "f", "define void @f( {");
  ASSERT_FALSE(broken.ok());
  EXPECT_NE(broken.status().message().find("device cpu: compile: kernel f: LLVM: "), std::string::npos);
}

}  // namespace
}  // namespace bgl::device
