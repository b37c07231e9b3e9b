// Megatron-LM's indexed dataset, version 1: training shards as two files, read by Megatron-LM, NeMo and GPT-NeoX alike.
//
//   <prefix>.bin   the tokens of all sequences back to back, little-endian
//   <prefix>.idx   offset  size  content
//                  0       9     "MMIDIDX\0\0"
//                  9       8     version = 1 (u64, little-endian as all that follows)
//                  17      1     element type: 1 u8, 2 i8, 3 i16, 4 i32, 5 i64, 6 f64, 7 f32, 8 u16
//                  18      8     S: number of sequences (u64)
//                  26      8     D: number of document bounds, documents + 1 (u64)
//                  34      4 S   length of each sequence in elements (i32)
//                  ...     8 S   byte offset of each sequence in the .bin file (i64)
//                  ...     8 D   first sequence of each document, and S at the end (i64)
//                  ...     S     optional: a mode byte per sequence (multimodal); accepted and not used
//
// Tokens are types 8 (vocabularies under 65,500) or 4, as Megatron-LM chooses; other integer types are read as well.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/status.h"
#include "text/files/mmap_file.h"

namespace bgl::text {

enum class TokenType : uint8_t { kU8 = 1, kI8 = 2, kI16 = 3, kI32 = 4, kI64 = 5, kU16 = 8 };
int64_t token_type_bytes(TokenType type);
// The narrowest type Megatron-LM writes for this vocabulary: u16 under 65,500 entries, else i32.
TokenType token_type_for(int64_t vocabulary);

// Read-only and safe to use from many threads. The .idx file is checked whole at open; pages of the .bin file are read when
// asked.
class IndexedDataset {
 public:
  static Result<IndexedDataset> open(const std::string& prefix);
  // Of the bytes of both files, which outlive it; `prefix` names them in messages.
  static Result<IndexedDataset> parse(std::span<const std::byte> index, std::span<const std::byte> data,
                                      const std::string& prefix);

  int64_t sequences() const { return sequences_; }
  int64_t documents() const { return documents_; }
  int64_t tokens() const { return tokens_; }
  TokenType type() const { return type_; }
  // Elements in sequence i, and the position of its first element in the stream of all tokens.
  int64_t length(int64_t i) const;
  int64_t position(int64_t i) const;
  // First sequence of document d; document_begin(documents()) == sequences().
  int64_t document_begin(int64_t d) const;
  // The sequence that holds stream position `token`: O(log S).
  int64_t sequence_at(int64_t token) const;
  // Copies tokens [begin, begin + out.size()) of the stream, widened to int32. Out of range, or an i64 element that does not
  // fit int32, is an error.
  Status read(int64_t begin, std::span<int32_t> out) const;
  const std::string& prefix() const { return prefix_; }

 private:
  Status check();
  std::string data_path() const { return prefix_ + ".bin"; }
  std::string prefix_;
  MmapFile index_file_, data_file_;
  std::span<const std::byte> index_, data_;
  TokenType type_ = TokenType::kI32;
  int64_t sequences_ = 0, documents_ = 0, tokens_ = 0;
  const std::byte* lengths_ = nullptr;
  const std::byte* pointers_ = nullptr;
  const std::byte* bounds_ = nullptr;
};

// Writes a dataset of one sequence per document. Memory: 12 bytes a document. Both files appear at finish(), .bin first, so
// that an .idx file never describes data that is not there.
class IndexedDatasetWriter {
 public:
  ~IndexedDatasetWriter();
  IndexedDatasetWriter(IndexedDatasetWriter&&) noexcept;
  // `type` must be kU16 or kI32.
  static Result<IndexedDatasetWriter> create(const std::string& prefix, TokenType type);
  // A token outside the type's range is an error. An empty document is written as an empty sequence.
  Status add_document(std::span<const int32_t> tokens);
  int64_t documents() const;
  int64_t tokens() const;
  Status finish();

 private:
  struct State;
  explicit IndexedDatasetWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace bgl::text
