// Writer of Hugging Face's tokenizer.json: the same pipelines that tokenizer_json.cc reads.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "text/tokenizers/internal/byte_alphabet.h"
#include "text/tokenizers/internal/byte_bpe.h"
#include "text/tokenizers/internal/piece_bpe.h"

namespace bgl::text {
namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson added_tokens_json(const Tokenizer& tokenizer) {
  std::vector<AddedToken> added = tokenizer.added_tokens();
  std::stable_sort(added.begin(), added.end(), [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  OrderedJson out = OrderedJson::array();
  for (const AddedToken& token : added) {
    out.push_back({{"id", token.id},
                   {"content", token.text},
                   {"single_word", false},
                   {"lstrip", token.lstrip},
                   {"rstrip", token.rstrip},
                   {"normalized", false},
                   {"special", token.special}});
  }
  return out;
}

// "key": id, one per line, in order of id. Joined by hand: an ordered JSON object looks every key up linearly.
std::string vocabulary_json(const std::vector<std::string>& spellings) {
  std::string out = "{";
  for (size_t id = 0; id < spellings.size(); ++id) {
    if (spellings[id].empty()) continue;
    out += fmt::format("{}\n      {}: {}", out.size() > 1 ? "," : "", nlohmann::json(spellings[id]).dump(), id);
  }
  return out + "\n    }";
}

std::string merges_json(const std::vector<BpeMerges::Merge>& merges, const std::vector<std::string>& spellings) {
  std::string out = "[";
  for (const BpeMerges::Merge& m : merges) {
    const std::string line = spellings[static_cast<size_t>(m.left)] + " " + spellings[static_cast<size_t>(m.right)];
    out += fmt::format("{}\n      {}", out.size() > 1 ? "," : "", nlohmann::json(line).dump());
  }
  return out + (merges.empty() ? "]" : "\n    ]");
}

struct Model {
  std::string unknown_token;  // empty: null
  bool fuse_unknown = false, byte_fallback = false, ignore_merges = false;
};

std::string tokenizer_json(const OrderedJson& added, const OrderedJson& normalizer, const OrderedJson& pre_tokenizer,
                           const OrderedJson& decoder, const Model& model, const std::string& vocabulary,
                           const std::string& merges) {
  const auto flag = [](bool value) { return value ? "true" : "false"; };
  std::string out = "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n";
  out += "  \"added_tokens\": " + added.dump() + ",\n";
  out += "  \"normalizer\": " + normalizer.dump() + ",\n";
  out += "  \"pre_tokenizer\": " + pre_tokenizer.dump() + ",\n";
  out += "  \"post_processor\": null,\n";
  out += "  \"decoder\": " + decoder.dump() + ",\n";
  out += "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n";
  out += "    \"unk_token\": " + (model.unknown_token.empty() ? "null" : nlohmann::json(model.unknown_token).dump()) + ",\n";
  out += "    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n";
  out += fmt::format("    \"fuse_unk\": {},\n    \"byte_fallback\": {},\n    \"ignore_merges\": {},\n",
                     flag(model.fuse_unknown), flag(model.byte_fallback), flag(model.ignore_merges));
  return out + "    \"vocab\": " + vocabulary + ",\n    \"merges\": " + merges + "\n  }\n}\n";
}

}  // namespace

Result<std::string> ByteBpeTokenizer::to_json() const {
  std::vector<std::string> spellings(model_size_);
  for (size_t id = 0; id < model_size_; ++id) spellings[id] = spell_bytes(pieces_[id]);
  for (const AddedToken& token : added_tokens()) {
    if (static_cast<size_t>(token.id) < model_size_) spellings[static_cast<size_t>(token.id)] = token.text;
  }
  OrderedJson sequence = OrderedJson::array();
  if (pre_.isolate_digits) sequence.push_back({{"type", "Digits"}, {"individual_digits", true}});
  const bool built_in = pre_.split == WordSplit::kGpt2;
  if (!built_in && pre_.split != WordSplit::kNone) {
    sequence.push_back({{"type", "Split"},
                        {"pattern", {{"Regex", word_split_regex(pre_.split)}}},
                        {"behavior", "Isolated"},
                        {"invert", false}});
  }
  const OrderedJson byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", pre_.add_prefix_space}, {"trim_offsets", true}, {"use_regex", built_in}};
  sequence.push_back(byte_level);
  const OrderedJson pre = sequence.size() == 1 ? byte_level : OrderedJson{{"type", "Sequence"}, {"pretokenizers", sequence}};
  const OrderedJson normalizer = pre_.normalise_nfc ? OrderedJson{{"type", "NFC"}} : OrderedJson();
  const OrderedJson decoder = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  Model model;
  model.ignore_merges = whole_words_first_;
  return tokenizer_json(added_tokens_json(*this), normalizer, pre, decoder, model, vocabulary_json(spellings),
                        merges_json(merges_.list(), spellings));
}

Result<std::string> PieceBpeTokenizer::to_json() const {
  const std::string block = "\xE2\x96\x81";
  if (options_.squeeze_spaces) {
    return make_status(Code::kUnimplemented, "a tokenizer that removes extra white space has no tokenizer.json form here");
  }
  std::vector<std::string> spellings(model_size_);
  Model model;
  for (size_t id = 0; id < model_size_; ++id) {
    const Piece& piece = pieces_[id];
    std::string& spelling = spellings[id];
    spelling = piece.text;
    if (piece.type == PieceType::kUnused) spelling.clear();
    if (piece.type == PieceType::kByte) {
      spelling = fmt::format("<0x{:02X}>", static_cast<uint8_t>(piece.text[0]));
      model.byte_fallback = true;
    } else if (piece.type == PieceType::kNormal && options_.dummy_prefix) {
      for (size_t at = 0; (at = spelling.find(' ', at)) != std::string::npos; at += block.size())
        spelling.replace(at, 1, block);
    }
  }
  if (options_.unknown >= 0) model.unknown_token = spellings[static_cast<size_t>(options_.unknown)];
  model.fuse_unknown = options_.fuse_unknown;
  OrderedJson normalizer, pre, decoder = {{"type", "Fuse"}};
  if (options_.dummy_prefix) {
    const OrderedJson replace = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", block}};
    const OrderedJson back = {{"type", "Replace"}, {"pattern", {{"String", block}}}, {"content", " "}};
    if (options_.prefix_unless_space) {
      const char* scheme = options_.prefix_every_piece ? "always" : "first";
      pre = {{"type", "Metaspace"}, {"replacement", block}, {"prepend_scheme", scheme}, {"split", false}};
    } else {
      // The format's other spelling puts the space before the pieces after an added token too; there is none that does not.
      normalizer = {{"type", "Sequence"},
                    {"normalizers", OrderedJson::array({{{"type", "Prepend"}, {"prepend", block}}, replace})}};
    }
    decoder = {{"type", "Sequence"},
               {"decoders", OrderedJson::array({back,
                                                {{"type", "ByteFallback"}},
                                                {{"type", "Fuse"}},
                                                {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}})}};
  }
  return tokenizer_json(added_tokens_json(*this), normalizer, pre, decoder, model, vocabulary_json(spellings),
                        merges_json(merges_.list(), spellings));
}

}  // namespace bgl::text
