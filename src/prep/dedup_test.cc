#include "prep/dedup.h"

#include <gtest/gtest.h>

#include <random>

#include "prep/planted.h"

namespace bgl::prep {
namespace {

std::vector<std::string> random_words(std::mt19937& random, size_t n) {
  std::vector<std::string> out;
  for (size_t i = 0; i < n; ++i) out.push_back("w" + std::to_string(random() % 5000));
  return out;
}
std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& w : words) out += w + " ";
  return out;
}
struct Made {
  Signature signature;
  uint32_t domain = 0;
};
Made item(const std::string& text, uint32_t domain = 0) { return {signature_of(text, DedupConfig{}), domain}; }

std::vector<Verdict> judged(const std::vector<Made>& items, const DedupConfig& config, double heldout_share,
                            int64_t memory_bytes = 1 << 30) {
  const EachItem each = [&](const std::function<void(const DedupItem&)>& fn) -> Status {
    for (const Made& made : items) fn({made.signature.exact, made.signature.bands, made.domain});
    return {};
  };
  return judge_duplicates(each, config, {static_cast<int64_t>(items.size()), heldout_share, memory_bytes}).value();
}

TEST(Dedup, NormalisationForgetsCaseAndPunctuation) {
  EXPECT_EQ(normalised_text("  The HEART, (of\n\xEF\xBC\xA1 man)!"), "the heart of a man");
  EXPECT_EQ(signature_of("A b.", {}).exact, signature_of("a B", {}).exact);
}

TEST(Dedup, MeetsAsOftenAsTheTheorySays) {
  std::mt19937 random(11);
  int alike = 0, alike_met = 0, unlike = 0, unlike_met = 0;
  for (int pair = 0; pair < 300; ++pair) {
    const std::vector<std::string> a = random_words(random, 200);
    std::vector<std::string> b = a;
    const size_t edits = pair % 2 ? 3 : 40;
    for (size_t e = 0; e < edits; ++e) b[random() % b.size()] = "x" + std::to_string(random());
    const double similarity = jaccard(a, b, 5);
    const Signature sa = signature_of(joined(a), {}), sb = signature_of(joined(b), {});
    bool met = false;
    for (size_t band = 0; band < sa.bands.size(); ++band) met = met || sa.bands[band] == sb.bands[band];
    if (similarity > 0.85) ++alike, alike_met += met;
    if (similarity < 0.4) ++unlike, unlike_met += met;
  }
  ASSERT_GT(alike, 50);
  ASSERT_GT(unlike, 50);
  EXPECT_GE(alike_met, alike * 96 / 100);
  EXPECT_LE(unlike_met, unlike * 4 / 100);
}

TEST(Dedup, PlantedDuplicatesAreFoundAndNothingElse) {
  const DuplicateScore score = score_duplicates(plant_duplicates(400, 17), DedupConfig{}).value();
  EXPECT_EQ(score.exact_recall, 1);
  EXPECT_GE(score.near_recall, 0.95);
  EXPECT_GE(score.precision, 0.98);
  // The score tells a detector that finds less from one that finds too much.
  DedupConfig exact_only;
  exact_only.near = false;
  EXPECT_EQ(score_duplicates(plant_duplicates(50, 18), exact_only).value().near_recall, 0);
  DedupConfig anything;
  anything.rows = 1;
  EXPECT_LT(score_duplicates(plant_duplicates(50, 18), anything).value().precision, 0.98);
}

TEST(Dedup, KeepsTheFirstOfEachGroup) {
  std::mt19937 random(5);
  std::vector<std::string> words = random_words(random, 300);
  const std::string a = joined(words);
  words[10] = "changed";
  const std::string near_a = joined(words);
  const std::string other = joined(random_words(random, 300));
  const std::vector<Made> items = {item(a), item(other), item(a), item(near_a)};
  EXPECT_EQ(judged(items, {}, 0.0),
            (std::vector<Verdict>{Verdict::kTrain, Verdict::kTrain, Verdict::kExactDuplicate, Verdict::kNearDuplicate}));
  DedupConfig only_exact;
  only_exact.near = false;
  EXPECT_EQ(judged(items, only_exact, 0.0)[3], Verdict::kTrain);
}

TEST(Dedup, NothingLikeAHeldOutDocumentTrains) {
  std::mt19937 random(9);
  std::vector<Made> items;
  for (int i = 0; i < 200; ++i) {
    std::vector<std::string> words = random_words(random, 120);
    items.push_back(item(joined(words)));
    words[60] = "edited";
    items.push_back(item(joined(words)));
  }
  const std::vector<Verdict> verdicts = judged(items, {}, 0.2);
  int heldout = 0, like = 0;
  for (size_t i = 0; i < items.size(); i += 2) {
    const bool any_heldout = verdicts[i] == Verdict::kHeldout || verdicts[i + 1] == Verdict::kHeldout;
    const bool any_train = verdicts[i] == Verdict::kTrain || verdicts[i + 1] == Verdict::kTrain;
    bool met = false;
    for (size_t b = 0; b < 14; ++b) met = met || items[i].signature.bands[b] == items[i + 1].signature.bands[b];
    if (met) {
      EXPECT_FALSE(any_heldout && any_train) << "pair " << i / 2;
    }
    heldout += any_heldout;
    like += verdicts[i] == Verdict::kLikeHeldout || verdicts[i + 1] == Verdict::kLikeHeldout;
  }
  EXPECT_GT(heldout, 40);
  EXPECT_GT(like, 20);
  for (const int64_t memory : {1, 2000, 20000}) EXPECT_EQ(judged(items, {}, 0.2, memory), verdicts) << memory;
}

TEST(Dedup, EveryDomainHasSomethingHeldOut) {
  std::vector<Made> items;
  for (int i = 0; i < 6; ++i) items.push_back(item("text number " + std::to_string(i * 7919), static_cast<uint32_t>(i / 3)));
  const std::vector<Verdict> verdicts = judged(items, {}, 1e-9);
  EXPECT_EQ(std::count(verdicts.begin(), verdicts.begin() + 3, Verdict::kHeldout), 1);
  EXPECT_EQ(std::count(verdicts.begin() + 3, verdicts.end(), Verdict::kHeldout), 1);
  const std::vector<Verdict> none = judged(items, {}, 0);
  EXPECT_EQ(std::count(none.begin(), none.end(), Verdict::kHeldout), 0);
}

}  // namespace
}  // namespace bgl::prep
