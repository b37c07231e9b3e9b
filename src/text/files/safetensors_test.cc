#include "text/files/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "text/files/atomic_file.h"

namespace bgl::text {
namespace {

std::string scratch(const char* name) { return testing::TempDir() + "/bgl_" + name + std::to_string(::getpid()); }

// A file with this header and `data` bytes of zero.
std::string file_with(const std::string& header, size_t data) {
  const uint64_t n = header.size();
  std::string bytes(reinterpret_cast<const char*>(&n), 8);
  bytes += header + std::string(data, '\0');
  const std::string path = scratch("bad.safetensors");
  EXPECT_TRUE(write_file_atomic(path, bytes).ok());
  return path;
}

std::string error_of(const std::string& header, size_t data) {
  const std::string path = file_with(header, data);
  const Result<SafeTensors> result = SafeTensors::open(path);
  if (result.ok()) return "opened";
  EXPECT_EQ(result.status().code(), Code::kDataLoss);
  const std::string message = result.status().message();
  return message.rfind(path + ": ", 0) == 0 ? message.substr(path.size() + 2) : message;
}

TEST(SafeTensors, RoundTrip) {
  const std::vector<float> w = {1, 2, 3, 4, 5, 6};
  const std::vector<uint8_t> b = {7, 8, 9};
  const std::vector<TensorView> tensors = {{"layer.\"w\"", "F32", {2, 3}, std::as_bytes(std::span(w))},
                                           {"b", "U8", {3}, std::as_bytes(std::span(b))},
                                           {"empty", "BF16", {0, 5}, {}},
                                           {"scalar", "F32", {}, std::as_bytes(std::span(w)).first(4)}};
  const std::string path = scratch("x.safetensors");
  ASSERT_TRUE(write_safetensors(path, tensors, {{"format", "pt"}}).ok());
  const Result<SafeTensors> file = SafeTensors::open(path);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->metadata().at("format"), "pt");
  ASSERT_EQ(file->tensors().size(), 4u);
  const TensorView* view = file->find("layer.\"w\"");
  ASSERT_NE(view, nullptr);
  EXPECT_EQ(view->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(std::memcmp(view->bytes.data(), w.data(), 24), 0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(view->bytes.data()) % 8, 0u) << "the header is padded so that data is aligned";
  EXPECT_EQ(file->find("empty")->shape, (std::vector<int64_t>{0, 5}));
  EXPECT_EQ(file->get("none").status().message(), path + ": has no tensor 'none' (it has 4 tensors)");
}

TEST(SafeTensors, EveryDamageIsNamed) {
  const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  EXPECT_EQ(error_of(good, 8), "opened");
  EXPECT_EQ(error_of(good, 7), "tensor 'a' ends at data offset 8, but the file holds only 7 bytes of data");
  EXPECT_EQ(error_of(good, 9), "1 bytes follow the last tensor (at file offset 70)");
  EXPECT_EQ(error_of(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8),
            "tensor 'a': F32 [3] takes 12 bytes, but data_offsets give 8");
  EXPECT_EQ(error_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12),
            "tensor 'a' begins at data offset 4, but 0 was expected (a hole or an overlap)");
  EXPECT_EQ(error_of(R"({"a":{"dtype":"Q4","shape":[2],"data_offsets":[0,8]}})", 8),
            "header of tensor 'a': unknown dtype 'Q4'");
  EXPECT_EQ(error_of(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8),
            "header of tensor 'a': shape holds something other than whole numbers from 0");
  EXPECT_EQ(error_of(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})", 8),
            "header of tensor 'a': shape overflows");
  EXPECT_EQ(error_of(R"({"a":{"dtype":"F32","shape":[2]}})", 8),
            "header of tensor 'a': needs exactly dtype, shape and data_offsets");
  EXPECT_EQ(
      error_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
               1),
      "header names 'a' twice");
  EXPECT_EQ(error_of("[]", 0), "header does not begin with '{' (at offset 8)");
  EXPECT_EQ(error_of("{\"a\":", 0), "header is not JSON (at offset 14)");
  EXPECT_EQ(error_of("{\"a\":1e999}", 0), "header holds a number beyond the range of a double");
  EXPECT_EQ(error_of(R"({"__metadata__":{"a":1}})", 0), "__metadata__ 'a' is not a string");
}

TEST(SafeTensors, ShortAndOversizedHeaders) {
  const std::string path = scratch("short.safetensors");
  ASSERT_TRUE(write_file_atomic(path, "1234567").ok());
  EXPECT_EQ(SafeTensors::open(path).status().message(), path + ": 7 bytes are too few for a safetensors file");
  ASSERT_TRUE(write_file_atomic(path, std::string("\x10\0\0\0\0\0\0\0{}", 10)).ok());
  EXPECT_EQ(SafeTensors::open(path).status().message(),
            path + ": header of 16 bytes at offset 8 passes the end of the file (10 bytes)");
  ASSERT_TRUE(write_file_atomic(path, std::string(10, '\xff')).ok());
  EXPECT_EQ(SafeTensors::open(path).status().message(),
            path + ": header length 18446744073709551615 at offset 0 is over the limit of 100000000");
  EXPECT_EQ(SafeTensors::open(path + ".none").status().code(), Code::kNotFound);
}

TEST(SafeTensors, WriterRefusesWhatNoReaderTakes) {
  const std::string path = scratch("refused.safetensors");
  const std::vector<uint8_t> b = {1, 2, 3};
  const TensorView good{"b", "U8", {3}, std::as_bytes(std::span(b))};
  EXPECT_EQ(write_safetensors(path, std::vector{good, good}).message(), path + ": two tensors are named 'b'");
  EXPECT_EQ(write_safetensors(path, std::vector{TensorView{"b", "F32", {3}, good.bytes}}).message(),
            path + ": tensor 'b' is given 3 bytes for F32 [3]");
  EXPECT_EQ(read_file(path).status().code(), Code::kNotFound) << "nothing is left behind";
}

}  // namespace
}  // namespace bgl::text
