// Reader of Hugging Face's tokenizer.json. The file describes a pipeline (normalizer, pre-tokenizer, model, post-processor,
// decoder); we read the pipelines of byte-level BPE and of BPE over characters, and refuse any other by name, because a stage
// that is ignored gives wrong ids without a word.
#include <nlohmann/json.hpp>

#include "text/files/atomic_file.h"
#include "text/tokenizers/internal/byte_alphabet.h"
#include "text/tokenizers/internal/byte_bpe.h"
#include "text/tokenizers/internal/piece_bpe.h"
#include "text/tokenizers/internal/tokenizer_files.h"

namespace bgl::text {
namespace {

using Json = nlohmann::json;
constexpr std::string_view kMetaspace = "\xE2\x96\x81";

std::string string_at(const Json& object, const char* key, const std::string& fallback = "") {
  const auto it = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && it != object.end() && it->is_string() ? it->get<std::string>() : fallback;
}
bool bool_at(const Json& object, const char* key, bool fallback) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && it != object.end() && it->is_boolean() ? it->get<bool>() : fallback;
}
const Json& member(const Json& object, const char* key) {
  static const Json null;
  const auto it = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && it != object.end() ? *it : null;
}

// The stages of a normalizer, pre-tokenizer or decoder, with Sequence taken apart.
void flatten(const Json& stage, const char* list, std::vector<const Json*>& out) {
  if (stage.is_null()) return;
  if (string_at(stage, "type") != "Sequence") {
    out.push_back(&stage);
    return;
  }
  for (const Json& inner : member(stage, list)) flatten(inner, list, out);
}
std::vector<const Json*> stages(const Json& stage, const char* list) {
  std::vector<const Json*> out;
  flatten(stage, list, out);
  return out;
}

struct ParsedModel {
  std::vector<std::string> spellings;  // by id; empty: unused
  std::unordered_map<std::string, int32_t> ids;
  std::vector<BpeMerges::Merge> merges;
};

Status parse_vocabulary(const std::string& path, const Json& model, ParsedModel& out) {
  const Json& vocabulary = member(model, "vocab");
  if (!vocabulary.is_object()) return data_loss("{}: model.vocab is not an object", path);
  for (const auto& [spelling, id] : vocabulary.items()) {
    const int64_t n = id.is_number_integer() ? id.get<int64_t>() : -1;
    if (n < 0 || n >= 100'000'000) return data_loss("{}: token '{}' has no usable id", path, spelling);
    if (static_cast<size_t>(n) >= out.spellings.size()) out.spellings.resize(static_cast<size_t>(n) + 1);
    if (!out.spellings[static_cast<size_t>(n)].empty()) {
      return data_loss("{}: tokens '{}' and '{}' share id {}", path, out.spellings[static_cast<size_t>(n)], spelling, n);
    }
    out.spellings[static_cast<size_t>(n)] = spelling;
    out.ids[spelling] = static_cast<int32_t>(n);
  }
  return {};
}

// Merges are "left right" in older files and ["left", "right"] in newer ones.
Status parse_merges(const std::string& path, const Json& model, ParsedModel& out) {
  const Json& merges = member(model, "merges");
  if (!merges.is_array()) return data_loss("{}: model.merges is not an array", path);
  for (size_t i = 0; i < merges.size(); ++i) {
    std::string left, right;
    if (merges[i].is_string()) {
      const std::string text = merges[i].get<std::string>();
      const size_t space = text.find(' ');
      if (space == std::string::npos) return data_loss("{}: merge {} ('{}') has no space", path, i, text);
      left = text.substr(0, space), right = text.substr(space + 1);
    } else if (merges[i].is_array() && merges[i].size() == 2 && merges[i][0].is_string() && merges[i][1].is_string()) {
      left = merges[i][0].get<std::string>(), right = merges[i][1].get<std::string>();
    } else {
      return data_loss("{}: merge {} is neither \"left right\" nor [\"left\", \"right\"]", path, i);
    }
    const auto l = out.ids.find(left), r = out.ids.find(right), m = out.ids.find(left + right);
    if (l == out.ids.end() || r == out.ids.end() || m == out.ids.end()) {
      return data_loss("{}: merge {} ('{}' + '{}') uses a token that the vocabulary lacks", path, i, left, right);
    }
    out.merges.push_back({l->second, r->second, m->second});
  }
  return {};
}

Result<ParsedModel> parse_model(const std::string& path, const Json& model) {
  const std::string type = string_at(model, "type", "BPE");
  if (type != "BPE") {
    return make_status(Code::kUnimplemented, "{}: model type '{}' is not supported (only BPE is)", path, type);
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!string_at(model, key).empty()) {
      return make_status(Code::kUnimplemented, "{}: model.{} '{}' is not supported", path, key, string_at(model, key));
    }
  }
  if (const Json& dropout = member(model, "dropout"); dropout.is_number() && dropout.get<double>() != 0) {
    return make_status(Code::kUnimplemented, "{}: model.dropout is not supported", path);
  }
  ParsedModel out;
  BGL_TRY(parse_vocabulary(path, model, out));
  BGL_TRY(parse_merges(path, model, out));
  return out;
}

Result<std::vector<AddedToken>> parse_added(const std::string& path, const Json& root) {
  std::vector<AddedToken> out;
  for (const Json& item : member(root, "added_tokens")) {
    const Json& id = member(item, "id");
    AddedToken token;
    token.text = string_at(item, "content");
    if (!id.is_number_integer() || token.text.empty())
      return data_loss("{}: added token {} lacks id or content", path, out.size());
    if (bool_at(item, "single_word", false)) {
      return make_status(Code::kUnimplemented, "{}: added token '{}' is single_word, which is not supported", path, token.text);
    }
    const int64_t n = id.get<int64_t>();
    if (n < 0 || n >= 100'000'000) return data_loss("{}: added token '{}' has no usable id", path, token.text);
    token.id = static_cast<int32_t>(n);
    token.special = bool_at(item, "special", false);
    token.lstrip = bool_at(item, "lstrip", false);
    token.rstrip = bool_at(item, "rstrip", false);
    out.push_back(std::move(token));
  }
  return out;
}

Result<PreTokenizer> parse_byte_level(const std::string& path, const Json& root) {
  PreTokenizer pre;
  pre.split = WordSplit::kNone;
  for (const Json* stage : stages(member(root, "normalizer"), "normalizers")) {
    const std::string type = string_at(*stage, "type");
    if (type != "NFC") return make_status(Code::kUnimplemented, "{}: normalizer '{}' is not supported", path, type);
    pre.normalise_nfc = true;
  }
  for (const Json* stage : stages(member(root, "pre_tokenizer"), "pretokenizers")) {
    const std::string type = string_at(*stage, "type");
    if (type == "ByteLevel") {
      pre.add_prefix_space = bool_at(*stage, "add_prefix_space", true);
      if (bool_at(*stage, "use_regex", true)) {
        if (pre.split != WordSplit::kNone) return make_status(Code::kUnimplemented, "{}: two word splits in a row", path);
        pre.split = WordSplit::kGpt2;
      }
    } else if (type == "Split") {
      const std::string regex = string_at(member(*stage, "pattern"), "Regex");
      const std::string behavior = string_at(*stage, "behavior");
      const bool covers = behavior == "Isolated" || (behavior == "Removed" && bool_at(*stage, "invert", false));
      if (pre.split != WordSplit::kNone || !covers || !word_split_of_regex(regex, pre.split)) {
        return make_status(Code::kUnimplemented, "{}: no scanner for the pre-tokenizer's pattern {}", path,
                           member(*stage, "pattern").dump());
      }
    } else if (type == "Digits" && bool_at(*stage, "individual_digits", false) && pre.split == WordSplit::kNone) {
      pre.isolate_digits = true;
    } else {
      return make_status(Code::kUnimplemented, "{}: pre-tokenizer '{}' is not supported", path, type);
    }
  }
  return pre;
}

Result<std::unique_ptr<Tokenizer>> make_byte_level(const std::string& path, const Json& root, ParsedModel model,
                                                   std::vector<AddedToken> added) {
  ByteBpeTokenizer::Parts parts;
  BGL_ASSIGN(parts.pre, parse_byte_level(path, root));
  parts.whole_words_first = bool_at(member(root, "model"), "ignore_merges", false);
  parts.merges = std::move(model.merges);
  parts.pieces.resize(model.spellings.size());
  for (size_t id = 0; id < model.spellings.size(); ++id) {
    const std::string& spelling = model.spellings[id];
    // An added token is in the vocabulary by its plain text.
    const bool is_added = std::any_of(added.begin(), added.end(), [&](const AddedToken& t) {
      return t.id == static_cast<int32_t>(id) && t.text == spelling;
    });
    if (is_added) continue;
    const std::optional<std::string> bytes = unspell_bytes(spelling);
    if (!bytes) return data_loss("{}: token {} ('{}') is not spelled in the byte alphabet", path, id, spelling);
    parts.pieces[id] = *bytes;
  }
  BGL_ASSIGN(std::unique_ptr<ByteBpeTokenizer> out, ByteBpeTokenizer::create(std::move(parts), std::move(added), path));
  return std::unique_ptr<Tokenizer>(std::move(out));
}

// SentencePiece's space mark in `text` becomes a space.
std::string without_metaspace(std::string text) {
  for (size_t at = 0; (at = text.find(kMetaspace, at)) != std::string::npos; ++at) text.replace(at, kMetaspace.size(), " ");
  return text;
}

// The stages around a BPE over characters: none, or SentencePiece's handling of spaces in either of its two spellings.
Status parse_piece_stages(const std::string& path, const Json& root, PieceBpeTokenizer::Parts& parts) {
  for (const Json* stage : stages(member(root, "normalizer"), "normalizers")) {
    const std::string type = string_at(*stage, "type");
    if (type == "Prepend" && string_at(*stage, "prepend") == kMetaspace) {
      parts.dummy_prefix = parts.prefix_every_piece = true;
    } else if (type == "Replace" && string_at(member(*stage, "pattern"), "String") == " " &&
               string_at(*stage, "content") == kMetaspace) {
      parts.fold_block = true;
    } else {
      return make_status(Code::kUnimplemented, "{}: normalizer '{}' is not supported", path, type);
    }
  }
  for (const Json* stage : stages(member(root, "pre_tokenizer"), "pretokenizers")) {
    const std::string type = string_at(*stage, "type");
    const std::string scheme =
        string_at(*stage, "prepend_scheme", bool_at(*stage, "add_prefix_space", true) ? "always" : "never");
    if (type != "Metaspace" || bool_at(*stage, "split", true) || string_at(*stage, "replacement") != kMetaspace) {
      return make_status(Code::kUnimplemented, "{}: pre-tokenizer '{}' is not supported before BPE over characters", path,
                         type);
    }
    parts.fold_block = true;
    parts.dummy_prefix = scheme != "never";
    parts.prefix_every_piece = scheme == "always";
    parts.prefix_unless_space = true;
  }
  return {};
}

Result<std::unique_ptr<Tokenizer>> make_piece_level(const std::string& path, const Json& root, ParsedModel model,
                                                    std::vector<AddedToken> added) {
  const Json& json = member(root, "model");
  PieceBpeTokenizer::Parts parts;
  BGL_TRY(parse_piece_stages(path, root, parts));
  const bool byte_fallback = bool_at(json, "byte_fallback", false);
  parts.fuse_unknown = bool_at(json, "fuse_unk", false);
  for (size_t id = 0; id < model.spellings.size(); ++id) {
    const std::string& spelling = model.spellings[id];
    PieceBpeTokenizer::Piece piece{spelling, spelling.empty() ? PieceType::kUnused : PieceType::kNormal};
    unsigned byte = 0;
    if (byte_fallback && spelling.size() == 6 && std::sscanf(spelling.c_str(), "<0x%2X>", &byte) == 1) {
      piece = {std::string(1, static_cast<char>(byte)), PieceType::kByte};
    } else if (parts.fold_block) {
      piece.text = without_metaspace(spelling);
    }
    parts.pieces.push_back(std::move(piece));
  }
  for (const AddedToken& token : added) {
    if (static_cast<size_t>(token.id) >= parts.pieces.size()) continue;
    parts.pieces[static_cast<size_t>(token.id)] = {token.text, token.special ? PieceType::kControl : PieceType::kUserDefined};
  }
  if (const auto it = model.ids.find(string_at(json, "unk_token")); it != model.ids.end()) {
    parts.unknown = it->second;
    parts.pieces[static_cast<size_t>(it->second)].type = PieceType::kUnknown;
  }
  parts.merges = std::move(model.merges);
  BGL_ASSIGN(std::unique_ptr<PieceBpeTokenizer> out, PieceBpeTokenizer::create(std::move(parts), std::move(added), path));
  return std::unique_ptr<Tokenizer>(std::move(out));
}

// The text of a mark in tokenizer_config.json: a string, or an added token's object.
std::string mark_text(const Json& config, const char* key) {
  const Json& value = member(config, key);
  return value.is_string() ? value.get<std::string>() : string_at(value, "content");
}

// Begin and end marks: tokenizer_config.json says; without it the post-processor's template and the usual names do.
void find_marks(const Json& root, const Json& config, Tokenizer& out) {
  std::optional<int32_t> bos, eos;
  bool adds_bos = false;
  for (const Json* stage : stages(member(root, "post_processor"), "processors")) {
    const Json& single = member(*stage, "single");
    if (string_at(*stage, "type") != "TemplateProcessing" || !single.is_array() || single.empty()) continue;
    bos = out.special_id(string_at(member(single[0], "SpecialToken"), "id"));
    adds_bos = bos.has_value();
  }
  const auto first_known = [&](std::initializer_list<const char*> names) {
    for (const char* name : names) {
      if (const std::optional<int32_t> id = out.special_id(name)) return id;
    }
    return std::optional<int32_t>();
  };
  if (config.is_object()) {
    if (config.contains("bos_token")) bos = out.special_id(mark_text(config, "bos_token"));
    eos = out.special_id(mark_text(config, "eos_token"));
    adds_bos = bool_at(config, "add_bos_token", adds_bos) && bos.has_value();
  } else {
    if (!bos) bos = first_known({"<|begin_of_text|>", "<s>", "<|startoftext|>", "<bos>", "<|endoftext|>"});
    eos = first_known({"<|end_of_text|>", "</s>", "<eos>", "<|endoftext|>", "<|im_end|>"});
  }
  out.set_marks(bos, eos, adds_bos);
}

bool is_byte_level(const Json& root) {
  for (const Json* stage : stages(member(root, "pre_tokenizer"), "pretokenizers")) {
    if (string_at(*stage, "type") == "ByteLevel") return true;
  }
  for (const Json* stage : stages(member(root, "decoder"), "decoders")) {
    if (string_at(*stage, "type") == "ByteLevel") return true;
  }
  return false;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> load_tokenizer_json(const std::string& path) {
  BGL_ASSIGN(const std::string text, read_file(path));
  const Json root = Json::parse(text, nullptr, false);
  if (!root.is_object()) return data_loss("{}: not a JSON object", path);
  BGL_ASSIGN(ParsedModel model, parse_model(path, member(root, "model")));
  BGL_ASSIGN(std::vector<AddedToken> added, parse_added(path, root));
  Result<std::unique_ptr<Tokenizer>> out = is_byte_level(root)
                                               ? make_byte_level(path, root, std::move(model), std::move(added))
                                               : make_piece_level(path, root, std::move(model), std::move(added));
  if (!out.ok()) return out;
  const size_t slash = path.rfind('/');
  const std::string config_path = (slash == std::string::npos ? "" : path.substr(0, slash + 1)) + "tokenizer_config.json";
  const Result<std::string> config = read_file(config_path);
  find_marks(root, config.ok() ? Json::parse(*config, nullptr, false) : Json(), **out);
  return out;
}

}  // namespace bgl::text
