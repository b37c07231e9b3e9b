#include "text/tokenizers/tokenizer.h"

#include <sys/stat.h>

#include <algorithm>

#include "text/files/atomic_file.h"
#include "text/files/sidecar.h"
#include "text/tokenizers/internal/tokenizer_files.h"
#include "text/unicode.h"

namespace bgl::text {
namespace {

bool file_exists(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode);
}
bool folder_exists(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}
bool ends_with(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Where the white space that ends at `end` begins, not before `low`.
size_t space_before(std::string_view text, size_t low, size_t end) {
  while (end > low) {
    size_t at = end - 1;
    while (at > low && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) --at;
    const Char c = decode_utf8(text, at);
    if (at + c.bytes != end || !is_space(char_class(c.codepoint))) break;
    end = at;
  }
  return end;
}

size_t space_after(std::string_view text, size_t at) {
  while (at < text.size()) {
    const Char c = decode_utf8(text, at);
    if (!is_space(char_class(c.codepoint))) break;
    at += c.bytes;
  }
  return at;
}

}  // namespace

const AddedToken* Tokenizer::match_added(std::string_view text, size_t at) const {
  for (const uint32_t i : by_first_[static_cast<uint8_t>(text[at])]) {
    if (text.compare(at, added_[i].text.size(), added_[i].text) == 0) return &added_[i];
  }
  return nullptr;
}

std::vector<int32_t> Tokenizer::encode(std::string_view text) const { return encode_split(text, false); }
std::vector<int32_t> Tokenizer::encode_guarded(std::string_view text) const { return encode_split(text, true); }

std::string Tokenizer::guard_marks(std::string_view text) const {
  std::string out;
  for (size_t at = 0; at < text.size(); ++at) {
    out += text[at];
    const std::string_view rest = text.substr(at);
    const auto& candidates = by_first_[static_cast<uint8_t>(text[at])];
    const bool mark = std::any_of(candidates.begin(), candidates.end(), [&](uint32_t i) {
      return added_[i].special && (rest.starts_with(added_[i].text) || std::string_view(added_[i].text).starts_with(rest));
    });
    if (mark) out += kMarkGuard;
  }
  return out;
}

std::vector<int32_t> Tokenizer::encode_split(std::string_view text, bool guarded) const {
  std::vector<int32_t> out;
  const auto add_piece = [&](std::string_view piece, bool at_start) {
    if (!guarded || piece.find(kMarkGuard) == std::string_view::npos) return encode_piece(piece, at_start, out);
    std::string plain(piece);
    for (size_t hit; (hit = plain.find(kMarkGuard)) != std::string::npos;) plain.erase(hit, kMarkGuard.size());
    if (!plain.empty()) encode_piece(plain, at_start, out);
  };
  split(text, add_piece, [&](const AddedToken& token) { out.push_back(token.id); });
  return out;
}

std::string Tokenizer::first_lost(std::string_view text) const {
  std::string lost;
  split(text, [&](std::string_view piece, bool at_start) { if (lost.empty()) lost = lost_in(piece, at_start); }, [](const AddedToken&) {});
  return lost;
}

template <typename Piece, typename Mark>
void Tokenizer::split(std::string_view text, const Piece& piece, const Mark& mark) const {
  if (added_.empty() || !recognises_added_) {
    if (!text.empty()) piece(text, true);
    return;
  }
  size_t begin = 0;  // of the ordinary piece that is being collected
  for (size_t at = 0; at < text.size();) {
    const AddedToken* token = match_added(text, at);
    if (!token) {
      ++at;
      continue;
    }
    const size_t end = token->lstrip ? space_before(text, begin, at) : at;
    if (end > begin) piece(text.substr(begin, end - begin), begin == 0);
    mark(*token);
    at += token->text.size();
    if (token->rstrip) at = space_after(text, at);
    begin = at;
  }
  if (begin < text.size()) piece(text.substr(begin), begin == 0);
}

std::vector<int32_t> Tokenizer::encode_ordinary(std::string_view text) const {
  std::vector<int32_t> out;
  if (!text.empty()) encode_piece(text, true, out);
  return out;
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string out;
  for (const int32_t id : ids) out += token_bytes(id);
  return out;
}

std::optional<int32_t> Tokenizer::special_id(std::string_view text) const {
  const auto it = added_ids_.find(text);
  if (it == added_ids_.end()) return std::nullopt;
  return it->second;
}

bool Tokenizer::is_special(int32_t id) const {
  return id >= 0 && static_cast<size_t>(id) < special_.size() && special_[static_cast<size_t>(id)];
}

void Tokenizer::set_added_tokens(std::vector<AddedToken> added) {
  added_ = std::move(added);
  added_ids_.clear();
  special_.clear();
  for (auto& bucket : by_first_) bucket.clear();
  for (uint32_t i = 0; i < added_.size(); ++i) {
    const AddedToken& token = added_[i];
    added_ids_[token.text] = token.id;
    if (!token.text.empty()) by_first_[static_cast<uint8_t>(token.text[0])].push_back(i);
    if (token.special && token.id >= 0) {
      special_.resize(std::max(special_.size(), static_cast<size_t>(token.id) + 1));
      special_[static_cast<size_t>(token.id)] = true;
    }
  }
  for (auto& bucket : by_first_) {
    std::stable_sort(bucket.begin(), bucket.end(),
                     [&](uint32_t a, uint32_t b) { return added_[a].text.size() > added_[b].text.size(); });
  }
}

void Tokenizer::set_marks(std::optional<int32_t> bos, std::optional<int32_t> eos, bool adds_bos) {
  bos_ = bos;
  eos_ = eos;
  adds_bos_ = adds_bos;
}

namespace {

// What manifest.json says of the files that a tokenizer at `path`, a file or a folder, may be read from.
Status check_files(const std::string& path) {
  const bool folder = folder_exists(path);
  BGL_ASSIGN(const Sidecar sidecar, Sidecar::open(real_env(), folder ? path : parent_path(path)));
  if (!folder) BGL_TRY(sidecar.check(base_name(path)));
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "encoder.json", "vocab.bpe", "vocab.json", "merges.txt", "tokenizer.model", "tokenizer.bin"}) {
    BGL_TRY(sidecar.check(name));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> load_tokenizer(const std::string& path) {
  BGL_TRY(check_files(path));
  if (!folder_exists(path)) {
    if (ends_with(path, ".json")) return load_tokenizer_json(path);
    if (ends_with(path, ".model")) return load_sentencepiece(path);
    if (ends_with(path, ".bin")) return load_llama2c(path);
    return not_found("{}: no tokenizer here (a folder, tokenizer.json, *.model or *.bin is known)", path);
  }
  const auto in = [&](const char* name) { return path + "/" + name; };
  if (file_exists(in("tokenizer.json"))) return load_tokenizer_json(in("tokenizer.json"));
  if (file_exists(in("encoder.json")) && file_exists(in("vocab.bpe"))) return load_gpt2(in("encoder.json"), in("vocab.bpe"));
  if (file_exists(in("vocab.json")) && file_exists(in("merges.txt"))) return load_gpt2(in("vocab.json"), in("merges.txt"));
  if (file_exists(in("tokenizer.model"))) return load_sentencepiece(in("tokenizer.model"));
  if (file_exists(in("tokenizer.bin"))) return load_llama2c(in("tokenizer.bin"));
  return not_found(
      "{}: the folder holds no tokenizer (looked for tokenizer.json, encoder.json + vocab.bpe, vocab.json + merges.txt, "
      "tokenizer.model, tokenizer.bin)",
      path);
}

Status write_tokenizer_json(const Tokenizer& tokenizer, const std::string& path) {
  BGL_ASSIGN(const std::string json, tokenizer.to_json());
  return write_file_atomic(folder_exists(path) ? path + "/tokenizer.json" : path, json);
}

}  // namespace bgl::text
