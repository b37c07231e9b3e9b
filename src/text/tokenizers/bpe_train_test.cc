#include "text/tokenizers/bpe_train.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace bgl::text {
namespace {

std::unique_ptr<Tokenizer> trained(const std::vector<std::string>& documents, int32_t vocab_size, int64_t min_count) {
  BpeTrainer trainer({.vocab_size = vocab_size, .min_count = min_count, .marks = {"<|endoftext|>"}});
  for (const std::string& document : documents) trainer.add(document);
  Result<std::unique_ptr<Tokenizer>> out = trainer.train();
  EXPECT_TRUE(out.ok()) << out.status().message();
  return std::move(*out);
}

// The definition, without any index: recount all pairs after every merge.
std::vector<std::string> naive_merges(const std::map<std::string, int64_t>& word_counts, size_t merges) {
  std::vector<std::pair<std::vector<std::string>, int64_t>> words;
  std::map<std::string, int32_t> ids;  // lower-case letters only: their order is that of the bytes
  for (int c = 'a'; c <= 'z'; ++c) ids[std::string(1, static_cast<char>(c))] = c;
  for (const auto& [word, count] : word_counts) {
    std::vector<std::string> letters;
    for (const char c : word) letters.push_back(std::string(1, c));
    words.emplace_back(letters, count);
  }
  std::vector<std::string> out;
  while (out.size() < merges) {
    std::map<std::pair<int32_t, int32_t>, std::pair<int64_t, std::pair<std::string, std::string>>> counts;
    for (const auto& [letters, count] : words) {
      for (size_t i = 0; i + 1 < letters.size(); ++i) {
        auto& slot = counts[{ids[letters[i]], ids[letters[i + 1]]}];
        slot.first += count;
        slot.second = {letters[i], letters[i + 1]};
      }
    }
    const auto best = std::max_element(counts.begin(), counts.end(),
                                       [](const auto& a, const auto& b) { return a.second.first < b.second.first; });
    if (best == counts.end()) break;
    const auto [left, right] = best->second.second;
    ids.try_emplace(left + right, 1000 + static_cast<int32_t>(out.size()));
    out.push_back(left + right);
    for (auto& [letters, count] : words) {
      for (size_t i = 0; i + 1 < letters.size(); ++i) {
        if (letters[i] != left || letters[i + 1] != right) continue;
        letters[i] += right;
        letters.erase(letters.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      }
    }
  }
  return out;
}

TEST(BpeTrain, IdsAreMarksBytesMerges) {
  const auto tok = trained({"low low low lower lowest"}, 260, 1);
  EXPECT_EQ(tok->vocab_size(), 260);
  EXPECT_EQ(tok->special_id("<|endoftext|>"), 0);
  EXPECT_EQ(tok->token_bytes(1), "!");
  EXPECT_EQ(tok->eos(), 0);
  EXPECT_EQ(tok->token_bytes(257), "lo") << "of the pairs seen five times the one with the smallest ids";
  EXPECT_EQ(tok->token_bytes(258), "low");
  EXPECT_EQ(tok->token_bytes(259), " low");
  EXPECT_EQ(tok->decode(tok->encode("slower \xFF")), "slower \xFF");
}

TEST(BpeTrain, AgreesWithTheDefinition) {
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    std::map<std::string, int64_t> counts;
    std::string document;
    for (int w = 0; w < 40; ++w) {
      std::string word;
      const int length = 2 + static_cast<int>(random() % 6);
      for (int i = 0; i < length; ++i) word += static_cast<char>('a' + random() % 3);
      const int64_t count = 1 + static_cast<int64_t>(random() % 3);
      counts[word] += count;
      // A newline keeps a word apart without joining it, as a space would.
      for (int64_t i = 0; i < count; ++i) document += word + "\n";
    }
    const std::vector<std::string> expected = naive_merges(counts, 8);
    const auto tok = trained({document}, 257 + 8, 1);
    std::vector<std::string> got;
    for (int32_t id = 257; id < tok->vocab_size(); ++id) got.push_back(tok->token_bytes(id));
    EXPECT_EQ(got, expected) << "round " << round;
  }
}

// Random words, many of them once, some often, as languages have them.
std::vector<std::string> wordy_documents(uint32_t seed, int words) {
  std::mt19937 random(seed);
  std::vector<std::string> out;
  for (int w = 0; w < words; ++w) {
    if (w % 50 == 0) out.emplace_back();
    const uint32_t alphabet = random() % 4 == 0 ? 20 : 5;
    std::string word = " ";
    for (uint32_t n = 1 + random() % (random() % 8 + 1); n > 0; --n) word += static_cast<char>('a' + random() % alphabet);
    if (random() % 7 == 0) word += "\xD0" + std::string(1, static_cast<char>(0xB0 + random() % 8));
    out.back() += word;
  }
  return out;
}

TEST(BpeTrain, ABoundOnMemoryGivesTheSameMerges) {
  for (uint32_t seed = 1; seed <= 3; ++seed) {
    const std::vector<std::string> documents = wordy_documents(seed, 6000);
    const std::string wanted = trained(documents, 600, 2)->to_json().value();
    // From a few passes to one a merge; there are some thousands of words, of 95 bytes each and more.
    for (const int64_t memory : {100000, 20000, 1}) {
      BpeTrainer trainer({.vocab_size = 600, .min_count = 2, .marks = {"<|endoftext|>"}, .memory_bytes = memory});
      for (const std::string& document : documents) trainer.add(document);
      EXPECT_EQ(trainer.train().value()->to_json().value(), wanted) << "seed " << seed << ", " << memory << " bytes";
    }
  }
  BpeTrainer refused({.vocab_size = 300, .marks = {}, .memory_bytes = 1, .scratch = "/nonexistent"});
  for (const std::string& document : wordy_documents(1, 100)) refused.add(document);
  EXPECT_EQ(refused.train().status().message(), "/nonexistent: cannot make a scratch file: No such file or directory");
}

TEST(BpeTrain, StopsWhenNothingIsFrequentEnough) {
  EXPECT_EQ(trained({"abc xyz"}, 5000, 2)->vocab_size(), 257);
  BpeTrainer small({.vocab_size = 256, .marks = {"<|endoftext|>"}});
  EXPECT_EQ(small.train().status().message(), "a vocabulary of 256 is too small: 1 marks and 256 bytes need 257");
}

}  // namespace
}  // namespace bgl::text
