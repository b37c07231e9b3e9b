#include "base/status.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace bgl {
namespace {

Result<int> half(int x) {
  if (x % 2) return invalid_argument("{} is odd", x);
  return x / 2;
}

Result<int> quarter(int x) {
  BGL_ASSIGN(int h, half(x));
  BGL_ASSIGN(int q, half(h));
  return q;
}

TEST(Status, OkIsEmptyAndCopiesKeepTheMessage) {
  Status ok;
  EXPECT_TRUE(ok.ok());
  EXPECT_EQ(ok.to_string(), "ok");
  Status bad = not_found("no file {}", "a");
  Status copy = bad;
  EXPECT_EQ(copy.to_string(), "not found: no file a");
  EXPECT_EQ(copy.with_context("lake x").message(), "lake x: no file a");
}

TEST(Status, ResultCarriesValueOrReason) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).status().message(), "3 is odd");
}

TEST(Status, ErrnoChoosesTheCodeCallersActOn) {
  EXPECT_EQ(errno_status(ENOENT, "open x").code(), Code::kNotFound);
  EXPECT_EQ(errno_status(ENOSPC, "write x").code(), Code::kResourceExhausted);
  EXPECT_EQ(errno_status(EIO, "read x").message(), "read x: Input/output error");
}

TEST(Status, RequireThrowsAtTheCall) {
  auto call = [](int k, int l) { BGL_REQUIRE(k == l, "[matmul] inner dims {} != {}", k, l); };
  EXPECT_NO_THROW(call(1, 1));
  try {
    call(3, 4);
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "[matmul] inner dims 3 != 4");
  }
}

}  // namespace
}  // namespace bgl
