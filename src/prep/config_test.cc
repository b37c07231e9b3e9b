#include "prep/config.h"

#include <gtest/gtest.h>

#include <set>

#include "prep/glob.h"

namespace bgl::prep {
namespace {

Result<PrepConfig> parsed(const std::string& text) { return parse_config(*Config::parse(text, "p.toml")); }
const std::string kSource = "[[source]]\nname = 'a'\ndomain = 'd'\nlicence = 'MIT'\nmatch = ['x/**']\n";

TEST(PrepConfig, ReadsSourcesAndRules) {
  const Result<PrepConfig> c = parsed("[prep]\nheldout_share = 0.1\n" + kSource +
                                      "filters = ['c4']\nskip = ['c4_sentences']\n[source.rules]\nc4_line_words = 7\n");
  ASSERT_TRUE(c.ok()) << c.status().message();
  EXPECT_EQ(c->heldout_share, 0.1);
  ASSERT_EQ(c->sources.size(), 1u);
  EXPECT_EQ(c->sources[0].licence, "MIT");
  std::string text = "No sentence { at all";
  EXPECT_EQ(filter_document(c->sources[0].rules, text)->rule, "c4_curly_bracket");
}

TEST(PrepConfig, ErrorsNameTheLine) {
  EXPECT_EQ(parsed("").status().message(), "p.toml: has no [[source]]");
  EXPECT_EQ(parsed(kSource + "raeder = 'html'\n").status().message(),
            "p.toml:6: unknown key 'source.0.raeder' (did you mean 'source.0.reader'?)");
  EXPECT_EQ(parsed(kSource + "reader = 'pdf'\n").status().message(), "p.toml:6: key 'source.0.reader': no reader 'pdf'");
  EXPECT_EQ(parsed(kSource + "select = '('\n").status().message(), "p.toml:6: key 'source.0.select': missing ): (");
  EXPECT_EQ(parsed(kSource + kSource).status().message(), "p.toml:7: key 'source.1.name': another source has this name");
  EXPECT_EQ(parsed(kSource + "exclude = ['a[b']\n").status().message(),
            "p.toml:6: key 'source.0.exclude': pattern 'a[b': [ without ]");
}

TEST(PrepConfig, TheQuickstartIsValid) {
  const Result<PrepConfig> c = load_config(BGL_SOURCE_DIR "/examples/quickstart/prep.toml");
  ASSERT_TRUE(c.ok()) << c.status().message();
  std::set<std::string> domains;
  for (const SourceConfig& source : c->sources) domains.insert(source.domain);
  EXPECT_EQ(domains, (std::set<std::string>{"general", "imaging", "medicine"}));
}

TEST(PrepGlobs, Patterns) {
  const Globs g = Globs::compile({"a/**/*.html", "b/{x,y}?.[a-c]", "c/*.txt"}).value();
  EXPECT_TRUE(g.match("a/q.html"));
  EXPECT_TRUE(g.match("a/1/2/q.html"));
  EXPECT_FALSE(g.match("a/q.htm"));
  EXPECT_TRUE(g.match("b/x1.c"));
  EXPECT_FALSE(g.match("b/z1.c"));
  EXPECT_TRUE(g.match("c/(1).txt"));
  EXPECT_FALSE(g.match("c/d/1.txt"));
  EXPECT_FALSE(g.match("xc/1.txt"));
  EXPECT_EQ(g.prefixes(), (std::vector<std::string>{"a/", "b/", "c/"}));
}

}  // namespace
}  // namespace bgl::prep
