#include "text/files/tar.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <map>

namespace bgl::text {
namespace {

// Gives `bytes` in pieces of a changing size.
TarReader::Read in_pieces(std::string bytes) {
  return [bytes = std::move(bytes), at = size_t{0}](size_t limit) mutable -> Result<std::string> {
    const std::string piece = bytes.substr(at, std::min(limit, 1 + at % 700));
    at += piece.size();
    return piece;
  };
}

Result<std::map<std::string, std::string>> read_all(TarReader::Read read) {
  TarReader reader(std::move(read), "t.tar");
  std::map<std::string, std::string> files;
  while (true) {
    BGL_ASSIGN(const auto entry, reader.next());
    if (!entry) return files;
    if (!entry->is_file()) continue;
    BGL_ASSIGN(files[entry->name], reader.content());
  }
}

std::string write(const std::map<std::string, std::string>& files) {
  std::string tar;
  for (const auto& [name, bytes] : files) {
    const auto size = static_cast<int64_t>(bytes.size());
    tar += tar_header(name, size).value() + bytes + tar_padding(size);
  }
  return tar + tar_end();
}

TEST(Tar, RoundTripOfAnyNameAndSize) {
  const std::map<std::string, std::string> files = {{"a", ""},
                                                    {"b/c", std::string(511, 'x')},
                                                    {"d\xff\n", std::string(512, 'y')},
                                                    {std::string(100, 'n'), "hundred"},
                                                    {std::string(3000, 'm'), std::string(2000000, 'z')}};
  const auto back = read_all(in_pieces(write(files)));
  ASSERT_TRUE(back.ok()) << back.status().message();
  EXPECT_EQ(back.value(), files);
  EXPECT_EQ(tar_header(std::string("a\0b", 3), 1).status().message(), "a tar archive cannot hold a name with a zero byte");
}

// What the system's tar writes in its three formats is read.
TEST(Tar, ReadsWhatTarWrites) {
  const std::string dir = ::testing::TempDir() + "tar_test";
  const std::string deep = std::string(90, 'd') + "/" + std::string(90, 'e') + "/" + std::string(120, 'f');
  const std::string make = "rm -rf " + dir + " && mkdir -p " + dir + "/in/" + deep.substr(0, 181) + " && printf one > " + dir +
                           "/in/a && ln -s a " + dir + "/in/link && printf two > " + dir + "/in/" + deep;
  if (std::system(make.c_str()) != 0) GTEST_SKIP() << "no shell to make files with";
  for (const char* format : {"gnu", "posix"}) {
    const std::string command = "tar --format=" + std::string(format) + " -C " + dir + " -cf - in";
    FILE* pipe = ::popen(command.c_str(), "r");
    const auto files = read_all([pipe](size_t limit) -> Result<std::string> {
      std::string piece(limit, '\0');
      piece.resize(std::fread(piece.data(), 1, limit, pipe));
      return piece;
    });
    if (::pclose(pipe) != 0) GTEST_SKIP() << "no tar";
    ASSERT_TRUE(files.ok()) << files.status().message();
    EXPECT_EQ(files.value(), (std::map<std::string, std::string>{{"in/a", "one"}, {"in/" + deep, "two"}})) << format;
  }
  (void)std::system(("rm -rf " + dir).c_str());
}

TEST(Tar, DamageIsNamed) {
  const std::string tar = write({{"a", std::string(1000, 'x')}});
  EXPECT_EQ(read_all(in_pieces(tar.substr(0, 900))).status().message(), "t.tar: at byte 512 the archive is cut");
  EXPECT_EQ(read_all(in_pieces("")).status().message(), "t.tar: at byte 0 there is nothing: not a tar archive");
  std::string bad = tar;
  bad[3] = 'x';
  EXPECT_EQ(read_all(in_pieces(bad)).status().message(),
            "t.tar: at byte 0 there is no tar header (a compressed archive? unpack it first: zcat x.tar.gz | ...)");
}

}  // namespace
}  // namespace bgl::text
