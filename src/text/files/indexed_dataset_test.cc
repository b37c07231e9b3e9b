#include "text/files/indexed_dataset.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <vector>

#include "text/files/atomic_file.h"

namespace bgl::text {
namespace {

std::string dataset_prefix(const char* name) { return testing::TempDir() + "/bgl_" + name + std::to_string(::getpid()); }

std::string le(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

// The bytes Megatron-LM writes for documents {5, 70} and {9} in 16 bits, spelled out from the layout.
std::string reference_index() {
  return std::string("MMIDIDX\0\0", 9) + le(1, 8) + le(8, 1) + le(2, 8) + le(3, 8) + le(2, 4) + le(1, 4) + le(0, 8) + le(4, 8) +
         le(0, 8) + le(1, 8) + le(2, 8);
}

TEST(IndexedDataset, WritesTheBytesOfTheFormat) {
  const std::string prefix = dataset_prefix("bytes");
  Result<IndexedDatasetWriter> writer = IndexedDatasetWriter::create(prefix, token_type_for(8192));
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(writer->add_document(std::vector<int32_t>{5, 70}).ok());
  ASSERT_TRUE(writer->add_document(std::vector<int32_t>{9}).ok());
  EXPECT_EQ(writer->add_document(std::vector<int32_t>{65536}).message(),
            prefix + ": document 2 holds token 65536, which does not fit the element type");
  ASSERT_TRUE(writer->finish().ok());
  EXPECT_EQ(*read_file(prefix + ".bin"), le(5, 2) + le(70, 2) + le(9, 2));
  EXPECT_EQ(*read_file(prefix + ".idx"), reference_index());
}

TEST(IndexedDataset, ReadsStreamAndDocuments) {
  const std::string prefix = dataset_prefix("wide");
  Result<IndexedDatasetWriter> writer = IndexedDatasetWriter::create(prefix, token_type_for(128256));
  ASSERT_TRUE(writer.ok());
  const std::vector<std::vector<int32_t>> documents = {{1, 2, 3}, {}, {128255}, {7, 8}};
  for (const auto& document : documents) ASSERT_TRUE(writer->add_document(document).ok());
  ASSERT_TRUE(writer->finish().ok());
  const Result<IndexedDataset> data = IndexedDataset::open(prefix);
  ASSERT_TRUE(data.ok()) << data.status().message();
  EXPECT_EQ(data->documents(), 4);
  EXPECT_EQ(data->tokens(), 6);
  EXPECT_EQ(data->type(), TokenType::kI32);
  std::vector<int32_t> all(6);
  ASSERT_TRUE(data->read(0, all).ok());
  EXPECT_EQ(all, (std::vector<int32_t>{1, 2, 3, 128255, 7, 8}));
  EXPECT_EQ(data->length(2), 1);
  EXPECT_EQ(data->position(3), 4);
  EXPECT_EQ(data->document_begin(4), 4);
  EXPECT_EQ(data->sequence_at(0), 0);
  EXPECT_EQ(data->sequence_at(2), 0);
  EXPECT_EQ(data->sequence_at(3), 2) << "the empty sequence before it holds no token";
  EXPECT_EQ(data->sequence_at(5), 3);
  EXPECT_EQ(data->read(5, std::span(all).first(2)).message(), prefix + ".bin: tokens [5, 7) asked, but it holds 6");
}

TEST(IndexedDataset, EveryDamageIsNamed) {
  const std::string prefix = dataset_prefix("damage");
  ASSERT_TRUE(write_file_atomic(prefix + ".bin", std::string(6, '\1')).ok());
  const auto error_with = [&](const std::string& index) {
    EXPECT_TRUE(write_file_atomic(prefix + ".idx", index).ok());
    const Result<IndexedDataset> data = IndexedDataset::open(prefix);
    return data.ok() ? std::string("opened") : data.status().message().substr(prefix.size());
  };
  const std::string good = reference_index();
  const auto patched = [&](size_t at, uint64_t value, int bytes) {
    return std::string(good).replace(at, bytes, le(value, bytes));
  };
  EXPECT_EQ(error_with(good), "opened");
  EXPECT_EQ(error_with(good + std::string(2, '\0')), "opened") << "modes of multimodal data are accepted";
  EXPECT_EQ(error_with(good.substr(0, 33)), ".idx: 33 bytes are too few for an index (header is 34)");
  EXPECT_EQ(error_with(patched(0, 'X', 1)), ".idx: does not begin with MMIDIDX (at offset 0): not a Megatron index");
  EXPECT_EQ(error_with(patched(9, 2, 8)), ".idx: version 2 (at offset 9), only 1 is known");
  EXPECT_EQ(error_with(patched(17, 7, 1)), ".idx: element type 7 (at offset 17) holds no tokens");
  EXPECT_EQ(error_with(patched(18, ~0ull, 8)),
            ".idx: 18446744073709551615 sequences and 3 document bounds do not fit in 82 bytes");
  EXPECT_EQ(error_with(good + "x"), ".idx: 1 bytes follow the document bounds (at offset 82)");
  EXPECT_EQ(error_with(patched(34, 0xffffffff, 4)), ".idx: sequence 0 has length -1");
  EXPECT_EQ(error_with(patched(50, 2, 8)), ".idx: sequence 1 points at byte 2 of the data, but 4 was expected");
  EXPECT_EQ(error_with(patched(38, 2, 4)), ".idx: the index describes 8 bytes, but " + prefix + ".bin has 6");
  EXPECT_EQ(error_with(patched(66, 3, 8)), ".idx: document bound 1 is 3, outside the 2 sequences or out of order");
}

}  // namespace
}  // namespace bgl::text
