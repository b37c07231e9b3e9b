// SentencePiece's *.model: a protobuf message, read here field by field.
//
//   ModelProto        1: repeated SentencePiece { 1: piece (string)  2: score (float)  3: type (enum) }
//                     2: TrainerSpec    { 3: model_type (1 unigram, 2 BPE, ...)  35: byte_fallback  40: unk_id }
//                     3: NormalizerSpec { 2: precompiled_charsmap  3: add_dummy_prefix  4: remove_extra_whitespaces
//                                         5: escape_whitespaces }
//
// A field is a varint key (number << 3 | wire type), then a varint (type 0), 8 bytes (1), a length and bytes (2) or 4 bytes
// (5).
#include <cmath>
#include <cstring>

#include "text/files/mmap_file.h"
#include "text/tokenizers/internal/piece_bpe.h"
#include "text/tokenizers/internal/tokenizer_files.h"

namespace bgl::text {
namespace {

struct Field {
  uint32_t number = 0;
  uint64_t varint = 0;     // wire type 0, or the 4 or 8 bytes of types 5 and 1
  std::string_view bytes;  // wire type 2
};

class ProtoReader {
 public:
  explicit ProtoReader(std::string_view bytes) : bytes_(bytes) {}
  bool done() const { return at_ >= bytes_.size(); }
  // False on damage.
  bool next(Field& field) {
    uint64_t key = 0, length = 0;
    if (!varint(key)) return false;
    field = {static_cast<uint32_t>(key >> 3), 0, {}};
    switch (key & 7) {
      case 0:
        return varint(field.varint);
      case 1:
        return fixed(8, field.varint);
      case 5:
        return fixed(4, field.varint);
      case 2:
        if (!varint(length) || length > bytes_.size() - at_) return false;
        field.bytes = bytes_.substr(at_, length);
        at_ += length;
        return true;
      default:
        return false;
    }
  }

 private:
  bool varint(uint64_t& out) {
    out = 0;
    for (int shift = 0; shift < 64 && at_ < bytes_.size(); shift += 7) {
      const auto byte = static_cast<uint8_t>(bytes_[at_++]);
      out |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
  bool fixed(size_t n, uint64_t& out) {
    if (n > bytes_.size() - at_) return false;
    out = 0;
    std::memcpy(&out, bytes_.data() + at_, n);
    at_ += n;
    return true;
  }
  std::string_view bytes_;
  size_t at_ = 0;
};

struct SentencePieceModel {
  std::vector<PieceBpeTokenizer::Piece> pieces;
  std::vector<float> scores;
  uint64_t model_type = 1;
  bool dummy_prefix = true, squeeze = true, escape = true;
  size_t charsmap_bytes = 0;
};

bool read_piece(std::string_view bytes, SentencePieceModel& model) {
  PieceBpeTokenizer::Piece piece;
  float score = 0;
  ProtoReader reader(bytes);
  for (Field f; !reader.done();) {
    if (!reader.next(f)) return false;
    if (f.number == 1) piece.text = std::string(f.bytes);
    if (f.number == 2) {
      const auto bits = static_cast<uint32_t>(f.varint);
      std::memcpy(&score, &bits, 4);
    }
    if (f.number == 3) piece.type = static_cast<PieceType>(f.varint);
  }
  if (piece.type < PieceType::kNormal || piece.type > PieceType::kByte || std::isnan(score)) return false;
  model.pieces.push_back(std::move(piece));
  model.scores.push_back(score);
  return true;
}

bool read_specs(const Field& outer, SentencePieceModel& model) {
  ProtoReader reader(outer.bytes);
  for (Field f; !reader.done();) {
    if (!reader.next(f)) return false;
    if (outer.number == 2 && f.number == 3) model.model_type = f.varint;
    if (outer.number == 3 && f.number == 2) model.charsmap_bytes = f.bytes.size();
    if (outer.number == 3 && f.number == 3) model.dummy_prefix = f.varint != 0;
    if (outer.number == 3 && f.number == 4) model.squeeze = f.varint != 0;
    if (outer.number == 3 && f.number == 5) model.escape = f.varint != 0;
  }
  return true;
}

// Spaces for U+2581 and the byte of "<0x0A>"; false when a byte piece is spelled otherwise.
bool unescape_piece(PieceBpeTokenizer::Piece& piece) {
  if (piece.type == PieceType::kByte) {
    unsigned byte = 0;
    if (piece.text.size() != 6 || std::sscanf(piece.text.c_str(), "<0x%2X>", &byte) != 1) return false;
    piece.text = std::string(1, static_cast<char>(byte));
    return true;
  }
  for (size_t at = 0; (at = piece.text.find("\xE2\x96\x81", at)) != std::string::npos; ++at) piece.text.replace(at, 3, 1, ' ');
  return true;
}

Status check_supported(const std::string& path, const SentencePieceModel& model) {
  const auto refused = [&](const std::string& what) { return make_status(Code::kUnimplemented, "{}: {}", path, what); };
  if (model.model_type == 1) return refused("a SentencePiece unigram model; only type BPE is supported");
  if (model.model_type != 2)
    return refused(fmt::format("SentencePiece model type {}; only BPE (2) is supported", model.model_type));
  if (model.charsmap_bytes > 0) return refused("normalises with a character map, which is not supported (only identity is)");
  if (!model.escape) return refused("does not escape white space, which is not supported");
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    if (model.pieces[id].type == PieceType::kUnused)
      return refused(fmt::format("piece {} is of type unused, which is not supported", id));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> load_sentencepiece(const std::string& path) {
  BGL_ASSIGN(const MmapFile file, MmapFile::open(path));
  SentencePieceModel model;
  ProtoReader reader(file.text());
  bool good = !reader.done();
  for (Field f; good && !reader.done();) {
    good = reader.next(f);
    if (good && f.number == 1) good = read_piece(f.bytes, model);
    if (good && (f.number == 2 || f.number == 3)) good = read_specs(f, model);
  }
  if (!good || model.pieces.empty()) return data_loss("{}: not a SentencePiece model, or damaged", path);
  BGL_TRY(check_supported(path, model));
  PieceBpeTokenizer::Parts parts;
  parts.dummy_prefix = model.dummy_prefix;
  parts.fold_block = true;
  parts.squeeze_spaces = model.squeeze;
  parts.fuse_unknown = true;
  std::vector<AddedToken> added;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    PieceBpeTokenizer::Piece& piece = model.pieces[id];
    const bool control = piece.type == PieceType::kControl || piece.type == PieceType::kUnknown;
    if (!unescape_piece(piece)) return data_loss("{}: piece {} is a byte, but spelled '{}'", path, id, piece.text);
    if (piece.type == PieceType::kUnknown) parts.unknown = static_cast<int32_t>(id);
    if (control || piece.type == PieceType::kUserDefined) added.push_back({piece.text, static_cast<int32_t>(id), control});
  }
  parts.merges = PieceBpeTokenizer::merges_of_scores(model.pieces, model.scores);
  parts.pieces = std::move(model.pieces);
  BGL_ASSIGN(std::unique_ptr<PieceBpeTokenizer> out, PieceBpeTokenizer::create(std::move(parts), std::move(added), path));
  const std::optional<int32_t> bos = out->special_id("<s>");
  out->set_marks(bos, out->special_id("</s>"), bos.has_value());
  return std::unique_ptr<Tokenizer>(std::move(out));
}

}  // namespace bgl::text
