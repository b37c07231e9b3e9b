// Byte-level byte-pair encoding, as GPT-2, Llama-3, Qwen and the tokenizers trained here: text is cut into words, a word into
// bytes, and pairs are merged by rank. Every byte has a token, so any input has an encoding and decode(encode(x)) == x.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/tokenizers/internal/bpe_merges.h"
#include "text/tokenizers/internal/pretokenize.h"
#include "text/tokenizers/internal/word_cache.h"
#include "text/tokenizers/tokenizer.h"

namespace bgl::text {

class ByteBpeTokenizer final : public Tokenizer {
 public:
  struct Parts {
    std::vector<std::string> pieces;  // bytes of each id; empty for an id the vocabulary leaves unused
    std::vector<BpeMerges::Merge> merges;
    PreTokenizer pre;
    bool whole_words_first = false;  // a word that is a piece is taken whole ("ignore_merges", Llama-3)
  };
  // `added` may name ids of `pieces` or go beyond them. `where` begins the messages.
  static Result<std::unique_ptr<ByteBpeTokenizer>> create(Parts parts, std::vector<AddedToken> added, const std::string& where);

  std::string token_bytes(int32_t id) const override;
  int32_t vocab_size() const override { return static_cast<int32_t>(pieces_.size()); }
  Result<std::string> to_json() const override;

 protected:
  void encode_piece(std::string_view piece, bool at_start, std::vector<int32_t>& out) const override;

 private:
  ByteBpeTokenizer() = default;
  void encode_word(std::string_view word, std::vector<int32_t>& ids) const;

  std::vector<std::string> pieces_;  // added tokens included
  size_t model_size_ = 0;            // ids of the vocabulary proper; added tokens may follow
  BpeMerges merges_;
  PreTokenizer pre_;
  bool whole_words_first_ = false;
  std::unordered_map<std::string_view, int32_t> by_bytes_;  // filled when whole_words_first_; keys lie in pieces_
  int32_t byte_ids_[256];                                   // -1: no token, the byte is dropped as Hugging Face does
  mutable WordCachePool caches_;
};

}  // namespace bgl::text
