#include "text/files/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

namespace bgl::text {
namespace {

std::string scratch(const char* name) { return testing::TempDir() + "/bgl_" + name + std::to_string(::getpid()); }

bool exists(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0;
}

TEST(AtomicFile, AppearsWholeOrNotAtAll) {
  const std::string path = scratch("atomic_whole");
  ::unlink(path.c_str());
  {
    auto file = AtomicFile::create(path);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->write("abc").ok());
    EXPECT_FALSE(exists(path));
  }
  EXPECT_FALSE(exists(path));
  EXPECT_FALSE(exists(path + ".tmp")) << "a writer that gives up takes its bytes away";
  ASSERT_TRUE(write_file_atomic(path, "abc").ok());
  EXPECT_EQ(*read_file(path), "abc");
  EXPECT_FALSE(exists(path + ".tmp"));
}

TEST(AtomicFile, UsesUpWhatAKilledWriterLeft) {
  const std::string path = scratch("atomic_left");
  ASSERT_TRUE(write_file_atomic(path + ".tmp", "a longer text of a writer that was killed").ok());
  ASSERT_TRUE(write_file_atomic(path, "abc").ok());
  EXPECT_EQ(*read_file(path), "abc");
  EXPECT_FALSE(exists(path + ".tmp"));
}

TEST(AtomicFile, ASecondWriterIsRefusedAndHarmsNothing) {
  const std::string path = scratch("atomic_second");
  auto first = AtomicFile::create(path);
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(first->write("first").ok());
  EXPECT_EQ(AtomicFile::create(path).status().message(), path + ": another process is writing it");
  ASSERT_TRUE(first->commit().ok());
  EXPECT_EQ(*read_file(path), "first");
  ASSERT_TRUE(write_file_atomic(path, "second").ok());
  EXPECT_EQ(*read_file(path), "second");
}

}  // namespace
}  // namespace bgl::text
