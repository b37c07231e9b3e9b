// llama2.c's tokenizer.bin: a SentencePiece vocabulary exported flat.
//
//   offset  size  content
//   0       4     length of the longest token in bytes (i32, little-endian as all that follows)
//   then, for each token until the end of the file:
//           4     score (f32)
//           4     n (i32)
//           n     bytes; spaces are spaces; "<0x0A>" stands for a byte; tokens 0, 1, 2 are unknown, begin and end
#include <cmath>
#include <cstring>

#include "text/files/mmap_file.h"
#include "text/tokenizers/internal/piece_bpe.h"
#include "text/tokenizers/internal/tokenizer_files.h"

namespace bgl::text {

Result<std::unique_ptr<Tokenizer>> load_llama2c(const std::string& path) {
  BGL_ASSIGN(const MmapFile file, MmapFile::open(path));
  const std::string_view bytes = file.text();
  int32_t longest = 0;
  if (bytes.size() < 4) return data_loss("{}: {} bytes are too few for a tokenizer", path, bytes.size());
  std::memcpy(&longest, bytes.data(), 4);
  PieceBpeTokenizer::Parts parts;
  std::vector<float> scores;
  std::vector<AddedToken> added;
  for (size_t at = 4; at < bytes.size();) {
    const size_t id = scores.size();
    float score = 0;
    int32_t n = -1;
    if (bytes.size() - at >= 8) {
      std::memcpy(&score, bytes.data() + at, 4);
      std::memcpy(&n, bytes.data() + at + 4, 4);
    }
    if (std::isnan(score)) return data_loss("{}: the score of token {} (at offset {}) is not a number", path, id, at);
    if (n < 0 || n > longest || static_cast<size_t>(n) > bytes.size() - at - 8) {
      return data_loss("{}: token {} (at offset {}) does not fit the file or the longest token, {} bytes", path, id, at,
                       longest);
    }
    PieceBpeTokenizer::Piece piece{std::string(bytes.substr(at + 8, static_cast<size_t>(n)))};
    unsigned byte = 0;
    if (id < 3) {
      static constexpr const char* kNames[] = {"<unk>", "<s>", "</s>"};
      piece = {kNames[id], id == 0 ? PieceType::kUnknown : PieceType::kControl};
      added.push_back({kNames[id], static_cast<int32_t>(id)});
    } else if (n == 6 && std::sscanf(piece.text.c_str(), "<0x%2X>", &byte) == 1) {
      piece = {std::string(1, static_cast<char>(byte)), PieceType::kByte};
    }
    parts.pieces.push_back(std::move(piece));
    scores.push_back(score);
    at += 8 + static_cast<size_t>(n);
  }
  if (scores.size() < 259) return data_loss("{}: {} tokens, but 3 marks and 256 bytes are needed", path, scores.size());
  parts.dummy_prefix = true;
  parts.unknown = 0;
  parts.merges = PieceBpeTokenizer::merges_of_scores(parts.pieces, scores);
  BGL_ASSIGN(std::unique_ptr<PieceBpeTokenizer> out, PieceBpeTokenizer::create(std::move(parts), std::move(added), path));
  out->set_recognises_added(false);  // llama2.c knows no marks in text
  out->set_marks(1, 2, true);
  return std::unique_ptr<Tokenizer>(std::move(out));
}

}  // namespace bgl::text
