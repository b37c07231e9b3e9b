#include "text/documents/readers.h"

#include <gtest/gtest.h>

#include "text/documents/reading_for_test.h"
#include "text/files/decompress.h"

namespace bgl::text {
namespace {

Document only(const std::string& reader, const std::string& bytes) {
  const ReadResult out = read_bytes(reader, "a/b", bytes);
  EXPECT_TRUE(out.status.ok() && out.faults.empty());
  EXPECT_EQ(out.documents.size(), 1u);
  return out.documents.empty() ? Document() : out.documents[0];
}

TEST(Readers, PlainTextIsTidied) {
  const Document d = only("text", "Title line\r\n\r\n\r\n\r\nsecond \t\r\nth\x01ird caf\xE9\f");
  EXPECT_EQ(d.text, "Title line\n\nsecond\nthird caf\xC3\xA9");
  EXPECT_EQ(d.title, "Title line");
  EXPECT_EQ(d.id, "a/b");
}

TEST(Readers, Markdown) {
  const Document d =
      only("markdown",
           "---\nlayout: x\n---\n# The [Title](http://x)\n\nSee [the _docs_](a(b).html) and [more][ref]. ![img](i.png)\n"
           "<!-- hidden\nlines -->\n[ref]: http://y\n```\n[kept](as is)\n```\n`[x](y)` a[0] (b)\n");
  EXPECT_EQ(d.title, "The Title");
  EXPECT_EQ(d.text, "# The Title\n\nSee the _docs_ and more.\n\n```\n[kept](as is)\n```\n`[x](y)` a[0] (b)");
}

TEST(Readers, ManualPage) {
  const Document d = only(
      "man",
      ".\\\" comment\n.TH LS 1 \"May 2022\" GNU\n.de XX\nhidden\n..\n.SH NAME\nls \\- list directory\n.SH \"THE OPTIONS\"\n"
      ".TP\n\\fB\\-a\\fR, \\fB\\-\\-all\\fP\ndo not ignore\nentries\n.PP\nSee\n.BR cp (1),\nand \\(aqx\\(aq\\e.\n"
      ".nf\n  $ ls  -l\n.fi\n.if t .bp\nEnd.\n");
  EXPECT_EQ(d.title, "LS(1)");
  EXPECT_EQ(d.text,
            "# NAME\n\nls - list directory\n\n# THE OPTIONS\n\n-a, --all\ndo not ignore entries\n\nSee cp(1), and 'x'\\.\n\n"
            "```\n  $ ls  -l\n```\n\nEnd.");
}

TEST(Readers, MdocPage) {
  const Document d =
      only("man",
           ".Dd May 1\n.Dt CAT 1\n.Os\n.Sh NAME\n.Nm cat\n.Nd concatenate files\n.Sh SYNOPSIS\n.Nm\n.Op Fl benstuv\n.Op Ar\n"
           ".Sh DESCRIPTION\nThe\n.Nm\nutility reads\n.Pq see Xr cp 1 .\n");
  EXPECT_EQ(d.title, "CAT(1)");
  EXPECT_EQ(d.text,
            "# NAME\n\ncat - concatenate files\n\n# SYNOPSIS\n\ncat [-benstuv] []\n\n# DESCRIPTION\n\nThe cat utility reads "
            "(see cp(1)).");
}

TEST(Readers, DictionaryArticles) {
  const std::string dict =
      "info\nAorta \\A*or\"ta\\, n. [NL.]\n   (Anat.) The great artery\n   which carries {blood}.\n   [1913 Webster]\n\n   2. "
      "Other.\n";
  // Base 64: 5 = F, and the article's length.
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const size_t length = dict.size() - 5;
  const std::string number = {digits[length / 64], digits[length % 64]};
  const std::string index = "00-database-info\tA\tF\naorta\tF\t" + number + "\naortas\tF\t" + number + "\n";
  const FetchFile fetch = [&](const std::string& path) -> Result<std::string> {
    if (path == "d/x.dict") return dict;
    return not_found("{}", path);
  };
  ReadOptions options;
  options.fetch = fetch;
  const ReadResult out = read_bytes("dictd", "d/x.index", index, options);
  ASSERT_EQ(out.documents.size(), 1u) << "two headwords of one article are one document";
  EXPECT_EQ(out.documents[0].id, "d/x.index#5");
  EXPECT_EQ(out.documents[0].title, "aorta");
  EXPECT_EQ(out.documents[0].text, "Aorta \\A*or\"ta\\, n. [NL.] (Anat.) The great artery which carries blood.\n\n2. Other.");
  EXPECT_EQ(
      read_bytes("dictd", "d/x.index", "w\tF\t/////\n", options).fault(),
      "unreadable: d/x.index:1: the entry points outside the " + std::to_string(dict.size()) + " bytes of the dictionary");
  EXPECT_EQ(read_bytes("dictd", "d/y.index", "", options).fault(),
            "unreadable: d/y.index: neither d/y.dict.dz nor d/y.dict is there");
}

TEST(Readers, JsonLines) {
  const ReadResult out = read_bytes("jsonl", "x.jsonl",
                                    "\xEF\xBB\xBF{\"text\":\"a\",\"title\":\"t\",\"n\":{\"text\":\"inner\"}}\r\n\n{\"id\":"
                                    "\"q\",\"url\":\"http://u\",\"text\":\"b\\u00e9\"}");
  ASSERT_EQ(out.documents.size(), 2u);
  EXPECT_EQ(out.documents[0].id, "x.jsonl#1");
  EXPECT_EQ(out.documents[0].title, "t");
  EXPECT_EQ(out.documents[0].text, "a");
  EXPECT_EQ(out.documents[1].id, "q");
  EXPECT_EQ(out.documents[1].url, "http://u");
  EXPECT_EQ(out.documents[1].text, "b\xC3\xA9");
  ReadOptions options;
  options.text_field = "content";
  EXPECT_EQ(read_bytes("jsonl", "x", "{\"content\":\"c\",\"text\":\"no\"}", options).documents[0].text, "c");
}

// A bad line costs itself.
TEST(Readers, BadJsonLines) {
  const ReadResult out =
      read_bytes("jsonl", "x.jsonl",
                 "{\"text\":1}\n[1,{\"text\":\"no\"}]\n{\"text\":\"open\n3\n{\"a\":[[\"text\"]]}\n{\"text\":\"good\"}\n");
  std::vector<std::string> why;
  for (const ReadFault& f : out.faults) why.push_back(f.why);
  EXPECT_EQ(why, (std::vector<std::string>{"x.jsonl:1: no string \"text\"", "x.jsonl:2: not a JSON object",
                                           "x.jsonl:3: not a JSON object", "x.jsonl:4: not a JSON object",
                                           "x.jsonl:5: no string \"text\""}));
  EXPECT_EQ(out.faults[2].id, "x.jsonl#3");
  ASSERT_EQ(out.documents.size(), 1u);
  EXPECT_EQ(out.documents[0].id, "x.jsonl#6");
  // Deep and long values that are not asked for take no stack and no tree.
  const std::string deep = "{\"a\":" + std::string(1 << 20, '[') + std::string(1 << 20, ']') + ",\"text\":\"t\"}";
  EXPECT_EQ(read_bytes("jsonl", "x", deep).documents.size(), 1u);
}

TEST(Readers, LimitsCostOnlyTheirDocument) {
  ReadOptions options;
  options.limits.document_bytes = 1000;
  const std::string line = "{\"text\":\"" + std::string(2000, 'x') + "\"}";
  const ReadResult out = read_bytes("jsonl", "x", "{\"text\":\"a\"}\n" + line + "\n{\"text\":\"b\"}\n" + line, options);
  ASSERT_EQ(out.documents.size(), 2u);
  EXPECT_EQ(out.documents[1].id, "x#3");
  ASSERT_EQ(out.faults.size(), 2u);
  EXPECT_EQ(out.faults[0].rule, "over_limit");
  EXPECT_EQ(out.faults[0].why, "x:2: a line of more than 1000 bytes");
  EXPECT_EQ(out.faults[1].id, "x#4");
  EXPECT_EQ(read_bytes("text", "t", std::string(1001, 'x'), options).fault(), "over_limit: t: holds more than 1000 bytes");
  EXPECT_EQ(read_bytes("text", "t", std::string(1000, 'x'), options).documents.size(), 1u);
}

TEST(Readers, DamageInAStreamLeavesWhatCameBefore) {
  std::string lines;
  for (int i = 0; i < 200000; ++i) lines += "{\"text\":\"line " + std::to_string(i * 7919) + "\"}\n";
  std::string packed = *compress_zstd(lines);
  packed.resize(packed.size() / 2);
  const ReadResult out = read_bytes("jsonl", "x", packed);
  EXPECT_GT(out.documents.size(), 50000u);
  EXPECT_EQ(out.fault(), "unreadable: x: the zstd data ends in the middle of a frame");
}

TEST(Readers, NamesAndCompression) {
  EXPECT_EQ(reader_for_path("a/b.html.gz"), "html");
  EXPECT_EQ(reader_for_path("usr/share/man/man1/ls.1.gz"), "man");
  EXPECT_EQ(reader_for_path("libfoo.so.1"), "");
  EXPECT_EQ(reader_for_path("gcide.index"), "dictd");
  EXPECT_EQ(only("text", *compress_zstd("packed")).text, "packed");
  EXPECT_EQ(read_bytes("pdf", "a", "").status.message(),
            "a: no reader 'pdf' (known: html, markdown, text, man, dictd, jsonl, warc)");
  EXPECT_EQ(reader_for_path("CC-MAIN-2024.warc.gz"), "warc");
  EXPECT_EQ(reader_for_path("CC-MAIN-2024.warc.wet.gz"), "warc");
  EXPECT_EQ(reader_for_path("part-0.jsonl.zst"), "jsonl");
}

}  // namespace
}  // namespace bgl::text
