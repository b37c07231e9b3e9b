#include "train/profile.h"

#include <algorithm>
#include <vector>

#include "compiler/compile.h"
#include "lang/ir.h"

namespace bgl::train {

Profile::Profile() {
  compiler::set_step_listener([this](const compiler::Step& step, double seconds) {
    std::string name = step.name.size() > 60 ? step.name.substr(0, 57) + "..." : step.name;
    name += step.function ? " / " + step.function->name : " / host";
    Row& r = rows_[name];
    ++r.launches;
    r.seconds += seconds;
    r.flops += step.flops;
    r.bytes += step.bytes;
  });
}
Profile::~Profile() { compiler::set_step_listener(nullptr); }

report::Table Profile::table(const lang::Rates& rates) const {
  std::vector<std::pair<std::string, Row>> rows(rows_.begin(), rows_.end());
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  double total = 0;
  for (const auto& [name, r] : rows) total += r.seconds;
  report::Table table({"operator / kernel", "launches", "seconds", "share", "GFLOP/s", "of peak", "GB/s", "of bandwidth"});
  auto percent = [](double part, double whole) { return whole > 0 ? fmt::format("{:.1f} %", 100 * part / whole) : std::string("-"); };
  for (const auto& [name, r] : rows) {
    const double flops = r.flops / r.seconds, bytes = r.bytes / r.seconds;
    table.add_row({name, std::to_string(r.launches), fmt::format("{:.4f}", r.seconds), percent(r.seconds, total), fmt::format("{:.1f}", flops / 1e9),
                   percent(flops, rates.f32_flops), fmt::format("{:.2f}", bytes / 1e9), percent(bytes, rates.stream_bytes_per_s)});
  }
  return table;
}

}  // namespace bgl::train
