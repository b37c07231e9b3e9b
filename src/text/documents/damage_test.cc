// Every reader meets damaged files: seeds of each format, changed at random, must give a value or an error, never a crash. The
// sanitizers (preset asan) make this test sharp.
#include <gtest/gtest.h>
#include <unistd.h>

#include <random>

#include "text/documents/reading_for_test.h"
#include "text/files/atomic_file.h"
#include "text/files/decompress.h"
#include "text/files/indexed_dataset.h"
#include "text/files/safetensors.h"
#include "text/tokenizers/tokenizer.h"
#include "text/unicode.h"

namespace bgl::text {
namespace {

std::string damaged(std::string bytes, std::mt19937& random) {
  const int changes = 1 + static_cast<int>(random() % 4);
  for (int i = 0; i < changes && !bytes.empty(); ++i) {
    const size_t at = random() % bytes.size();
    switch (random() % 5) {
      case 0:
        bytes[at] = static_cast<char>(random());
        break;
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
        break;
      case 2:
        bytes.erase(at, 1 + random() % 8);
        break;
      case 3:
        bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 16));
        break;
      default:
        bytes.resize(at);
    }
  }
  return bytes;
}

std::string u64(uint64_t value) { return std::string(reinterpret_cast<const char*>(&value), 8); }
std::string damage_path(const char* name) { return testing::TempDir() + "/bgl_damage_" + std::to_string(::getpid()) + name; }

TEST(Damage, DocumentReaders) {
  const std::pair<std::string, std::string> seeds[] = {
      {"html",
       "<html><head><meta charset=utf-8><title>T</title><body><h1>A &amp; b</h1><ul><li>x<li><a href='q'>y</a></ul>"
       "<table><tr><td>1<td>2</table><pre>code</pre><p>text &#x20AC; caf\xC3\xA9"},
      {"markdown", "---\nx: 1\n---\n# T [a](b)\n\n- `c` ![i](j)\n<!-- h -->\n```\ncode\n```\n[r]: http://x\n"},
      {"man",
       ".TH X 1\n.SH NAME\nx \\- y \\fBb\\fR \\(em \\[u00E9] \\*(lq\n.TP\n.B \\-a\ntext\n.nf\ncode\n.fi\n.if n "
       "\\{\n.x\n.\\}\n.Op Fl a Ar b\n"},
      {"text", "plain \xFF\xFE text\r\n\r\nmore\n"},
      {"jsonl", "{\"id\":\"a\",\"text\":\"b\"}\n{\"text\":\"c \\u00e9\"}\n"},
      {"warc",
       "WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http\r\nContent-Length: 67\r\n\r\n"
       "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=latin1\r\n\r\n<p>caf\xE9\r\n\r\n"
       "WARC/1.0\r\nWARC-Type: conversion\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nword\r\n\r\n"},
      {"dictd", "aorta\tA\tK\nheart\tK\tF\n"}};
  const FetchFile fetch = [](const std::string&) -> Result<std::string> { return std::string("Aorta n. x heart"); };
  std::mt19937 random(1);
  ReadOptions options;
  options.fetch = fetch;
  for (const auto& [reader, seed] : seeds) {
    for (int round = 0; round < 1500; ++round) {
      const ReadResult read = read_bytes(reader, "a.index", damaged(seed, random), options);
      ASSERT_TRUE(read.status.ok());
      for (const Document& d : read.documents) ASSERT_TRUE(is_valid_utf8(d.text)) << reader << " round " << round;
    }
  }
}

TEST(Damage, CompressedFiles) {
  std::mt19937 random(2);
  const std::string packed = *compress_zstd("some text to pack, some text to pack");
  for (int round = 0; round < 3000; ++round) {
    const auto out = decompress(damaged(packed, random), "x", 1 << 20);
    if (!out.ok()) continue;
    EXPECT_LE(out->size(), size_t{1} << 20);
  }
}

TEST(Damage, TensorAndTokenFiles) {
  std::mt19937 random(3);
  const std::string tensors = damage_path(".safetensors"), prefix = damage_path("data");
  const std::string header =
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}})";
  const std::string file = u64(header.size()) + header + std::string(11, 'x');
  const std::string index =
      std::string("MMIDIDX\0\0", 9) + u64(1) + "\x08" + u64(1) + u64(2) + std::string("\2\0\0\0", 4) + u64(0) + u64(0) + u64(1);
  ASSERT_TRUE(write_file_atomic(prefix + ".bin", "1234").ok());
  for (int round = 0; round < 300; ++round) {
    ASSERT_TRUE(write_file_atomic(tensors, damaged(file, random)).ok());
    if (const auto opened = SafeTensors::open(tensors); opened.ok()) {
      for (const TensorView& t : opened->tensors()) EXPECT_LE(t.bytes.size(), 11u + 16 * 4);
    }
    ASSERT_TRUE(write_file_atomic(prefix + ".idx", damaged(index, random)).ok());
    if (const auto opened = IndexedDataset::open(prefix); opened.ok()) {
      std::vector<int32_t> ids(static_cast<size_t>(opened->tokens()));
      EXPECT_TRUE(opened->read(0, ids).ok() || opened->type() == TokenType::kI64);
    }
  }
}

TEST(Damage, TokenizerFiles) {
  std::mt19937 random(4);
  const std::string json = R"({"added_tokens":[{"id":5,"content":"<m>","special":true}],"pre_tokenizer":{"type":"ByteLevel"},)"
                           R"("model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"Ġ":3},"merges":["a b"]}})";
  const std::string model = std::string(
                                "\x0A\x0A\x0A\x01"
                                "a\x15\0\0\0\0\x18\x01",
                                12) +
                            std::string("\x12\x02\x18\x02", 4);
  for (const auto& [name, seed] : {std::pair<const char*, std::string>{".json", json}, {".model", model}}) {
    const std::string path = damage_path(name);
    for (int round = 0; round < 400; ++round) {
      ASSERT_TRUE(write_file_atomic(path, damaged(seed, random)).ok());
      const auto tokenizer = load_tokenizer(path);
      if (tokenizer.ok()) (*tokenizer)->decode((*tokenizer)->encode("ab a<m> \xFFz"));
    }
  }
}

}  // namespace
}  // namespace bgl::text
