#include "device/binary_cache.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace bgl::device {
namespace {

struct Folder {
  std::string path = ::testing::TempDir() + "bgl_cache_XXXXXX";
  Folder() { EXPECT_NE(mkdtemp(path.data()), nullptr); }
};

TEST(BinaryCache, KeepsAndGives) {
  const Folder folder;
  const BinaryCache cache(folder.path + "/deep/er");
  EXPECT_EQ(cache.get("key"), "");
  cache.put("key", "some bytes");
  EXPECT_EQ(cache.get("key"), "some bytes");
  EXPECT_EQ(cache.get("other"), "");
  cache.put("key", "newer");
  EXPECT_EQ(cache.get("key"), "newer");
}

TEST(BinaryCache, EveryFlippedByteAndEveryCutIsAbsent) {
  const Folder folder;
  const BinaryCache cache(folder.path);
  cache.put("key", "payload");
  const std::string path = cache.path_of("key");
  std::string file;
  {
    std::ifstream in(path, std::ios::binary);
    file.assign(std::istreambuf_iterator<char>(in), {});
  }
  ASSERT_EQ(file.size(), 48u + 7u);
  auto write = [&](const std::string& bytes) { std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes; };
  ::testing::internal::CaptureStderr();
  for (size_t i = 0; i < file.size(); ++i) {
    std::string bad = file;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    write(bad);
    EXPECT_EQ(cache.get("key"), "") << "byte " << i;
    write(file.substr(0, i));
    EXPECT_EQ(cache.get("key"), "") << "cut at " << i;
  }
  // Each is said in one line.
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(static_cast<size_t>(std::count(said.begin(), said.end(), '\n')), 2 * file.size());
  EXPECT_NE(said.find("is damaged: compiling again"), std::string::npos);
  write(file);
  EXPECT_EQ(cache.get("key"), "payload");
}

TEST(BinaryCache, EmptyFolderKeepsNothing) {
  const BinaryCache cache("");
  cache.put("key", "x");
  EXPECT_EQ(cache.get("key"), "");
}

}  // namespace
}  // namespace bgl::device
