// GPT-2's own two files.
//
//   encoder.json (vocab.json)   {"<token in the byte alphabet>": id, ...}
//   vocab.bpe (merges.txt)      "#version: ..." and then a merge a line, best first: "<left> <right>"
#include <nlohmann/json.hpp>

#include "text/files/atomic_file.h"
#include "text/tokenizers/internal/byte_alphabet.h"
#include "text/tokenizers/internal/byte_bpe.h"
#include "text/tokenizers/internal/tokenizer_files.h"

namespace bgl::text {
namespace {

struct Gpt2Vocabulary {
  std::vector<std::string> pieces;
  std::unordered_map<std::string, int32_t> ids;  // by spelling
};

Result<Gpt2Vocabulary> read_gpt2_vocabulary(const std::string& path) {
  BGL_ASSIGN(const std::string text, read_file(path));
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return data_loss("{}: not a JSON object", path);
  Gpt2Vocabulary out;
  for (const auto& [spelling, id] : json.items()) {
    const int64_t n = id.is_number_integer() ? id.get<int64_t>() : -1;
    if (n < 0 || n >= 100'000'000) return data_loss("{}: token '{}' has no usable id", path, spelling);
    const std::optional<std::string> bytes = unspell_bytes(spelling);
    if (!bytes) return data_loss("{}: token '{}' is not spelled in GPT-2's byte alphabet", path, spelling);
    if (static_cast<size_t>(n) >= out.pieces.size()) out.pieces.resize(static_cast<size_t>(n) + 1);
    out.pieces[static_cast<size_t>(n)] = *bytes;
    out.ids[spelling] = static_cast<int32_t>(n);
  }
  return out;
}

Result<std::vector<BpeMerges::Merge>> read_gpt2_merges(const std::string& path, const Gpt2Vocabulary& vocabulary) {
  BGL_ASSIGN(const std::string text, read_file(path));
  std::vector<BpeMerges::Merge> merges;
  int line_number = 0;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find('\n', at);
    if (end == std::string::npos) end = text.size();
    std::string line = text.substr(at, end - at);
    at = end + 1;
    ++line_number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line.rfind("#version", 0) == 0) continue;
    const size_t space = line.find(' ');
    if (space == std::string::npos) return data_loss("{}:{}: a merge is two tokens with a space between", path, line_number);
    const auto left = vocabulary.ids.find(line.substr(0, space)), right = vocabulary.ids.find(line.substr(space + 1));
    const auto merged = vocabulary.ids.find(line.substr(0, space) + line.substr(space + 1));
    if (left == vocabulary.ids.end() || right == vocabulary.ids.end() || merged == vocabulary.ids.end()) {
      return data_loss("{}:{}: the merge '{}' uses a token that the vocabulary lacks", path, line_number, line);
    }
    merges.push_back({left->second, right->second, merged->second});
  }
  return merges;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> load_gpt2(const std::string& vocabulary_path, const std::string& merges_path) {
  BGL_ASSIGN(Gpt2Vocabulary vocabulary, read_gpt2_vocabulary(vocabulary_path));
  BGL_ASSIGN(std::vector<BpeMerges::Merge> merges, read_gpt2_merges(merges_path, vocabulary));
  std::vector<AddedToken> added;
  std::optional<int32_t> end;
  if (const auto it = vocabulary.ids.find("<|endoftext|>"); it != vocabulary.ids.end()) {
    added.push_back({"<|endoftext|>", it->second});
    end = it->second;
  }
  ByteBpeTokenizer::Parts parts;
  parts.pieces = std::move(vocabulary.pieces);
  parts.merges = std::move(merges);
  BGL_ASSIGN(std::unique_ptr<ByteBpeTokenizer> out,
             ByteBpeTokenizer::create(std::move(parts), std::move(added), vocabulary_path));
  out->set_marks(end, end, false);
  return std::unique_ptr<Tokenizer>(std::move(out));
}

}  // namespace bgl::text
