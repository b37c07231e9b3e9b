#include "prep/internal/word_runs.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>

namespace bgl::prep {
namespace {

using Words = std::vector<std::string_view>;

Words run_at(const Words& words, size_t at, size_t n) {
  return {words.begin() + static_cast<long>(at), words.begin() + static_cast<long>(at + n)};
}
size_t bytes_of(const Words& run) {
  size_t bytes = 0;
  for (const std::string_view word : run) bytes += word.size();
  return bytes;
}

size_t naive_top(const Words& words, size_t n) {
  std::map<Words, size_t> counts;
  for (size_t at = 0; at + n <= words.size(); ++at) ++counts[run_at(words, at, n)];
  size_t count = 2, bytes = 0;
  for (const auto& [run, times] : counts) {
    if (times > count) count = times, bytes = 0;
    if (times == count) bytes = std::max(bytes, bytes_of(run));
  }
  return count * bytes;
}

size_t naive_repeated(const Words& words, size_t n) {
  std::set<Words> seen;
  size_t bytes = 0;
  for (size_t at = 0; at + n <= words.size();) {
    const bool fresh = seen.insert(run_at(words, at, n)).second;
    if (!fresh) bytes += bytes_of(run_at(words, at, n));
    at += fresh ? 1 : n;
  }
  return bytes;
}

TEST(WordRuns, AsCountedOneByOne) {
  std::mt19937 random(11);
  for (int round = 0; round < 400; ++round) {
    // From much to little repetition; words of one to nine bytes.
    const size_t kinds = 1 + random() % (round % 2 ? 4 : 40);
    std::vector<std::string> text;
    for (size_t n = random() % 120; n > 0; --n) {
      const size_t kind = random() % kinds;
      text.push_back(std::string(1 + kind % 9, static_cast<char>('a' + kind % 26)));
    }
    const Words words(text.begin(), text.end());
    WordRuns all(words);
    for (size_t n = 2; n <= 4; ++n) EXPECT_EQ(all.top_bytes(n), naive_top(words, n)) << round << " " << n;
    for (size_t n = 5; n <= 10; ++n) EXPECT_EQ(all.repeated_bytes(n), naive_repeated(words, n)) << round << " " << n;
    WordRuns some(words);
    EXPECT_EQ(some.repeated_bytes(2), naive_repeated(words, 2)) << round;
    EXPECT_EQ(some.repeated_bytes(6), naive_repeated(words, 6)) << round;
  }
}

}  // namespace
}  // namespace bgl::prep
