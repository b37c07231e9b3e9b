#include "report/plot.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/status.h"
#include "report/page.h"

namespace bgl::report {
namespace {

constexpr int kLeft = 64, kRight = 16, kTop = 34, kBottom = 46, kLegendRow = 18;
// Distinct also for readers who do not tell red from green (Okabe and Ito).
constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d3b", "#777777"};

struct PlotAxis {
  bool log = false;
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  bool usable(double v) const { return std::isfinite(v) && (!log || v > 0); }
  void include(double v) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  // A range of one value gets room on both sides.
  void widen() {
    if (low < high) return;
    const double room = low == 0 ? 1 : std::abs(low) * 0.1;
    low = log ? low / 2 : low - room;
    high = log ? high * 2 : high + room;
  }
  // 0..1 along the axis.
  double place(double v) const {
    if (log) return (std::log(v) - std::log(low)) / (std::log(high) - std::log(low));
    return (v - low) / (high - low);
  }
};

struct PlotFrame {
  PlotAxis x, y;
  double left, right, top, bottom;
  double px(double v) const { return left + x.place(v) * (right - left); }
  double py(double v) const { return bottom - y.place(v) * (bottom - top); }
};

std::string frame_svg(const PlotFrame& f, const PlotOptions& options) {
  std::string out;
  const auto x_ticks = f.x.log ? log_ticks(f.x.low, f.x.high) : nice_ticks(f.x.low, f.x.high, 7);
  const auto y_ticks = f.y.log ? log_ticks(f.y.low, f.y.high) : nice_ticks(f.y.low, f.y.high, 6);
  for (const double v : x_ticks) {
    out += fmt::format("<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\"/>", f.px(v), f.top,
                       f.bottom);
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n", f.px(v), f.bottom + 16,
                       tick_label(v));
  }
  for (const double v : y_ticks) {
    out += fmt::format("<line class=\"grid\" x1=\"{1:.1f}\" x2=\"{2:.1f}\" y1=\"{0:.1f}\" y2=\"{0:.1f}\"/>", f.py(v), f.left,
                       f.right);
    out +=
        fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", f.left - 6, f.py(v) + 4, tick_label(v));
  }
  out += fmt::format("<path class=\"axis\" d=\"M{0:.1f} {1:.1f}V{2:.1f}H{3:.1f}\"/>\n", f.left, f.top, f.bottom, f.right);
  out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n", (f.left + f.right) / 2,
                     f.bottom + 36, html_escape(options.x_label));
  out += fmt::format("<text transform=\"translate(14 {:.1f}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
                     (f.top + f.bottom) / 2, html_escape(options.y_label));
  return out;
}

std::string series_svg(const PlotFrame& f, const PlotSeries& s, const char* colour) {
  std::string path, marks;
  bool pen_down = false;
  size_t drawn = 0;
  for (size_t i = 0; i < s.x.size(); ++i) {
    const bool usable = f.x.usable(s.x[i]) && f.y.usable(s.y[i]);
    if (usable) {
      path += fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", f.px(s.x[i]), f.py(s.y[i]));
      marks += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\" fill=\"{}\"/>", f.px(s.x[i]), f.py(s.y[i]), colour);
      ++drawn;
    }
    pen_down = usable;
  }
  std::string out;
  if (!s.points) out += fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\"/>\n", path, colour);
  // Few points are marked, or a lone one would not be seen.
  if (s.points || drawn <= 12) out += marks + "\n";
  return out;
}

std::string legend_svg(std::span<const PlotSeries> series, double left, double y) {
  std::string out;
  for (size_t i = 0; i < series.size(); ++i, y += kLegendRow) {
    out += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"14\" height=\"4\" fill=\"{}\"/>", left, y - 6,
                       kColours[i % std::size(kColours)]);
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", left + 20, y, html_escape(series[i].name));
  }
  return out;
}

}  // namespace

std::vector<double> nice_ticks(double low, double high, int wanted) {
  std::vector<double> ticks;
  if (!(low < high) || wanted < 1 || !std::isfinite(high - low)) return {low};
  const double rough = (high - low) / wanted;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough * 0.75) {
      step = factor * power;
      break;
    }
  }
  // Counting in whole steps keeps 0.3 from becoming 0.30000000000000004.
  for (double k = std::ceil(low / step - 1e-9); k * step <= high + step * 1e-9 && ticks.size() < 100; ++k)
    ticks.push_back(k * step);
  return ticks;
}

std::vector<double> log_ticks(double low, double high) {
  std::vector<double> ticks;
  const double decades = std::log10(high / low);
  const double stride = std::max(1.0, std::ceil(decades / 8));
  const std::vector<double> factors = decades < 3 ? std::vector<double>{1, 2, 5} : std::vector<double>{1};
  for (double k = std::floor(std::log10(low)); k <= std::log10(high) + 1; k += stride) {
    for (const double factor : factors) {
      const double v = factor * std::pow(10.0, k);
      if (v >= low * (1 - 1e-9) && v <= high * (1 + 1e-9)) ticks.push_back(v);
    }
  }
  return ticks;
}

std::string tick_label(double value) {
  const double size = std::abs(value);
  if (size < 1e-12) return "0";
  struct Unit {
    double factor;
    const char* name;
  };
  for (const Unit unit : {Unit{1e12, "T"}, Unit{1e9, "G"}, Unit{1e6, "M"}, Unit{1e4, "k"}}) {
    const double divisor = unit.factor == 1e4 ? 1e3 : unit.factor;
    if (size >= unit.factor && size < 1e15) return fmt::format("{:.4g}{}", value / divisor, unit.name);
  }
  if (size >= 1e-4 && size < 1e15) return fmt::format("{:.6g}", value);
  return fmt::format("{:.3g}", value);
}

std::string plot_svg(std::span<const PlotSeries> series, const PlotOptions& options) {
  const double legend = series.size() > 1 || (series.size() == 1 && !series[0].name.empty())
                            ? static_cast<double>(kLegendRow) * static_cast<double>(series.size()) + 6
                            : 0;
  const double height = options.height + legend;
  PlotFrame f{.left = kLeft,
              .right = static_cast<double>(options.width - kRight),
              .top = kTop,
              .bottom = static_cast<double>(options.height - kBottom)};
  f.x.log = options.log_x;
  f.y.log = options.log_y;
  for (const PlotSeries& s : series) {
    BGL_CHECK(s.x.size() == s.y.size(), "series {}: {} x for {} y", s.name, s.x.size(), s.y.size());
    for (size_t i = 0; i < s.x.size(); ++i) {
      if (!f.x.usable(s.x[i]) || !f.y.usable(s.y[i])) continue;
      f.x.include(s.x[i]);
      f.y.include(s.y[i]);
    }
  }
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1:.0f}\" width=\"{0}\" height=\"{1:.0f}\" role=\"img\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n"
      "<style>svg{{color:#222}}svg text{{fill:currentColor}}.grid{{stroke:currentColor;opacity:.15}}.axis{{stroke:currentColor;"
      "fill:none}}@media(prefers-color-scheme:dark){{svg{{color:#ddd}}}}</style>\n<title>{2}</title>\n"
      "<text x=\"{3}\" y=\"20\" font-size=\"15\">{2}</text>\n",
      options.width, height, html_escape(options.title), kLeft);
  if (f.x.low > f.x.high) {
    return out + fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">no data</text>\n</svg>\n",
                             options.width / 2.0, height / 2);
  }
  f.x.widen();
  f.y.widen();
  out += frame_svg(f, options);
  for (size_t i = 0; i < series.size(); ++i) out += series_svg(f, series[i], kColours[i % std::size(kColours)]);
  if (legend > 0) out += legend_svg(series, kLeft, options.height + 6);
  return out + "</svg>\n";
}

}  // namespace bgl::report
