#include "text/tokenizers/internal/piece_bpe.h"

#include <algorithm>
#include <numeric>

#include "text/unicode.h"

namespace bgl::text {
namespace {
constexpr std::string_view kBlock = "\xE2\x96\x81";  // U+2581, SentencePiece's visible space
}

Result<std::unique_ptr<PieceBpeTokenizer>> PieceBpeTokenizer::create(Parts parts, std::vector<AddedToken> added,
                                                                     const std::string& where) {
  std::unique_ptr<PieceBpeTokenizer> out(new PieceBpeTokenizer());
  const int32_t size = static_cast<int32_t>(parts.pieces.size());
  for (const BpeMerges::Merge& m : parts.merges) {
    if (std::min({m.left, m.right, m.merged}) < 0 || std::max({m.left, m.right, m.merged}) >= size) {
      return data_loss("{}: a merge names ids ({}, {}) -> {}, outside the vocabulary of {}", where, m.left, m.right, m.merged,
                       size);
    }
  }
  if (parts.unknown >= size)
    return data_loss("{}: the unknown token {} is outside the vocabulary of {}", where, parts.unknown, size);
  out->model_size_ = parts.pieces.size();
  out->pieces_ = std::move(parts.pieces);
  for (const AddedToken& token : added) {
    if (token.id < 0) return data_loss("{}: added token '{}' has id {}", where, token.text, token.id);
    const size_t id = static_cast<size_t>(token.id);
    if (id >= out->pieces_.size()) out->pieces_.resize(id + 1, {"", PieceType::kUnused});
    if (out->pieces_[id].type == PieceType::kUnused) {
      out->pieces_[id] = {token.text, token.special ? PieceType::kControl : PieceType::kUserDefined};
    }
  }
  out->merges_ = BpeMerges(std::move(parts.merges));
  std::fill(std::begin(out->byte_ids_), std::end(out->byte_ids_), -1);
  for (int32_t id = size - 1; id >= 0; --id) {
    const Piece& piece = out->pieces_[static_cast<size_t>(id)];
    if (piece.type == PieceType::kByte) out->byte_ids_[static_cast<uint8_t>(piece.text[0])] = id;
    if (piece.type == PieceType::kNormal && !piece.text.empty()) out->by_text_[piece.text] = id;
  }
  parts.pieces.clear();
  parts.merges.clear();
  out->options_ = std::move(parts);
  out->set_added_tokens(std::move(added));
  return out;
}

std::vector<BpeMerges::Merge> PieceBpeTokenizer::merges_of_scores(const std::vector<Piece>& pieces,
                                                                  const std::vector<float>& scores) {
  std::unordered_map<std::string_view, int32_t> ids;
  for (size_t i = pieces.size(); i-- > 0;) {
    if (pieces[i].type == PieceType::kNormal) ids[pieces[i].text] = static_cast<int32_t>(i);
  }
  std::vector<int32_t> order(pieces.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)]; });
  std::vector<BpeMerges::Merge> merges;
  int32_t rank = -1;
  float rank_score = 0;
  for (const int32_t id : order) {
    const std::string_view text = pieces[static_cast<size_t>(id)].text;
    if (pieces[static_cast<size_t>(id)].type != PieceType::kNormal || ids[text] != id) continue;
    const float score = scores[static_cast<size_t>(id)];
    if (rank < 0 || score != rank_score) ++rank;
    rank_score = score;
    for (size_t cut = 1; cut < text.size(); ++cut) {
      const auto left = ids.find(text.substr(0, cut)), right = ids.find(text.substr(cut));
      if (left != ids.end() && right != ids.end()) merges.push_back({left->second, right->second, id, rank});
    }
  }
  return merges;
}

std::string PieceBpeTokenizer::prepared(std::string_view piece, bool at_start) const {
  std::string text;
  text.reserve(piece.size() + 1);
  for (size_t at = 0; at < piece.size();) {
    if (options_.fold_block && piece.compare(at, kBlock.size(), kBlock) == 0) {
      text += ' ';
      at += kBlock.size();
    } else {
      text += piece[at++];
    }
  }
  if (options_.squeeze_spaces) {
    text.erase(std::unique(text.begin(), text.end(), [](char a, char b) { return a == ' ' && b == ' '; }), text.end());
    if (!text.empty() && text.front() == ' ') text.erase(text.begin());
    if (!text.empty() && text.back() == ' ') text.pop_back();
  }
  const bool wanted = options_.dummy_prefix && (at_start || options_.prefix_every_piece);
  if (wanted && !text.empty() && !(options_.prefix_unless_space && text[0] == ' ')) text.insert(text.begin(), ' ');
  return text;
}

bool PieceBpeTokenizer::has_bytes_of(std::string_view character) const {
  return std::all_of(character.begin(), character.end(), [&](char b) { return byte_ids_[static_cast<uint8_t>(b)] >= 0; });
}

std::string PieceBpeTokenizer::lost_in(std::string_view piece, bool at_start) const {
  if (options_.unknown >= 0) return {};
  const std::string text = prepared(piece, at_start);
  for (size_t at = 0; at < text.size();) {
    const std::string_view character(text.data() + at, decode_utf8(text, at).bytes);
    at += character.size();
    if (by_text_.find(character) == by_text_.end() && !has_bytes_of(character)) return std::string(character);
  }
  return {};
}

void PieceBpeTokenizer::encode_piece(std::string_view piece, bool at_start, std::vector<int32_t>& out) const {
  const std::string text = prepared(piece, at_start);
  std::vector<int32_t> ids;
  ids.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const Char c = decode_utf8(text, at);
    const std::string_view character(text.data() + at, c.bytes);
    at += c.bytes;
    if (const auto it = by_text_.find(character); it != by_text_.end()) {
      ids.push_back(it->second);
      continue;
    }
    if (has_bytes_of(character)) {
      for (const char b : character) ids.push_back(byte_ids_[static_cast<uint8_t>(b)]);
    } else if (options_.unknown >= 0 && !(options_.fuse_unknown && !ids.empty() && ids.back() == options_.unknown)) {
      ids.push_back(options_.unknown);
    }
  }
  merges_.apply(ids);
  out.insert(out.end(), ids.begin(), ids.end());
}

std::string PieceBpeTokenizer::token_bytes(int32_t id) const {
  if (id < 0 || id >= vocab_size()) return {};
  const Piece& piece = pieces_[static_cast<size_t>(id)];
  return piece.type == PieceType::kControl || piece.type == PieceType::kUnknown ? std::string() : piece.text;
}

std::string PieceBpeTokenizer::decode(std::span<const int32_t> ids) const {
  std::string out;
  bool first = true;  // of the text: the space that encoding put in front is taken off again
  for (const int32_t id : ids) {
    const std::string bytes = token_bytes(id);
    const bool strip = first && options_.dummy_prefix && !bytes.empty() && bytes[0] == ' ';
    out.append(bytes, strip ? 1 : 0);
    first = id == bos() || (first && is_special(id));
  }
  return out;
}

}  // namespace bgl::text
