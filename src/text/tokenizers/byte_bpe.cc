#include "text/tokenizers/internal/byte_bpe.h"

#include <algorithm>

#include "text/unicode.h"

namespace bgl::text {

Result<std::unique_ptr<ByteBpeTokenizer>> ByteBpeTokenizer::create(Parts parts, std::vector<AddedToken> added,
                                                                   const std::string& where) {
  std::unique_ptr<ByteBpeTokenizer> out(new ByteBpeTokenizer());
  const int32_t size = static_cast<int32_t>(parts.pieces.size());
  for (const BpeMerges::Merge& m : parts.merges) {
    if (std::min({m.left, m.right, m.merged}) < 0 || std::max({m.left, m.right, m.merged}) >= size) {
      return data_loss("{}: a merge names ids ({}, {}) -> {}, outside the vocabulary of {}", where, m.left, m.right, m.merged,
                       size);
    }
  }
  out->model_size_ = parts.pieces.size();
  out->pieces_ = std::move(parts.pieces);
  for (const AddedToken& token : added) {
    if (token.id < 0) return data_loss("{}: added token '{}' has id {}", where, token.text, token.id);
    if (static_cast<size_t>(token.id) >= out->pieces_.size()) out->pieces_.resize(static_cast<size_t>(token.id) + 1);
  }
  out->merges_ = BpeMerges(std::move(parts.merges));
  out->pre_ = parts.pre;
  out->whole_words_first_ = parts.whole_words_first;
  std::fill(std::begin(out->byte_ids_), std::end(out->byte_ids_), -1);
  for (int32_t id = size - 1; id >= 0; --id) {
    const std::string& piece = out->pieces_[static_cast<size_t>(id)];
    if (piece.size() == 1) out->byte_ids_[static_cast<uint8_t>(piece[0])] = id;
    if (out->whole_words_first_ && !piece.empty()) out->by_bytes_[piece] = id;
  }
  for (const AddedToken& token : added) out->pieces_[static_cast<size_t>(token.id)] = token.text;
  out->set_added_tokens(std::move(added));
  return out;
}

void ByteBpeTokenizer::encode_word(std::string_view word, std::vector<int32_t>& ids) const {
  ids.clear();
  if (whole_words_first_) {
    if (const auto it = by_bytes_.find(word); it != by_bytes_.end()) {
      ids.push_back(it->second);
      return;
    }
  }
  for (const char b : word) {
    if (const int32_t id = byte_ids_[static_cast<uint8_t>(b)]; id >= 0) ids.push_back(id);
  }
  merges_.apply(ids);
}

void ByteBpeTokenizer::encode_piece(std::string_view piece, bool, std::vector<int32_t>& out) const {
  std::string held;
  if (pre_.normalise_nfc) piece = held = nfc(piece);
  if (pre_.add_prefix_space && !piece.empty() && !is_space(char_class(decode_utf8(piece, 0).codepoint))) {
    piece = held = " " + std::string(piece);
  }
  WordCachePool::Lease cache(caches_);
  std::vector<int32_t> fresh;
  for_each_word(pre_, piece, [&](std::string_view word) {
    WordCache::Slot* slot = word.size() <= WordCache::kWordBytesMax ? &(*cache).at(word) : nullptr;
    if (slot && slot->holds(word)) {
      out.insert(out.end(), slot->ids().begin(), slot->ids().end());
      return;
    }
    encode_word(word, fresh);
    if (slot) slot->keep(word, fresh);
    out.insert(out.end(), fresh.begin(), fresh.end());
  });
}

std::string ByteBpeTokenizer::token_bytes(int32_t id) const {
  return id < 0 || id >= vocab_size() ? std::string() : pieces_[static_cast<size_t>(id)];
}

}  // namespace bgl::text
