// Text to token ids and back, the same for every kind of vocabulary.
//
// A tokenizer is immutable after loading and safe to use from many threads. Ids are int32, from 0 to vocab_size() - 1; ids in
// that range that a vocabulary leaves unused decode to nothing.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace bgl::text {

// A token that is found in the text before any splitting: a control mark ("<|endoftext|>") or a word added after training.
struct AddedToken {
  std::string text;
  int32_t id = -1;
  bool special = true;  // a control mark, to be left out of what a person reads
  bool lstrip = false;  // takes the white space before it, or after it
  bool rstrip = false;
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Ids of `text`, without begin- or end-of-text marks. Added tokens written in the text become their ids: this is for text we
  // composed ourselves (chat templates, prompts). Any bytes are accepted; byte-level vocabularies keep broken UTF-8 exactly.
  std::vector<int32_t> encode(std::string_view text) const;
  // As encode(), but added tokens in the text are ordinary characters: for documents, which must not be able to forge marks.
  std::vector<int32_t> encode_ordinary(std::string_view text) const;
  // As encode(), but marks can be broken: kMarkGuard anywhere is left out, and an added token that it stands in is ordinary characters. For
  // text that we composed around other people's.
  std::vector<int32_t> encode_guarded(std::string_view text) const;
  // The first character of `text` that encode() leaves out, because the vocabulary has neither it, nor its bytes, nor a token for what it does
  // not know; empty when all of `text` is kept.
  std::string first_lost(std::string_view text) const;
  // `text` with a kMarkGuard in every control mark that it holds, and after an end that could begin one.
  std::string guard_marks(std::string_view text) const;
  static constexpr std::string_view kMarkGuard = "\xF4\x8F\xBF\xBF";  // U+10FFFF, which is no character
  // The text of `ids`, marks included (as their text, where the vocabulary gives them one). Ids out of range decode to nothing.
  virtual std::string decode(std::span<const int32_t> ids) const;
  // The exact bytes token `id` adds in the middle of a text; may be part of a character. For streaming.
  virtual std::string token_bytes(int32_t id) const = 0;

  virtual int32_t vocab_size() const = 0;
  // The id of an added token by its text, for example "<|endoftext|>".
  std::optional<int32_t> special_id(std::string_view text) const;
  bool is_special(int32_t id) const;
  // The marks a text begins and ends with, where the vocabulary has them, and whether the model expects bos() before a prompt.
  std::optional<int32_t> bos() const { return bos_; }
  std::optional<int32_t> eos() const { return eos_; }
  bool adds_bos() const { return adds_bos_; }
  const std::vector<AddedToken>& added_tokens() const { return added_; }

  // The vocabulary as a Hugging Face tokenizer.json, where that format can hold it.
  virtual Result<std::string> to_json() const = 0;

  // Used by loaders, before the tokenizer is shared.
  void set_added_tokens(std::vector<AddedToken> added);
  void set_marks(std::optional<int32_t> bos, std::optional<int32_t> eos, bool adds_bos);

 protected:
  // Appends the ids of a piece that holds no added token. `at_start`: the piece begins the text.
  virtual void encode_piece(std::string_view piece, bool at_start, std::vector<int32_t>& out) const = 0;
  // As first_lost(), of such a piece. Most vocabularies lose nothing.
  virtual std::string lost_in(std::string_view, bool) const { return {}; }
  bool recognises_added_ = true;  // whether encode() looks for added tokens at all

 private:
  const AddedToken* match_added(std::string_view text, size_t at) const;
  std::vector<int32_t> encode_split(std::string_view text, bool guarded) const;
  // Cuts `text` at the added tokens: piece(text, at_start) is told what lies between them and mark(token) each of them, in order.
  template <typename Piece, typename Mark>
  void split(std::string_view text, const Piece& piece, const Mark& mark) const;

  std::vector<AddedToken> added_;
  std::map<std::string, int32_t, std::less<>> added_ids_;
  std::vector<bool> special_;            // by id
  std::vector<uint32_t> by_first_[256];  // indexes into added_ by first byte, longest first
  std::optional<int32_t> bos_, eos_;
  bool adds_bos_ = false;
};

// Reads a tokenizer from a file or a folder:
//   tokenizer.json               Hugging Face: byte-level BPE (GPT-2, Llama-3, Qwen and their kind), BPE over characters with
//                                byte fallback (Llama-2 and its kind), characters (CharTokenizer)
//   encoder.json + vocab.bpe     GPT-2's own files, also named vocab.json + merges.txt
//   *.bin                        llama2.c's tokenizer
//   *.model                      SentencePiece, type BPE
// A folder is searched in this order; tokenizer_config.json beside tokenizer.json gives the begin and end marks. Files
// that a manifest.json of ours names (files/sidecar.h) are compared with it first.
Result<std::unique_ptr<Tokenizer>> load_tokenizer(const std::string& path);

// Writes `tokenizer` as Hugging Face tokenizer.json; `path` is a file name, or a folder that gets a tokenizer.json.
Status write_tokenizer_json(const Tokenizer& tokenizer, const std::string& path);

}  // namespace bgl::text
