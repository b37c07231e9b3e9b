#include "text/tokenizers/char_tokenizer.h"

#include <set>

#include "text/tokenizers/internal/piece_bpe.h"
#include "text/unicode.h"

namespace bgl::text {

Result<std::unique_ptr<Tokenizer>> make_char_tokenizer(std::string_view text, const std::vector<std::string>& marks) {
  std::set<int32_t> characters;
  for (size_t at = 0; at < text.size();) {
    const Char c = decode_utf8(text, at);
    if (c.codepoint < 0) return invalid_argument("character vocabulary: the text is not valid UTF-8 (at offset {})", at);
    characters.insert(c.codepoint);
    at += c.bytes;
  }
  PieceBpeTokenizer::Parts parts;
  for (const int32_t c : characters) {
    PieceBpeTokenizer::Piece piece;
    append_utf8(piece.text, c);
    parts.pieces.push_back(std::move(piece));
  }
  std::vector<AddedToken> added;
  for (const std::string& mark : marks) {
    added.push_back({mark, static_cast<int32_t>(parts.pieces.size())});
    parts.pieces.push_back({mark, PieceType::kControl});
  }
  BGL_ASSIGN(std::unique_ptr<PieceBpeTokenizer> out,
             PieceBpeTokenizer::create(std::move(parts), std::move(added), "characters"));
  const std::optional<int32_t> end = out->special_id("<|endoftext|>");
  out->set_marks(end, end, false);
  return std::unique_ptr<Tokenizer>(std::move(out));
}

}  // namespace bgl::text
