#include "report/page.h"

#include <fmt/core.h>
#include <utf8proc.h>

namespace bgl::report {
namespace {

constexpr const char* kStyle =
    ":root{color-scheme:light dark;--line:#8884}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}"
    "table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}"
    "th,td{padding:.25rem .75rem;border-bottom:1px solid var(--line);text-align:left}"
    "td.n,th.n{text-align:right}pre{overflow-x:auto;padding:.75rem;border:1px solid var(--line)}"
    ".two{display:grid;grid-template-columns:1fr 1fr;gap:1rem}.two "
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:.8rem}"
    "svg{max-width:100%;height:auto}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181a1b}}";

}  // namespace

std::string html_escape(std::string_view text) {
  constexpr const char* kReplacement = "\xEF\xBF\xBD";
  std::string out;
  while (!text.empty()) {
    utf8proc_int32_t code = 0;
    const utf8proc_ssize_t n = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                                static_cast<utf8proc_ssize_t>(text.size()), &code);
    const size_t taken = n > 0 ? static_cast<size_t>(n) : 1;
    const bool control = code < 32 && code != '\n' && code != '\t';
    if (n <= 0 || control || code == 127 || code == 0xFFFE || code == 0xFFFF) {
      out += kReplacement;
    } else if (code == '&') {
      out += "&amp;";
    } else if (code == '<') {
      out += "&lt;";
    } else if (code == '>') {
      out += "&gt;";
    } else if (code == '"') {
      out += "&quot;";
    } else if (code == '\'') {
      out += "&#39;";
    } else {
      out += text.substr(0, taken);
    }
    text.remove_prefix(taken);
  }
  return out;
}

Page::Page(std::string title) : title_(std::move(title)) {}

void Page::heading(std::string_view text, int level) {
  body_ += fmt::format("<h{0}>{1}</h{0}>\n", level == 3 ? 3 : 2, html_escape(text));
}

void Page::paragraph(std::string_view text) { body_ += "<p>" + html_escape(text) + "</p>\n"; }

void Page::preformatted(std::string_view text) { body_ += "<pre>" + html_escape(text) + "</pre>\n"; }

void Page::side_by_side(std::string_view left_heading, std::span<const std::string> left, std::string_view right_heading,
                        std::span<const std::string> right) {
  const auto column = [&](std::string_view heading, std::span<const std::string> texts) {
    body_ += "<div><b>" + html_escape(heading) + "</b>\n";
    for (const std::string& text : texts) preformatted(text);
    body_ += "</div>\n";
  };
  body_ += "<div class=\"two\">\n";
  column(left_heading, left);
  column(right_heading, right);
  body_ += "</div>\n";
}

void Page::table(const Table& table) {
  const auto row = [&](const std::vector<std::string>& cells, const char* tag) {
    body_ += "<tr>";
    for (size_t c = 0; c < cells.size(); ++c) {
      body_ += fmt::format("<{0}{1}>{2}</{0}>", tag, table.right_aligned(c) ? " class=\"n\"" : "", html_escape(cells[c]));
    }
    body_ += "</tr>\n";
  };
  body_ += "<table>\n";
  row(table.headers(), "th");
  for (const auto& cells : table.rows()) row(cells, "td");
  body_ += "</table>\n";
}

void Page::plot(std::span<const PlotSeries> series, const PlotOptions& options) {
  body_ += "<figure>\n" + plot_svg(series, options) + "</figure>\n";
}

std::string Page::html() const {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\">\n<title>{0}</title>\n<style>{1}</style>\n</head>\n"
      "<body>\n<h1>{0}</h1>\n{2}</body>\n</html>\n",
      html_escape(title_), kStyle, body_);
}

}  // namespace bgl::report
