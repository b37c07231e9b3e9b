#include <algorithm>
#include <limits>

#include "profile/explain.h"
#include "report/page.h"

namespace bgl::profile {
namespace {

report::PlotSeries along(const std::string& name, const std::vector<int64_t>& values) {
  report::PlotSeries s{name, {}, {}};
  for (size_t i = 0; i < values.size(); ++i) {
    s.x.push_back(static_cast<double>(i));
    s.y.push_back(static_cast<double>(values[i]) / 1e6);
  }
  return s;
}

// Every kernel at its flops a byte and the rate it reached, under the roof of this machine.
void roofline_plot(report::Page& page, const Analysis& a, const lang::Rates& rates) {
  report::PlotSeries roof{"roof", {}, {}}, large{"kernels of 1 % of the step or more", {}, {}, true},
      small{"the other kernels", {}, {}, true};
  double low = std::numeric_limits<double>::infinity(), high = 0;
  for (const KernelRow& r : a.kernels) {
    if (r.flops <= 0 || r.bytes <= 0 || r.seconds <= 0) continue;
    const double intensity = r.flops / r.bytes;
    low = std::min(low, intensity), high = std::max(high, intensity);
    report::PlotSeries& s = r.seconds >= 0.01 * a.step_seconds ? large : small;
    s.x.push_back(intensity);
    s.y.push_back(r.flops / r.seconds / 1e9);
  }
  for (double x = low / 2; x <= 2 * high; x *= 1.25) {
    roof.x.push_back(x);
    roof.y.push_back(std::min(rates.f32_flops, x * rates.stream_bytes_per_s) / 1e9);
  }
  page.plot(
      std::vector{roof, large, small},
      {.title = "what each kernel reached", .x_label = "flops a byte", .y_label = "GFLOP/s", .log_x = true, .log_y = true});
  page.paragraph(
      "A point above the slope had its bytes in a cache. A point far below the roof waits for neither: it is too small to pay "
      "for its launch, or its kernel is not good for its shape.");
}

report::Table parts_table(const Analysis& a) {
  report::Table t({"kernel", "shapes", "operators", "launches (ms)"});
  for (const KernelRow& r : a.kernels) {
    std::string ops, launches;
    for (const std::string& op : r.ops) ops += (ops.empty() ? "" : ", ") + op;
    for (const auto& [name, seconds] : r.launches)
      launches += fmt::format("{}{} {:.3f}", launches.empty() ? "" : ", ", name, 1e3 * seconds);
    t.add_row({r.name, r.shapes, ops, launches});
  }
  return t;
}

}  // namespace

std::string explanation_page(const std::string& title, const Profile& p, const Analysis& a, const MemoryCurve& curve) {
  report::Page page(title);
  page.preformatted(summary_text(p, a, curve));
  page.paragraph(
      "A kernel is an operator, or elementwise operators fused into one. Its floor is the time in which this machine could "
      "have done it: "
      "the flops at the measured peak, or the bytes, moved once, at the measured bandwidth, whichever takes longer.");
  page.heading("Time");
  page.table(kernel_table(a, p.rates, a.kernels.size()));
  roofline_plot(page, a, p.rates);
  report::PlotSeries steps{"", {}, {}};
  for (const MeasuredStep& s : p.steps) {
    steps.x.push_back(static_cast<double>(s.number));
    steps.y.push_back(1e3 * s.seconds);
  }
  page.plot(std::vector{steps}, {.title = "the measured steps", .x_label = "step", .y_label = "ms"});
  page.heading("Memory");
  page.plot(std::vector{along("alive", curve.alive), along("arena, as planned", curve.arena),
                        along("most alive in the graph: the lower bound", curve.bound)},
            {.title = "the arena during a step", .x_label = "launch", .y_label = "MB"});
  for (size_t g = 0; g < p.graphs.size(); ++g) {
    const auto& m = p.graphs[g].memory;
    page.paragraph(fmt::format(
        "Graph {}: {} launches; outside the arena {:.1f} MB of parameters and data that it reads, {:.1f} MB of new results.", g,
        p.graphs[g].launches.size(), static_cast<double>(m.leaf_bytes) / 1e6, static_cast<double>(m.output_bytes) / 1e6));
  }
  page.table(peak_table(curve, 40));
  page.heading("What the kernels are made of");
  page.table(parts_table(a));
  return page.html();
}

}  // namespace bgl::profile
