// Byte-pair encoding over characters, as SentencePiece, Llama-2 and llama2.c do it: a space is part of the word after it, the
// text gets a space in front, and a character without a piece falls back to its bytes. With no merges at all it is the
// character-level tokenizer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/tokenizers/internal/bpe_merges.h"
#include "text/tokenizers/tokenizer.h"

namespace bgl::text {

enum class PieceType : uint8_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

class PieceBpeTokenizer final : public Tokenizer {
 public:
  struct Piece {
    std::string text;  // with real spaces, not U+2581; one byte for kByte; the mark's name for kControl
    PieceType type = PieceType::kNormal;
  };
  struct Parts {
    std::vector<Piece> pieces;
    std::vector<BpeMerges::Merge> merges;
    bool dummy_prefix = false;         // a space before the text
    bool prefix_every_piece = false;   // ... and before every piece after an added token
    bool prefix_unless_space = false;  // ... but none before a text that begins with a space (Metaspace)
    bool fold_block = false;           // U+2581 in the text is a space
    bool squeeze_spaces = false;       // runs of spaces become one; none at the ends
    bool fuse_unknown = false;         // neighbouring unknown characters share one unknown token
    int32_t unknown = -1;              // -1: a character that has neither piece nor bytes is dropped
  };
  static Result<std::unique_ptr<PieceBpeTokenizer>> create(Parts parts, std::vector<AddedToken> added,
                                                           const std::string& where);
  // The merges that a vocabulary with scores means: every way to join two pieces into a third, ranked by the third's score.
  static std::vector<BpeMerges::Merge> merges_of_scores(const std::vector<Piece>& pieces, const std::vector<float>& scores);

  std::string decode(std::span<const int32_t> ids) const override;
  std::string token_bytes(int32_t id) const override;
  int32_t vocab_size() const override { return static_cast<int32_t>(pieces_.size()); }
  Result<std::string> to_json() const override;
  void set_recognises_added(bool value) { recognises_added_ = value; }

 protected:
  void encode_piece(std::string_view piece, bool at_start, std::vector<int32_t>& out) const override;
  std::string lost_in(std::string_view piece, bool at_start) const override;

 private:
  PieceBpeTokenizer() = default;
  std::string prepared(std::string_view piece, bool at_start) const;
  bool has_bytes_of(std::string_view character) const;

  std::vector<Piece> pieces_;
  size_t model_size_ = 0;
  Parts options_;  // its vectors are empty
  BpeMerges merges_;
  std::unordered_map<std::string_view, int32_t> by_text_;  // keys lie in pieces_
  int32_t byte_ids_[256];                                  // -1: no such piece
};

}  // namespace bgl::text
