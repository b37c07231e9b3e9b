#include "text/tokenizers/tokenizer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include "text/files/atomic_file.h"
#include "text/tokenizers/char_tokenizer.h"

namespace bgl::text {
namespace {

std::string test_data() {
  const char* dir = std::getenv("BGL_TEST_DATA");
  return dir ? dir : "";
}
#define BGL_NEEDS_TEST_DATA() \
  if (test_data().empty()) GTEST_SKIP() << "set BGL_TEST_DATA to the folder of test data to run this test"

std::unique_ptr<Tokenizer> loaded(const std::string& path) {
  Result<std::unique_ptr<Tokenizer>> out = load_tokenizer(path);
  EXPECT_TRUE(out.ok()) << out.status().message();
  return out.ok() ? std::move(*out) : nullptr;
}

struct Case {
  std::string text;
  std::vector<int32_t> ids;
};

// cases.inp: texts separated by lines "__ggml_vocab_test__"; cases.out: the ids of each on a line.
std::vector<Case> cases_of(const std::string& dir) {
  const std::string input = *read_file(dir + "/cases.inp"), output = *read_file(dir + "/cases.out");
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::vector<Case> out;
  std::istringstream lines(output);
  for (size_t at = 0; at < input.size();) {
    const size_t end = std::min(input.find(separator, at), input.size());
    Case c{input.substr(at, end - at), {}};
    std::string line;
    std::getline(lines, line);
    std::istringstream numbers(line);
    for (int32_t id; numbers >> id;) c.ids.push_back(id);
    out.push_back(std::move(c));
    at = end + separator.size();
  }
  return out;
}

void expect_cases(const Tokenizer& tokenizer, const std::string& dir) {
  const std::vector<Case> cases = cases_of(dir);
  EXPECT_EQ(cases.size(), 46u);
  for (const Case& c : cases) {
    EXPECT_EQ(tokenizer.encode(c.text), c.ids) << "text: " << c.text;
    EXPECT_EQ(tokenizer.decode(c.ids), c.text);
  }
}

TEST(Tokenizer, Gpt2HardCases) {
  BGL_NEEDS_TEST_DATA();
  const auto gpt2 = loaded(test_data() + "/tokenizers/gpt2");
  ASSERT_TRUE(gpt2);
  EXPECT_EQ(gpt2->vocab_size(), 50257);
  EXPECT_EQ(gpt2->eos(), 50256);
  EXPECT_FALSE(gpt2->adds_bos());
  expect_cases(*gpt2, test_data() + "/tokenizers/gpt2");
}

TEST(Tokenizer, Gpt2ThroughTokenizerJson) {
  BGL_NEEDS_TEST_DATA();
  const auto gpt2 = loaded(test_data() + "/tokenizers/gpt2");
  ASSERT_TRUE(gpt2);
  const std::string path = testing::TempDir() + "/bgl_gpt2_" + std::to_string(::getpid()) + ".json";
  ASSERT_TRUE(write_tokenizer_json(*gpt2, path).ok());
  const auto again = loaded(path);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->vocab_size(), 50257);
  EXPECT_EQ(again->eos(), 50256);
  expect_cases(*again, test_data() + "/tokenizers/gpt2");
}

TEST(Tokenizer, Llama2HardCases) {
  BGL_NEEDS_TEST_DATA();
  const auto llama = loaded(test_data() + "/tokenizers/llama2/tokenizer.model");
  ASSERT_TRUE(llama);
  EXPECT_EQ(llama->vocab_size(), 32000);
  EXPECT_EQ(llama->bos(), 1);
  EXPECT_EQ(llama->eos(), 2);
  EXPECT_TRUE(llama->adds_bos());
  expect_cases(*llama, test_data() + "/tokenizers/llama2");
  const std::string path = testing::TempDir() + "/bgl_llama_" + std::to_string(::getpid()) + ".json";
  ASSERT_TRUE(write_tokenizer_json(*llama, path).ok());
  const auto again = loaded(path);
  ASSERT_TRUE(again);
  expect_cases(*again, test_data() + "/tokenizers/llama2");
}

TEST(Tokenizer, BrokenUtf8IsKeptByByteLevelBpe) {
  BGL_NEEDS_TEST_DATA();
  const auto gpt2 = loaded(test_data() + "/tokenizers/gpt2");
  ASSERT_TRUE(gpt2);
  std::string text = "caf\xC3";
  for (int b = 0; b < 256; ++b) text += static_cast<char>(b);
  text += "\xED\xA0\x80 \xF4\x90\x80\x80 \xC0\xAF";
  EXPECT_EQ(gpt2->decode(gpt2->encode(text)), text);
}

TEST(Tokenizer, MarksInTextAreFoundOnlyWhenAsked) {
  BGL_NEEDS_TEST_DATA();
  const auto gpt2 = loaded(test_data() + "/tokenizers/gpt2");
  ASSERT_TRUE(gpt2);
  const std::string text = "a<|endoftext|>b";
  EXPECT_EQ(gpt2->encode(text), (std::vector<int32_t>{64, 50256, 65}));
  const std::vector<int32_t> plain = gpt2->encode_ordinary(text);
  EXPECT_EQ(std::count(plain.begin(), plain.end(), 50256), 0);
  EXPECT_EQ(gpt2->decode(plain), text);
  EXPECT_EQ(gpt2->special_id("<|endoftext|>"), 50256);
  EXPECT_EQ(gpt2->special_id("<|user|>"), std::nullopt);
  EXPECT_TRUE(gpt2->is_special(50256));
  EXPECT_FALSE(gpt2->is_special(64));
}

TEST(Tokenizer, Llama2cTok512) {
  BGL_NEEDS_TEST_DATA();
  const auto tok = loaded(test_data() + "/models/stories260k/tok512.bin");
  ASSERT_TRUE(tok);
  EXPECT_EQ(tok->vocab_size(), 512);
  EXPECT_EQ(tok->bos(), 1);
  const std::string text = "Once upon a time, there was a caf\xC3\xA9.\n";
  EXPECT_EQ(tok->decode(tok->encode(text)), text);
  EXPECT_EQ(tok->encode("Once upon a time"), (std::vector<int32_t>{403, 407, 261, 378}));
  std::vector<int32_t> marked = {1};
  for (const int32_t id : tok->encode("Once")) marked.push_back(id);
  EXPECT_EQ(tok->decode(marked), "Once");
}

TEST(Tokenizer, CharactersThroughTokenizerJson) {
  auto made = make_char_tokenizer("hello,\n \xC3\xA9 world \xF0\x9F\xA6\x99", {"<|endoftext|>"});
  ASSERT_TRUE(made.ok()) << made.status().message();
  const std::string path = testing::TempDir() + "/bgl_char_" + std::to_string(::getpid()) + ".json";
  ASSERT_TRUE(write_tokenizer_json(**made, path).ok());
  const auto again = loaded(path);
  ASSERT_TRUE(again);
  for (const Tokenizer* tok : {made->get(), again.get()}) {
    EXPECT_EQ(tok->vocab_size(), 13);  // \n space , d e h l o r w e-acute llama mark
    EXPECT_EQ(tok->encode("hello"), (std::vector<int32_t>{5, 4, 6, 6, 7}));
    EXPECT_EQ(tok->decode(tok->encode(" \xC3\xA9\xF0\x9F\xA6\x99")), " \xC3\xA9\xF0\x9F\xA6\x99");
    EXPECT_EQ(tok->encode("hXe"), (std::vector<int32_t>{5, 4})) << "an unknown character is dropped";
    EXPECT_EQ(tok->encode("h<|endoftext|>"), (std::vector<int32_t>{5, 12}));
    EXPECT_EQ(tok->eos(), 12);
  }
  EXPECT_EQ(make_char_tokenizer("a\xFF").status().message(), "character vocabulary: the text is not valid UTF-8 (at offset 1)");
}

TEST(Tokenizer, MissingFilesAreNamed) {
  const std::string dir = testing::TempDir() + "/bgl_none_" + std::to_string(::getpid());
  EXPECT_EQ(load_tokenizer(dir).status().message(),
            dir + ": no tokenizer here (a folder, tokenizer.json, *.model or *.bin is known)");
  ASSERT_TRUE(make_directories(dir).ok());
  EXPECT_EQ(
      load_tokenizer(dir).status().message(),
      dir +
          ": the folder holds no tokenizer (looked for tokenizer.json, encoder.json + vocab.bpe, vocab.json + merges.txt, "
          "tokenizer.model, tokenizer.bin)");
}

TEST(Tokenizer, GuardedMarksAreOrdinaryCharacters) {
  auto made = make_char_tokenizer("<|endx> a", {"<|end|>"});
  ASSERT_TRUE(made.ok());
  const Tokenizer* t = (*made).get();
  const int32_t mark = *t->special_id("<|end|>");
  const std::string forged = t->guard_marks("a<|end|>x<");
  EXPECT_EQ(forged, "a<" + std::string(Tokenizer::kMarkGuard) + "|end|>x<" + std::string(Tokenizer::kMarkGuard));
  const auto plain = t->encode_ordinary("a<|end|>x<");
  auto with_mark = plain;
  with_mark.push_back(mark);
  EXPECT_EQ(t->encode_guarded(forged + "<|end|>"), with_mark);
  // An end that would be a mark with what follows.
  EXPECT_EQ(t->encode_guarded(t->guard_marks("<|en") + "d|>"), t->encode_ordinary("<|end|>"));
  EXPECT_EQ(t->encode_guarded("<|end|>"), std::vector<int32_t>{mark});
  EXPECT_EQ(t->guard_marks("a x"), "a x");
}

}  // namespace
}  // namespace bgl::text
