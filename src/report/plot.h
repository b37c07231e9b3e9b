// Line plots as SVG text, to stand alone or inside a page (page.h). Colours follow the reader's light or dark setting.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace bgl::report {

// Points (x[i], y[i]) joined in order; one that is not finite, or not positive on a log axis, is left out and breaks the line.
struct PlotSeries {
  std::string name;
  std::vector<double> x;
  std::vector<double> y;
  bool points = false;  // draws the points without the line
};

struct PlotOptions {
  std::string title;
  std::string x_label;
  std::string y_label;
  bool log_x = false;
  bool log_y = false;
  int width = 720;
  int height = 400;
};

// One <svg> element. Without any point to draw it says "no data".
std::string plot_svg(std::span<const PlotSeries> series, const PlotOptions& options);

// The values to mark on an axis from `low` to `high`: about `wanted` round numbers (1, 2, 5 times a power of ten), all inside.
std::vector<double> nice_ticks(double low, double high, int wanted);
// The same on a log axis (`low` > 0): powers of ten, with 2 and 5 between where there are few.
std::vector<double> log_ticks(double low, double high);
// "0.5", "1500", "2k", "3.5M", "1e-5": short.
std::string tick_label(double value);

}  // namespace bgl::report
