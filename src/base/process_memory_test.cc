#include "base/process_memory.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

namespace bgl {
namespace {

TEST(ProcessMemory, CountsWhatIsTouched) {
  const ProcessMemory before = process_memory();
  ASSERT_GT(before.anonymous_bytes, 0);
  constexpr size_t kBytes = size_t{64} << 20;
  char* volatile block = static_cast<char*>(std::malloc(kBytes));
  std::memset(block, 1, kBytes);
  const ProcessMemory after = process_memory();
  std::free(block);
  EXPECT_GE(after.anonymous_bytes - before.anonymous_bytes, int64_t{60} << 20);
  EXPECT_GE(after.anonymous_bytes_at_most - before.anonymous_bytes, int64_t{60} << 20);
}

}  // namespace
}  // namespace bgl
