#include "prep/planted.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "prep/dedup.h"

namespace bgl::prep {
namespace {

constexpr size_t kShingle = 5;
using Words = std::vector<std::string>;

// Words whose frequencies follow Zipf's law.
class Author {
 public:
  explicit Author(uint64_t seed) : random_(seed) {}
  std::string word() {
    const double u = static_cast<double>(random_() >> 11) * 0x1p-53;
    return spelled(static_cast<uint64_t>(std::exp(u * std::log(30000.0))));
  }
  Words words(size_t count) {
    Words out;
    while (out.size() < count) out.push_back(word());
    return out;
  }
  size_t below(size_t n) { return static_cast<size_t>(random_() % n); }
  // A word that no text has yet.
  std::string fresh() { return "x" + spelled(1000000 + ++fresh_); }

 private:
  static std::string spelled(uint64_t number) {
    std::string out;
    for (; number > 0; number /= 20) out += std::string(1, "bcdfghklmnprstvwzjqx"[number % 20]) + "aeiou"[number % 5];
    return out.empty() ? "a" : out;
  }
  std::mt19937_64 random_;
  uint64_t fresh_ = 0;
};

std::string joined(const Words& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

// The same words to a reader: what normalisation forgets is changed.
std::string dressed(const Words& words) {
  std::string out;
  for (size_t i = 0; i < words.size(); ++i) {
    std::string word = words[i];
    if (i % 9 == 0) word[0] = static_cast<char>(word[0] - 'a' + 'A');
    out += word + (i % 9 == 8 ? ".\n" : i % 4 == 3 ? ", " : "  ");
  }
  return out;
}

Words edited(const Words& original, Author& author) {
  Words out;
  // Each changed word costs up to kShingle shingles on both sides; one by one until the similarity is met.
  do {
    out = original;
    while (jaccard(original, out, kShingle) > 0.91) out[author.below(out.size())] = author.fresh();
  } while (jaccard(original, out, kShingle) < 0.88);
  return out;
}

}  // namespace

double jaccard(const std::vector<std::string>& a, const std::vector<std::string>& b, size_t n) {
  const auto shingles = [n](const Words& words) {
    std::set<Words> out;
    for (size_t i = 0; i + n <= words.size(); ++i)
      out.insert({words.begin() + static_cast<std::ptrdiff_t>(i), words.begin() + static_cast<std::ptrdiff_t>(i + n)});
    return out;
  };
  const std::set<Words> x = shingles(a), y = shingles(b);
  size_t common = 0;
  for (const Words& s : x) common += y.count(s);
  return static_cast<double>(common) / static_cast<double>(x.size() + y.size() - common);
}

Planted plant_duplicates(size_t originals, uint64_t seed) {
  Author author(seed);
  std::vector<Words> texts;
  for (size_t i = 0; i < originals; ++i) texts.push_back(author.words(200 + author.below(401)));
  Planted out;
  const auto add = [&](std::string text, Planted::Kind kind) {
    out.texts.push_back(std::move(text));
    out.kinds.push_back(kind);
  };
  for (const Words& text : texts) add(joined(text), Planted::Kind::kOriginal);
  for (const Words& text : texts) {
    add(dressed(text), Planted::Kind::kExact);
    add(joined(edited(text, author)), Planted::Kind::kNear);
    // 0.57 of one text among as many words: 0.57 / (2 - 0.57) = 0.4.
    Words alike = author.words(text.size());
    std::copy_n(text.begin(), text.size() * 57 / 100, alike.begin());
    add(joined(alike), Planted::Kind::kAlike);
  }
  return out;
}

Result<DuplicateScore> score_duplicates(const Planted& planted, const DedupConfig& config) {
  std::vector<Signature> signatures;
  for (const std::string& text : planted.texts) signatures.push_back(signature_of(text, config));
  const EachItem each = [&](const std::function<void(const DedupItem&)>& fn) -> Status {
    for (const Signature& s : signatures) fn({s.exact, s.bands, 0});
    return {};
  };
  BGL_ASSIGN(const std::vector<Verdict> verdicts,
             judge_duplicates(each, config, {.count = static_cast<int64_t>(signatures.size())}));
  double kept_by_kind[4] = {}, dropped_by_kind[4] = {};
  for (size_t i = 0; i < verdicts.size(); ++i)
    (verdicts[i] == Verdict::kTrain ? kept_by_kind : dropped_by_kind)[static_cast<size_t>(planted.kinds[i])] += 1;
  const auto recall = [&](Planted::Kind kind) {
    const auto k = static_cast<size_t>(kind);
    return dropped_by_kind[k] / std::max(1.0, kept_by_kind[k] + dropped_by_kind[k]);
  };
  const double right = dropped_by_kind[1] + dropped_by_kind[2], all = right + dropped_by_kind[0] + dropped_by_kind[3];
  return DuplicateScore{recall(Planted::Kind::kExact), recall(Planted::Kind::kNear), all > 0 ? right / all : 1};
}

}  // namespace bgl::prep
