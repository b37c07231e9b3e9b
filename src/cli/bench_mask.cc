// What JSON answers cost a token: the mask of what may come next, with vocabularies of the sizes of GPT-2 and Qwen2.5, over a nested text. A first
// answer meets the states of the grammar; later ones find them.
#include <algorithm>
#include <set>
#include <unordered_map>

#include "cli/bench.h"
#include "serve/automaton.h"
#include "serve/json_grammar.h"
#include "serve/sampler.h"

namespace bgl::cli {
namespace {

// Bytes, pieces of JSON, and made words, most of them behind a space, as trained vocabularies have.
class MadeVocabulary final : public text::Tokenizer {
 public:
  explicit MadeVocabulary(int32_t size) {
    std::set<std::string> words = {"{\"", "\":", "\": ", "\", \"", "\"}", "}}", "]}", "}, {\"", "true", "null", "  ", "    ", "\n", "\n  ", "\n    ", "12", "2024"};
    uint64_t x = 7;
    const auto draw = [&x](uint64_t n) { return (x = x * 6364136223846793005u + 1442695040888963407u) >> 33 & (n - 1); };
    while (static_cast<int32_t>(words.size()) < size - 256) {
      std::string word = draw(4) > 0 ? " " : "";
      for (uint64_t i = 0, n = 2 + draw(8); i < n; ++i) word += "etaoinshrdlcumwfgypbvkjxqzETAIN0"[draw(32)];
      words.insert(std::move(word));
    }
    for (int b = 0; b < 256; ++b) pieces_.push_back(std::string(1, static_cast<char>(b)));
    pieces_.insert(pieces_.end(), words.begin(), words.end());
    for (size_t i = 0; i < pieces_.size(); ++i) id_of_[pieces_[i]] = static_cast<int32_t>(i);
  }
  std::string token_bytes(int32_t id) const override { return pieces_[static_cast<size_t>(id)]; }
  int32_t vocab_size() const override { return static_cast<int32_t>(pieces_.size()); }
  Result<std::string> to_json() const override { return std::string(); }
  // The longest piece, again and again.
  std::vector<int32_t> greedy(std::string_view text) const {
    std::vector<int32_t> out;
    while (!text.empty()) {
      size_t n = std::min<size_t>(text.size(), 16);
      while (!id_of_.count(std::string(text.substr(0, n)))) --n;
      out.push_back(id_of_.at(std::string(text.substr(0, n))));
      text.remove_prefix(n);
    }
    return out;
  }

 private:
  void encode_piece(std::string_view piece, bool, std::vector<int32_t>& out) const override { out = greedy(piece); }
  std::vector<std::string> pieces_;
  std::unordered_map<std::string, int32_t> id_of_;
};

constexpr const char* kText =
    R"({"name": "an answer of some length", "tags": ["first", "second", "the third"], "size": 1204.5, "parts": [{"id": 17, "note": "words, words and words"},
    {"id": 18, "note": "more of them", "inner": {"deep": [1, 2, 3], "flag": true, "none": null}}], "end": "an end"})";

// Seconds of every mask along the text.
std::vector<double> mask_times(serve::Pushdown p, const std::vector<int32_t>& tokens, std::vector<float>& logits) {
  std::vector<double> out;
  for (const int32_t t : tokens) {
    std::fill(logits.begin(), logits.end(), 0.0F);
    const double start = seconds_now();
    p.mask(logits, 1000, {});
    out.push_back(seconds_now() - start);
    if (!p.take(t)) break;
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

BenchResults bench_mask(const lang::Rates&) {
  std::vector<BenchResult> results;
  for (const int32_t size : {50257, 151936}) {
    const MadeVocabulary tokenizer(size);
    const auto vocabulary = std::make_shared<const serve::ByteVocabulary>(tokenizer);
    const std::vector<int32_t> tokens = tokenizer.greedy(kText);
    std::vector<float> logits(static_cast<size_t>(size));
    const auto automaton = std::make_shared<serve::Automaton>(serve::json_object_grammar(), vocabulary);
    const auto first = mask_times(serve::Pushdown(automaton), tokens, logits), later = mask_times(serve::Pushdown(automaton), tokens, logits);
    if (first.size() != tokens.size()) return make_status(Code::kInternal, "the text is cut at token {} of {}", first.size(), tokens.size());
    const double n = static_cast<double>(tokens.size());
    const auto add = [&](const char* what, double seconds) { results.push_back({.name = fmt::format("{}_{}", what, size), .value = 1e6 * seconds, .unit = "us a token"}); };
    const auto sum = [](const std::vector<double>& v) {
      double s = 0;
      for (const double x : v) s += x;
      return s;
    };
    add("first_answer_mean", sum(first) / n);
    add("first_answer_most", first.back());
    add("later_answers_mean", sum(later) / n);
    add("later_answers_most", later.back());
    ops::Generator generator;
    add("sampling_beside", least_seconds(0.2, [&] { serve::sample(logits, {1.0, 0.95, 0}, generator); }));
  }
  return results;
}

}  // namespace bgl::cli
