#include "text/readers.h"

#include <gtest/gtest.h>

#include "text/decompress.h"

namespace bgl::text {
namespace {

Document only(const std::string& reader, const std::string& bytes) {
  const Result<std::vector<Document>> out = read_documents(reader, "a/b", bytes);
  EXPECT_TRUE(out.ok()) << out.status().message();
  if (!out.ok() || out->size() != 1) return {};
  return (*out)[0];
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
  const Result<std::vector<Document>> out = read_documents("dictd", "d/x.index", index, fetch);
  ASSERT_TRUE(out.ok()) << out.status().message();
  ASSERT_EQ(out->size(), 1u) << "two headwords of one article are one document";
  EXPECT_EQ((*out)[0].id, "d/x.index#5");
  EXPECT_EQ((*out)[0].title, "aorta");
  EXPECT_EQ((*out)[0].text, "Aorta \\A*or\"ta\\, n. [NL.] (Anat.) The great artery which carries blood.\n\n2. Other.");
  EXPECT_EQ(read_documents("dictd", "d/x.index", "w\tF\t/////\n", fetch).status().message(),
            "d/x.index:1: the entry points outside the " + std::to_string(dict.size()) + " bytes of the dictionary");
  EXPECT_EQ(read_documents("dictd", "d/y.index", "", fetch).status().message(),
            "d/y.index: neither d/y.dict.dz nor d/y.dict is there");
}

TEST(Readers, JsonLines) {
  const Result<std::vector<Document>> out =
      read_documents("jsonl", "x.jsonl", "{\"text\":\"a\",\"title\":\"t\"}\n\n{\"id\":\"q\",\"text\":\"b\"}\n");
  ASSERT_TRUE(out.ok());
  ASSERT_EQ(out->size(), 2u);
  EXPECT_EQ((*out)[0].id, "x.jsonl#1");
  EXPECT_EQ((*out)[0].title, "t");
  EXPECT_EQ((*out)[1].id, "q");
  EXPECT_EQ(read_documents("jsonl", "x.jsonl", "{\"text\":1}").status().message(),
            "x.jsonl:1: not a JSON object with a string \"text\"");
}

TEST(Readers, NamesAndCompression) {
  EXPECT_EQ(reader_for_path("a/b.html.gz"), "html");
  EXPECT_EQ(reader_for_path("usr/share/man/man1/ls.1.gz"), "man");
  EXPECT_EQ(reader_for_path("libfoo.so.1"), "");
  EXPECT_EQ(reader_for_path("gcide.index"), "dictd");
  EXPECT_EQ(only("text", *compress_zstd("packed")).text, "packed");
  EXPECT_EQ(read_documents("pdf", "a", "").status().message(),
            "a: no reader 'pdf' (known: html, markdown, text, man, dictd, jsonl)");
}

}  // namespace
}  // namespace bgl::text
