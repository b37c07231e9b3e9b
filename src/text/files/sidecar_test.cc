#include "text/files/sidecar.h"

#include <gtest/gtest.h>

#include "sim/sim_env.h"

namespace bgl::text {
namespace {

constexpr const char* kAdvice = ": take a good copy; if it was changed on purpose, `bgl verify --record /m`";

TEST(Sidecar, EveryFlippedBitAndLostFileIsNamed) {
  sim::SimEnv env(1);
  ASSERT_TRUE(env.make_dirs("/m/sub").ok());
  ASSERT_TRUE(env.write_file_atomic("/m/a", "some bytes").ok());
  ASSERT_TRUE(env.write_file_atomic("/m/sub/b", "others").ok());
  const auto written = write_sidecar(env, "/m");
  ASSERT_TRUE(written.ok()) << written.status().message();
  EXPECT_EQ(written->files, 2);
  EXPECT_EQ(written->bytes, 16);
  ASSERT_TRUE(verify_sidecar(env, "/m").ok());
  for (const char* path : {"/m/a", "/m/sub/b", "/m/manifest.json"}) {
    for (int64_t bit = 0; bit < 8 * env.stat(path)->size; ++bit) {
      const auto mask = static_cast<unsigned char>(1 << bit % 8);
      env.flip(path, bit / 8, mask);
      const Status status = verify_sidecar(env, "/m").status();
      ASSERT_FALSE(status.ok()) << path << " bit " << bit;
      ASSERT_EQ(status.code(), Code::kDataLoss);
      ASSERT_EQ(status.message().rfind(path, 0), 0u) << status.message();
      // At load, where a folder without a manifest is fine.
      const auto opened = Sidecar::open(env, "/m");
      ASSERT_FALSE(opened.ok() && opened->check_all().ok()) << path << " bit " << bit;
      env.flip(path, bit / 8, mask);
    }
  }
  ASSERT_TRUE(env.write_file_atomic("/m/a", "some byte").ok());
  EXPECT_EQ(verify_sidecar(env, "/m").status().message(), std::string("/m/a: it has 9 bytes, manifest.json says 10") + kAdvice);
  ASSERT_TRUE(env.write_file_atomic("/m/a", "some bytez").ok());
  EXPECT_EQ(verify_sidecar(env, "/m").status().message(), std::string("/m/a: its checksum differs from the one in manifest.json") + kAdvice);
  ASSERT_TRUE(env.remove("/m/a").ok());
  EXPECT_EQ(verify_sidecar(env, "/m").status().message(), std::string("/m/a: manifest.json names it, and it is gone") + kAdvice);
}

TEST(Sidecar, WhatWasAddedIsTold) {
  sim::SimEnv env(1);
  ASSERT_TRUE(env.make_dirs("/m").ok());
  ASSERT_TRUE(env.write_file_atomic("/m/a", "some bytes").ok());
  ASSERT_TRUE(write_sidecar(env, "/m").ok());
  ASSERT_TRUE(env.write_file_atomic("/m/c", "new").ok());
  EXPECT_EQ(verify_sidecar(env, "/m")->unlisted, std::vector<std::string>{"c"});
  EXPECT_TRUE(check_recorded(env, "/m/c").ok());
  EXPECT_TRUE(check_recorded(env, "/m/a").ok());
  env.flip("/m/a", 3, 1);
  EXPECT_EQ(check_recorded(env, "/m/a").code(), Code::kDataLoss);
}

TEST(Sidecar, AnotherProgramsManifestIsAFileLikeOthers) {
  sim::SimEnv env(1);
  ASSERT_TRUE(env.make_dirs("/m").ok());
  ASSERT_TRUE(env.write_file_atomic("/m/manifest.json", R"({"schemaVersion": 2, "layers": []})").ok());
  EXPECT_FALSE(Sidecar::open(env, "/m")->present());
  EXPECT_TRUE(check_recorded(env, "/m/manifest.json").ok());
  EXPECT_EQ(verify_sidecar(env, "/m").status().message(), "/m: it has no manifest.json of ours");
  // What is no JSON is nobody's.
  ASSERT_TRUE(env.write_file_atomic("/m/manifest.json", std::string(40, '\0')).ok());
  EXPECT_EQ(Sidecar::open(env, "/m").status().message(),
            "/m/manifest.json: it is damaged; if the files beside it are good, `bgl verify --record /m` writes it anew");
}

TEST(Sidecar, ANameThatJsonCannotHold) {
  sim::SimEnv env(1);
  ASSERT_TRUE(env.make_dirs("/m").ok());
  ASSERT_TRUE(env.write_file_atomic("/m/\xff", "x").ok());
  EXPECT_EQ(write_sidecar(env, "/m").status().message(),
            "/m holds a file whose name is not UTF-8; rename it, or keep the folder in a lake");
}

}  // namespace
}  // namespace bgl::text
