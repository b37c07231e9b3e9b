#include <gtest/gtest.h>
#include <unistd.h>

#include "text/files/atomic_file.h"
#include "text/tokenizers/tokenizer.h"

namespace bgl::text {
namespace {

// A folder of its own for each test.
std::string json_folder(const std::string& name) {
  const std::string dir = testing::TempDir() + "/bgl_json_" + name + std::to_string(::getpid());
  EXPECT_TRUE(make_directories(dir).ok());
  return dir;
}

// A byte-level tokenizer of the letters a-e with merges, and what a test wants to change.
struct Spec {
  std::string added = "[]", normalizer = "null", post = "null";
  std::string pre = R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":true})";
  std::string model_extra;
  std::string merges = R"(["a b","ab c"])";
};
std::string json_of(const Spec& s) {
  return R"({"version":"1.0","added_tokens":)" + s.added + R"(,"normalizer":)" + s.normalizer + R"(,"pre_tokenizer":)" + s.pre +
         R"(,"post_processor":)" + s.post + R"(,"decoder":{"type":"ByteLevel"},"model":{"type":"BPE")" + s.model_extra +
         R"(,"vocab":{"a":0,"b":1,"c":2,"Ġ":3,"ab":4,"abc":5,"bc":6,"Ã":7,"©":8,"e":9},"merges":)" + s.merges + "}}";
}
std::unique_ptr<Tokenizer> made(const std::string& name, const Spec& spec, const std::string& config = "") {
  const std::string dir = json_folder(name);
  EXPECT_TRUE(write_file_atomic(dir + "/tokenizer.json", json_of(spec)).ok());
  if (!config.empty()) {
    EXPECT_TRUE(write_file_atomic(dir + "/tokenizer_config.json", config).ok());
  }
  Result<std::unique_ptr<Tokenizer>> out = load_tokenizer(dir);
  EXPECT_TRUE(out.ok()) << out.status().message();
  return out.ok() ? std::move(*out) : nullptr;
}
std::string refused(const std::string& json) {
  const std::string path = json_folder("refused") + "/tokenizer.json";
  EXPECT_TRUE(write_file_atomic(path, json).ok());
  const Result<std::unique_ptr<Tokenizer>> out = load_tokenizer(path);
  return out.ok() ? "loaded" : out.status().message().substr(path.size() + 2);
}
using Ids = std::vector<int32_t>;

TEST(TokenizerJson, MergesInBothSpellingsAndWholeWords) {
  EXPECT_EQ(made("text", {})->encode("abc bc"), (Ids{5, 3, 1, 2}));
  Spec pairs;
  pairs.merges = R"([["a","b"],["ab","c"]])";
  EXPECT_EQ(made("pairs", pairs)->encode("abc"), (Ids{5}));
  Spec whole;
  whole.model_extra = R"(,"ignore_merges":true)";
  EXPECT_EQ(made("whole", whole)->encode("bc"), (Ids{6})) << "a word of the vocabulary needs no merges";
}

TEST(TokenizerJson, AddedTokensStripSpaceAndTheLongestWins) {
  Spec spec;
  spec.added = R"([{"id":10,"content":"<m>","special":true,"lstrip":true,"rstrip":false},
                   {"id":11,"content":"<m>x","special":false,"lstrip":false,"rstrip":true}])";
  const auto tok = made("added", spec);
  EXPECT_EQ(tok->encode("a  <m>b"), (Ids{0, 10, 1}));
  EXPECT_EQ(tok->encode("a<m>x  b"), (Ids{0, 11, 1}));
  EXPECT_TRUE(tok->is_special(10));
  EXPECT_FALSE(tok->is_special(11));
  EXPECT_EQ(tok->vocab_size(), 12);
  EXPECT_EQ(tok->decode(Ids{0, 10, 11, 99, -1}), "a<m><m>x");
}

TEST(TokenizerJson, NormalFormCComposes) {
  Spec spec;
  spec.normalizer = R"({"type":"NFC"})";
  EXPECT_EQ(made("nfc", spec)->encode("e\xCC\x81"), (Ids{7, 8}));
  EXPECT_EQ(made("plain", {})->encode("e\xC3\xA9"), (Ids{9, 7, 8}));
}

TEST(TokenizerJson, Marks) {
  const std::string added = R"([{"id":10,"content":"<s>","special":true},{"id":11,"content":"</s>","special":true}])";
  Spec spec;
  spec.added = added;
  const auto by_name = made("names", spec);
  EXPECT_EQ(by_name->bos(), 10);
  EXPECT_EQ(by_name->eos(), 11);
  EXPECT_FALSE(by_name->adds_bos());
  spec.post =
      R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}]})";
  EXPECT_TRUE(made("template", spec)->adds_bos());
  const auto configured = made("config", spec, R"({"bos_token":null,"eos_token":{"content":"<s>"}})");
  EXPECT_EQ(configured->bos(), std::nullopt);
  EXPECT_EQ(configured->eos(), 10);
  EXPECT_FALSE(configured->adds_bos());
}

TEST(TokenizerJson, WhatIsNotKnownIsRefusedByName) {
  EXPECT_EQ(refused("[1"), "not a JSON object");
  EXPECT_EQ(refused(R"({"model":{"type":"Unigram"}})"), "model type 'Unigram' is not supported (only BPE is)");
  EXPECT_EQ(refused(R"({"model":{"type":"BPE","vocab":[]}})"), "model.vocab is not an object");
  EXPECT_EQ(refused(R"({"model":{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}})"), "tokens 'a' and 'b' share id 0");
  Spec spec;
  spec.normalizer = R"({"type":"Sequence","normalizers":[{"type":"Lowercase"}]})";
  EXPECT_EQ(refused(json_of(spec)), "normalizer 'Lowercase' is not supported");
  spec = {};
  spec.pre =
      R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\w+"},"behavior":"Isolated"},{"type":"ByteLevel"}]})";
  EXPECT_EQ(refused(json_of(spec)), "no scanner for the pre-tokenizer's pattern {\"Regex\":\"\\\\w+\"}");
  spec = {};
  spec.merges = R"(["a q"])";
  EXPECT_EQ(refused(json_of(spec)), "merge 0 ('a' + 'q') uses a token that the vocabulary lacks");
  spec.merges = R"(["aq"])";
  EXPECT_EQ(refused(json_of(spec)), "merge 0 ('aq') has no space");
  spec = {};
  spec.model_extra = R"(,"dropout":0.1)";
  EXPECT_EQ(refused(json_of(spec)), "model.dropout is not supported");
}

// Llama-2 in Hugging Face's two spellings, and characters that have no piece.
TEST(TokenizerJson, CharactersWithByteFallback) {
  const std::string rest =
      R"("added_tokens":[],"decoder":{"type":"Fuse"},"model":{"type":"BPE","byte_fallback":true,"unk_token":"<unk>","fuse_unk":true,
         "vocab":{"<unk>":0,"<0x62>":1,"▁":2,"a":3,"▁a":4,"<0xC3>":5,"<0xA9>":6},"merges":["▁ a"]}})";
  const std::string dir = json_folder("llama");
  ASSERT_TRUE(write_file_atomic(dir + "/tokenizer.json",
                                R"({"normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},
                                {"type":"Replace","pattern":{"String":" "},"content":"▁"}]},"pre_tokenizer":null,)" +
                                    rest)
                  .ok());
  const auto llama = std::move(load_tokenizer(dir)).value();
  EXPECT_EQ(llama->encode("a ab"), (Ids{4, 4, 1}));
  EXPECT_EQ(llama->decode(llama->encode("a ab")), "a ab");
  EXPECT_EQ(llama->encode("\xC3\xA9zz"), (Ids{2, 5, 6, 0})) << "bytes where they are known, one unknown for the rest";
  ASSERT_TRUE(
      write_file_atomic(
          dir + "/tokenizer.json",
          R"({"normalizer":null,"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false},)" +
              rest)
          .ok());
  const auto metaspace = std::move(load_tokenizer(dir)).value();
  EXPECT_EQ(metaspace->encode(" a"), (Ids{4})) << "a text that begins with a space gets no second one";
}

// A protobuf field of bytes, and one varint.
std::string field(int number, const std::string& bytes) {
  return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(bytes.size()) + bytes;
}
std::string varint(int number, int value) { return {static_cast<char>(number << 3), static_cast<char>(value)}; }

TEST(SentencePieceFile, OtherKindsAreRefused) {
  const std::string path = json_folder("spm") + "/x.model";
  const auto error_of = [&](const std::string& bytes) {
    EXPECT_TRUE(write_file_atomic(path, bytes).ok());
    const auto out = load_tokenizer(path);
    return out.ok() ? std::string("loaded") : out.status().message().substr(path.size() + 2);
  };
  const std::string piece = field(1, field(1, "a"));
  EXPECT_EQ(error_of(piece + field(2, varint(3, 1))), "a SentencePiece unigram model; only type BPE is supported");
  EXPECT_EQ(error_of(piece + field(2, varint(3, 2)) + field(3, field(2, "map"))),
            "normalises with a character map, which is not supported (only identity is)");
  EXPECT_EQ(error_of(field(1, field(1, "a") + varint(3, 5)) + field(2, varint(3, 2))),
            "piece 0 is of type unused, which is not supported");
  EXPECT_EQ(error_of(piece + "\x0A\x7F"), "not a SentencePiece model, or damaged");
  EXPECT_EQ(error_of(""), "not a SentencePiece model, or damaged");
  EXPECT_EQ(error_of(piece + field(2, varint(3, 2))), "loaded");
}

TEST(Llama2cFile, DamageIsNamed) {
  const std::string path = json_folder("l2c") + "/t.bin";
  ASSERT_TRUE(write_file_atomic(path, "abc").ok());
  EXPECT_EQ(load_tokenizer(path).status().message(), path + ": 3 bytes are too few for a tokenizer");
  ASSERT_TRUE(write_file_atomic(path, std::string("\4\0\0\0\0\0\0\0\7\0\0\0abcdefg", 19)).ok());
  EXPECT_EQ(load_tokenizer(path).status().message(),
            path + ": token 0 (at offset 4) does not fit the file or the longest token, 4 bytes");
}

}  // namespace
}  // namespace bgl::text
