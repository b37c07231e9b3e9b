#include "text/documents/html.h"

#include <gtest/gtest.h>

#include <random>

#include "text/documents/internal/html_tree.h"
#include "text/unicode.h"

namespace bgl::text {
namespace {

std::string times(const std::string& text, int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += text;
  return out;
}
std::string text_of(const std::string& html) { return extract_html(html).value().text; }

TEST(Html, HeadingsListsTablesCode) {
  EXPECT_EQ(
      text_of("<h1>Heart</h1><p>Four  \n chambers.<p>Two <b>valves</b>.<ul><li>left<li>right<ol><li>a<li><p>b</p></ol></ul>"),
      "# Heart\n\nFour chambers.\n\nTwo valves.\n\n- left\n- right\n  1. a\n  2. b");
  EXPECT_EQ(text_of("<table><tr><th>Name<th>Hz<tr><td>a<td>5 <b>M</b></table>after"), "| Name | Hz |\n| a | 5 M |\n\nafter");
  EXPECT_EQ(text_of("<p>x</p><pre>\n  if (a &lt; b)\n    go();\n</pre><p>y"), "x\n\n```\n  if (a < b)\n    go();\n```\n\ny");
  EXPECT_EQ(text_of("<dl><dt>term<dd>meaning<dt>two<dd>more</dl>"), "term\nmeaning\n\ntwo\nmore");
  EXPECT_EQ(text_of("a<br>b<i>c</i>d"), "a\nbcd");
}

TEST(Html, DropsWhatIsNotProse) {
  EXPECT_EQ(text_of("<nav>Home</nav><header>Site</header><p>Kept text.</p><aside>ad</aside><footer>(c)</footer>"),
            "Kept text.");
  EXPECT_EQ(text_of("<script>if (a<b) x()</script><style>p{}</style><p>Kept text</p><form><input>Search</form>"), "Kept text");
  EXPECT_EQ(text_of("<div class='x navheader'>Prev Next</div><p>Kept text here</p><p style='display: none'>hidden</p>"),
            "Kept text here");
  EXPECT_EQ(text_of("<ul><li><a href=1>One</a><li><a href=2>Two</a></ul><p>A sentence with one <a href=3>link</a>.</p>"),
            "A sentence with one link.");
  EXPECT_EQ(text_of("<p>outside</p><main><p>inside</p></main>"), "inside");
}

TEST(Html, ANavigationNameOnTheWholePageIsIgnored) {
  EXPECT_EQ(text_of("<body class=nav><div id=menu><p>All the text there is.</p></div>"), "All the text there is.");
}

const std::string kProse =
    "The heart pumps blood through two circuits, of which one leads to the lungs and the other to all organs. ";

TEST(Html, WhatStandsBesideAnArticleIsDropped) {
  const std::string article = "<p>" + kProse + kProse + "</p><p>" + kProse + kProse + "</p>";
  const std::string text = kProse + kProse.substr(0, kProse.size() - 1);
  const std::string wanted = text + "\n\n" + text;
  EXPECT_EQ(
      text_of("<div><div class='post-relatedLinks'><p>More of this</p></div>" + article + "<div id=shareBar>Share</div></div>"),
      wanted);
  EXPECT_EQ(text_of("<div><p>Log in</p><div>" + article + "</div><p>All rights reserved</p></div>"), wanted)
      << "the element that holds nearly all prose";
  EXPECT_EQ(text_of("<div><p>" + kProse + "</p><div itemprop=articleBody>" + article + "</div></div>"), wanted);
  EXPECT_EQ(text_of("<div class=widget><p>Short, but all there is</p></div>"), "Short, but all there is");
  EXPECT_EQ(text_of("<p>Kept</p><div class='loaded download shares'>kept too</div>"), "Kept\n\nkept too") << "whole words only";
}

TEST(Html, TitleEntitiesAndDoxygenCode) {
  const HtmlText page = *extract_html("<title>A &amp; B &#x2014; &eacute;&nbsp;&notareal;</title><p>x &lt;y&gt; &#150; AT&T");
  EXPECT_EQ(page.title, "A & B \xE2\x80\x94 \xC3\xA9\xC2\xA0&notareal;");
  EXPECT_EQ(page.text, "x <y> \xE2\x80\x93 AT&T");
  EXPECT_EQ(text_of("<div class=\"fragment\"><div class=\"line\"><span class=\"lineno\"> 1</span>int a;</div><div "
                    "class=\"line\">int b;</div></div>"),
            "```\nint a;\nint b;\n```");
}

TEST(Html, PiecesOfOneText) {
  EXPECT_EQ(text_of("<p>a < b &amp;<!-- no -->c<![CDATA[<d>]]> e &lt;f"), "a < b &c<d> e <f");
  EXPECT_EQ(text_of("<p>" + times("ab<!---->", 20000)), times("ab", 20000));
  EXPECT_EQ(text_of("<P>x<Custom-Tag>y</CUSTOM-tag>z</P><Script>no</sCRIPT >w"), "xyz\n\nw");
}

TEST(Html, TagsHaveNames) {
  for (unsigned tag = 0; tag < static_cast<unsigned>(HtmlTag::kCount); ++tag) {
    const std::string_view name = name_of_tag(static_cast<HtmlTag>(tag));
    if (tag >= static_cast<unsigned>(HtmlTag::kA)) {
      EXPECT_EQ(tag_of_name(name), static_cast<HtmlTag>(tag)) << name;
    }
  }
  EXPECT_EQ(name_of_tag(HtmlTag::kBlockquote), "blockquote");
  EXPECT_EQ(tag_of_name("TeXtArea"), HtmlTag::kTextarea);
  EXPECT_EQ(tag_of_name("blockquotes"), HtmlTag::kOther);
  EXPECT_EQ(tag_of_name(""), HtmlTag::kOther);
}

TEST(Html, XmlEmptyElements) {
  EXPECT_EQ(text_of("<?xml version=\"1.0\"?><html><body><a id=\"x\"/><p>text</p><div/><p>more</p></body></html>"),
            "text\n\nmore");
}

std::string refused_page(const std::string& html, const ReadLimits& limits = {}) {
  return extract_html(html, limits).status().message();
}

TEST(Html, BombsAreRefused) {
  EXPECT_EQ(refused_page(times("<div><b>", 100000) + "x"), "elements nest deeper than 1024");
  EXPECT_EQ(text_of(times("<div><b>", 512) + "x"), "x") << "as deep as may be";
  EXPECT_EQ(text_of("<p>a" + times("<i>", 600) + "b" + times("</i>", 600) + "<p>c"), "ab\n\nc");
  EXPECT_EQ(refused_page(times("<p>", 600000)), "more than 500000 elements, attributes and texts");
  EXPECT_EQ(refused_page("<p " + times("a ", 600000) + ">"), "more than 500000 elements, attributes and texts");
  // Cells of tables inside tables are looked at once per table.
  const std::string tables = times("<table><tr><td>", 250) + times("<td>x", 200000);
  EXPECT_EQ(refused_page(tables, {.seconds = 0.05}), "takes longer than 0.05 seconds");
}

// Any bytes give valid UTF-8 out of valid UTF-8.
TEST(Html, NothingBreaksIt) {
  const std::vector<std::string> parts = {
      "<",         ">",   "</",       "<p",         "<table>", "<td>", "</table>", "<!--",  "-->",    "&",       "&#",
      "&#x;",      "\"",  "'",        "=",          "a",       " ",    "<li>",     "<pre>", "</pre>", "<script", "</script>",
      "<![CDATA[", "]]>", "\xC3\xA9", "<a href=x>", "<ol>",    "/>",   "<title>",  "<h1>",  "<svg/>", "?"};
  std::mt19937 random(3);
  for (int round = 0; round < 3000; ++round) {
    std::string html;
    for (int i = 0; i < 30; ++i) html += parts[random() % parts.size()];
    EXPECT_TRUE(is_valid_utf8(text_of(html))) << html;
  }
}

}  // namespace
}  // namespace bgl::text
