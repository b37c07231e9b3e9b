#include "base/process_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

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

// Files as the kernel writes them, of both versions, and a container that does not see its own path.
TEST(ProcessMemory, AvailableIsTheLeastOfMachineAndGroups) {
  Env& env = real_env();
  const std::string root = ::testing::TempDir() + "bgl_available_" + std::to_string(getpid());
  ASSERT_TRUE(env.remove_all(root).ok());
  const auto write = [&](const char* name, const std::string& text) {
    const std::string path = root + name;
    ASSERT_TRUE(env.make_dirs(parent_path(path)).ok());
    ASSERT_TRUE(env.write_file_atomic(path, text).ok());
  };
  EXPECT_EQ(available_memory(env, root).bytes, INT64_MAX);
  write("/proc/meminfo", "MemTotal:       1000 kB\nMemFree:          10 kB\nMemAvailable:    800 kB\n");
  EXPECT_EQ(available_memory(env, root).bytes, 800 * 1024);
  EXPECT_EQ(available_memory(env, root).says, "MemAvailable");
  write("/proc/self/cgroup", "4:cpu,memory:/a/b\n0::/c/d\n");
  write("/sys/fs/cgroup/c/d/memory.max", "max\n");
  write("/sys/fs/cgroup/c/d/memory.current", "5000\n");
  EXPECT_EQ(available_memory(env, root).says, "MemAvailable");
  write("/sys/fs/cgroup/c/memory.max", "500000\n");  // of the group above
  write("/sys/fs/cgroup/c/memory.current", "300000\n");
  write("/sys/fs/cgroup/c/memory.stat", "anon 200000\nfile 100000\ninactive_file 90000\nactive_file 10000\n");
  EXPECT_EQ(available_memory(env, root).bytes, 290000);
  EXPECT_EQ(available_memory(env, root).says, "the control group's limit");
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "400000\n");  // the mounted root
  write("/sys/fs/cgroup/memory/memory.usage_in_bytes", "500000\n");
  write("/sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 120000\n");
  EXPECT_EQ(available_memory(env, root).bytes, 20000);
  EXPECT_TRUE(env.remove_all(root).ok());
}

TEST(ProcessMemory, AvailableIsNoMoreThanTheEnvironmentAllows) {
  ASSERT_EQ(setenv("BGL_MEMORY_BYTES", "1000000", 1), 0);
  EXPECT_LE(available_memory().bytes, 1000000);
  EXPECT_EQ(available_memory().says, "BGL_MEMORY_BYTES");
  for (const char* no_number : {"8G", "-1", "much"}) {
    ASSERT_EQ(setenv("BGL_MEMORY_BYTES", no_number, 1), 0);
    EXPECT_GT(available_memory().bytes, 1000000) << no_number;
  }
  unsetenv("BGL_MEMORY_BYTES");
  EXPECT_GT(available_memory().bytes, 1000000);
}

}  // namespace
}  // namespace bgl
