#include <gtest/gtest.h>

#include <cmath>

#include "report/page.h"
#include "report/plot.h"
#include "report/table.h"

namespace bgl::report {
namespace {

TEST(ReportTable, AlignsByDisplayWidth) {
  Table table({"name", "files", "说明"});
  table.add_row({"医学", "12", "文档"});
  table.add_row({"code", "3,400", "e\xCC\x81t\xCC\x81"});  // combining accents take no column
  table.add_row({"x", "-"});
  EXPECT_EQ(table.text(),
            "name  files  说明\n"
            "----  -----  ----\n"
            "医学     12  文档\n"
            "code  3,400  e\xCC\x81t\xCC\x81\n"
            "x         -\n");
  EXPECT_EQ(display_width("a医"), 3);
  EXPECT_EQ(display_width("\xff"), 1);
}

TEST(ReportTable, NumbersWithUnitsStandRightAndNamesLeft) {
  Table table({"a", "b"});
  table.add_row({"1.5 GB", "2nd place of 3"});
  table.add_row({"800 kB", "1"});
  EXPECT_TRUE(table.right_aligned(0));
  EXPECT_FALSE(table.right_aligned(1));
  EXPECT_DEATH(table.add_row({"1", "2", "3"}), "3 cells in a table of 2 columns");
}

TEST(ReportPlot, TicksAreRoundAndInside) {
  EXPECT_EQ(nice_ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(nice_ticks(-1, 1, 4), (std::vector<double>{-1, -0.5, 0, 0.5, 1}));
  const auto small = nice_ticks(0.101, 0.399, 6);
  ASSERT_FALSE(small.empty());
  EXPECT_EQ(tick_label(small.front()), "0.15");
  EXPECT_EQ(tick_label(small.back()), "0.35");
  EXPECT_EQ(log_ticks(1, 100), (std::vector<double>{1, 2, 5, 10, 20, 50, 100}));
  EXPECT_EQ(log_ticks(1e-3, 1e3).size(), 7u);
  EXPECT_LE(log_ticks(1e-30, 1e30).size(), 9u);
  EXPECT_EQ(tick_label(0), "0");
  EXPECT_EQ(tick_label(1500), "1500");
  EXPECT_EQ(tick_label(20000), "20k");
  EXPECT_EQ(tick_label(-3.5e6), "-3.5M");
  EXPECT_EQ(tick_label(1e-5), "1e-05");
}

size_t count_of(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++n;
  return n;
}

TEST(ReportPlot, DrawsSeriesBreaksAtGapsAndEscapes) {
  const double nan = std::nan("");
  const std::vector<PlotSeries> series = {{"train <loss>", {0, 1, 2, 3}, {4, 3, nan, 1}}, {"b&c", {0, 3}, {2, 2}}};
  const std::string svg = plot_svg(series, {.title = "Loss", .x_label = "step", .y_label = "nats"});
  EXPECT_EQ(count_of(svg, "<path d="), 2u);
  // The first series: 4 at the top left corner, 1 at the bottom right, a new stroke after the gap.
  EXPECT_NE(svg.find("d=\"M64.0 34.0L277.3 140.7M704.0 354.0\""), std::string::npos) << svg;
  EXPECT_NE(svg.find("train &lt;loss&gt;"), std::string::npos);
  EXPECT_NE(svg.find("b&amp;c"), std::string::npos);
  EXPECT_EQ(count_of(svg, "<svg"), count_of(svg, "</svg>"));
}

TEST(ReportPlot, LogAxesLeaveOutWhatTheyCannotShow) {
  const std::vector<PlotSeries> series = {{"", {1, 10, 100}, {0, 1, 100}}};
  const std::string svg = plot_svg(series, {.title = "t", .log_x = true, .log_y = true});
  EXPECT_NE(svg.find("d=\"M64.0 354.0L704.0 34.0\""), std::string::npos) << svg;
  EXPECT_NE(plot_svg(std::vector<PlotSeries>{}, {}).find("no data"), std::string::npos);
  EXPECT_NE(plot_svg(std::vector<PlotSeries>{{"", {1}, {-1}}}, {.log_y = true}).find("no data"), std::string::npos);
  // A lone point has an axis around it and is marked.
  EXPECT_EQ(count_of(plot_svg(std::vector<PlotSeries>{{"", {5}, {7}}}, {}), "<circle"), 1u);
}

TEST(ReportPage, IsOneWholeFileAndEscapesEverything) {
  Page page("A <b> & \"c\"");
  page.heading("<script>", 2);
  page.paragraph(std::string("x\0y\xff", 4));
  page.preformatted("a\n  b");
  Table table({"<h>", "n"});
  table.add_row({"</td>", "1"});
  page.table(table);
  page.plot(std::vector<PlotSeries>{{"s", {1, 2}, {1, 2}}}, {.title = "p"});
  const std::string html = page.html();
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_NE(html.find("<title>A &lt;b&gt; &amp; &quot;c&quot;</title>"), std::string::npos);
  EXPECT_NE(html.find("<p>x\xEF\xBF\xBDy\xEF\xBF\xBD</p>"), std::string::npos);
  EXPECT_NE(html.find("<pre>a\n  b</pre>"), std::string::npos);
  EXPECT_NE(html.find("<tr><td>&lt;/td&gt;</td><td class=\"n\">1</td></tr>"), std::string::npos);
  // The SVG namespace is the one address in it: nothing is loaded from elsewhere.
  EXPECT_EQ(count_of(html, "http"), 1u);
  EXPECT_NE(html.find("prefers-color-scheme:dark"), std::string::npos);
}

TEST(ReportPage, TextsSideBySide) {
  Page page("t");
  const std::vector<std::string> left = {"one <x>", "two"}, right = {"three"};
  page.side_by_side("Dropped", left, "Kept", right);
  EXPECT_NE(page.html().find("<div class=\"two\">\n<div><b>Dropped</b>\n<pre>one &lt;x&gt;</pre>\n<pre>two</pre>\n</div>\n"
                             "<div><b>Kept</b>\n<pre>three</pre>\n</div>\n</div>\n"),
            std::string::npos);
}

}  // namespace
}  // namespace bgl::report
