// Any bytes are an indexed dataset or an error; of a dataset every sequence, document and token can be read, and lies where the
// positions say. The input: the length of the .idx file in two bytes, that file, the .bin file.
#include <cstring>
#include <vector>

#include "base/testing/fuzz.h"
#include "text/files/indexed_dataset.h"

using bgl::fuzz_failed;
using bgl::text::IndexedDataset;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data) + 2, size - 2);
  const size_t index = std::min<size_t>(static_cast<size_t>(data[0]) | static_cast<size_t>(data[1]) << 8, bytes.size());
  const auto set = IndexedDataset::parse(bytes.first(index), bytes.subspan(index), "input");
  if (!set.ok()) {
    if (set.status().code() != bgl::Code::kDataLoss) fuzz_failed("not data loss: " + set.status().to_string());
    return 0;
  }
  int64_t tokens = 0;
  for (int64_t i = 0; i < set->sequences(); ++i) {
    if (set->position(i) != tokens) fuzz_failed("a sequence does not follow the one before");
    if (set->length(i) > 0 && set->sequence_at(tokens) != i) {
      // Empty sequences share their position with the next.
      if (set->position(set->sequence_at(tokens)) != tokens) fuzz_failed("a token is found in another sequence");
    }
    tokens += set->length(i);
  }
  if (tokens != set->tokens()) fuzz_failed("sequences do not make up the tokens");
  for (int64_t d = 0; d < set->documents(); ++d) {
    if (set->document_begin(d) > set->document_begin(d + 1)) fuzz_failed("documents are out of order");
  }
  std::vector<int32_t> all(static_cast<size_t>(tokens));
  const bgl::Status read = set->read(0, all);
  if (!read.ok() && read.code() != bgl::Code::kDataLoss) fuzz_failed("cannot be read: " + read.to_string());
  if (set->read(1, all).ok() && tokens > 0) fuzz_failed("tokens behind the end are read");
  bgl::fuzz_canary(set->sequences() >= 2 && set->documents() >= 1);
  return 0;
}
