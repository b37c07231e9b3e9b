#include "storage/sidecar.h"

#include <gtest/gtest.h>

#include "sim/sim_env.h"

namespace bgl::storage {
namespace {

TEST(Sidecar, EveryFlippedBitAddedAndLostFileIsNamed) {
  sim::SimEnv env(1);
  ASSERT_TRUE(env.make_dirs("/m/sub").ok());
  ASSERT_TRUE(env.write_file_atomic("/m/a", "some bytes").ok());
  ASSERT_TRUE(env.write_file_atomic("/m/sub/b", "others").ok());
  const auto written = write_sidecar(env, "/m");
  ASSERT_TRUE(written.ok()) << written.status().message();
  EXPECT_EQ(written->files, 2);
  ASSERT_TRUE(verify_sidecar(env, "/m").ok());
  for (const char* path : {"/m/a", "/m/sub/b", "/m/manifest.json"}) {
    for (int64_t at = 0; at < env.stat(path)->size; ++at) {
      const auto mask = static_cast<unsigned char>(1 << at % 8);
      env.flip(path, at, mask);
      const Status status = verify_sidecar(env, "/m").status();
      ASSERT_FALSE(status.ok()) << path << " byte " << at;
      ASSERT_NE(status.message().find(path), std::string::npos) << status.message();
      env.flip(path, at, mask);
    }
  }
  ASSERT_TRUE(env.write_file_atomic("/m/c", "new").ok());
  EXPECT_EQ(verify_sidecar(env, "/m").status().message(), "/m/c: it is not in manifest.json");
  ASSERT_TRUE(env.remove("/m/c").ok());
  ASSERT_TRUE(env.write_file_atomic("/m/a", "some byte").ok());
  EXPECT_EQ(verify_sidecar(env, "/m").status().message(), "/m/a: it has 9 bytes, manifest.json says 10");
  ASSERT_TRUE(env.remove("/m/a").ok());
  EXPECT_EQ(verify_sidecar(env, "/m").status().message(), "/m/a: it is gone");
}

TEST(Sidecar, ANameThatJsonCannotHold) {
  sim::SimEnv env(1);
  ASSERT_TRUE(env.make_dirs("/m").ok());
  ASSERT_TRUE(env.write_file_atomic("/m/\xff", "x").ok());
  EXPECT_EQ(write_sidecar(env, "/m").status().message(),
            "/m holds a file whose name is not UTF-8; rename it, or keep the folder in a lake");
}

}  // namespace
}  // namespace bgl::storage
