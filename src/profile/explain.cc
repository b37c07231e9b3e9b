#include "profile/explain.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/progress.h"

namespace bgl::profile {
namespace {

using nlohmann::json;

std::string percent(double part, double whole) { return whole > 0 ? fmt::format("{:.1f} %", 100 * part / whole) : "-"; }
std::string millis(double seconds) { return fmt::format("{:.3f}", 1e3 * seconds); }
std::string shortened(const std::string& text, size_t most) {
  return text.size() <= most ? text : text.substr(0, most - 3) + "...";
}

std::string joined(const std::vector<std::string>& list, size_t most) {
  std::string text;
  for (size_t i = 0; i < list.size() && i < most; ++i) text += (i ? ", " : "") + list[i];
  return list.size() > most ? text + fmt::format(", {} more", list.size() - most) : text;
}

std::vector<std::string> kernel_cells(const KernelRow& r, const Analysis& a, const lang::Rates& rates) {
  const double flops = r.seconds > 0 ? r.flops / r.seconds : 0, bytes = r.seconds > 0 ? r.bytes / r.seconds : 0;
  return {shortened(r.name, 40),
          shortened(r.shapes, 48),
          fmt::format("{:.0f}", r.count),
          millis(r.seconds),
          percent(r.seconds, a.step_seconds),
          fmt::format("{:.1f}", flops / 1e9),
          percent(flops, rates.f32_flops),
          fmt::format("{:.1f}", bytes / 1e9),
          percent(bytes, rates.stream_bytes_per_s),
          r.bound_by_flops ? "flops" : "bytes",
          percent(r.floor_seconds, r.seconds),
          joined(r.modules, 2)};
}

}  // namespace

report::Table kernel_table(const Analysis& a, const lang::Rates& rates, size_t top) {
  report::Table t({"kernel", "shapes", "times", "ms", "of step", "GFLOP/s", "of peak", "GB/s", "of bandwidth", "bound by",
                   "of roofline", "modules"});
  double rest = 0, rest_floor = 0, rest_count = 0;
  for (size_t i = 0; i < a.kernels.size(); ++i) {
    const KernelRow& r = a.kernels[i];
    if (i < top) {
      t.add_row(kernel_cells(r, a, rates));
    } else {
      rest += r.seconds, rest_floor += r.floor_seconds, rest_count += r.count;
    }
  }
  if (a.kernels.size() > top) {
    t.add_row({fmt::format("({} other kernels)", a.kernels.size() - top), "", fmt::format("{:.0f}", rest_count), millis(rest),
               percent(rest, a.step_seconds), "-", "-", "-", "-", "", percent(rest_floor, rest), ""});
  }
  const auto outside = [&](const char* what, double seconds) {
    t.add_row({what, "", "-", millis(seconds), percent(seconds, a.step_seconds), "-", "-", "-", "-", "", "-", ""});
  };
  outside("(between launches)", a.between_seconds);
  outside("(outside graphs)", a.outside_seconds);
  return t;
}

report::Table peak_table(const MemoryCurve& curve, size_t top) {
  report::Table t({"alive at the peak", "size", "of peak", "launches", "made by"});
  const double peak = curve.alive.empty() ? 0 : static_cast<double>(curve.alive[curve.peak_launch]);
  for (size_t i = 0; i < curve.at_peak.size() && i < top; ++i) {
    const AliveValue& v = curve.at_peak[i];
    t.add_row({v.what, human_bytes(static_cast<double>(v.bytes)), percent(static_cast<double>(v.bytes), peak),
               fmt::format("{} to {}", v.first_launch, v.last_launch), v.where});
  }
  return t;
}

std::string summary_text(const Profile& p, const Analysis& a, const MemoryCurve& curve) {
  int64_t tokens = 0;
  for (const MeasuredStep& s : p.steps) tokens += s.tokens;
  std::string text = fmt::format(
      "{} steps from {} on, {} before them not measured; {} threads, {}, peak {:.0f} GFLOP/s, bandwidth {:.1f} GB/s\n",
      p.steps.size(), p.steps[0].number, p.warmup, p.threads, p.isa, p.rates.f32_flops / 1e9, p.rates.stream_bytes_per_s / 1e9);
  text += fmt::format("a step: {} ms, {:.0f} tokens/s; kernels {}, between launches {}, outside graphs {}\n",
                      millis(a.step_seconds),
                      static_cast<double>(tokens) / static_cast<double>(p.steps.size()) / std::max(a.step_seconds, 1e-12),
                      percent(a.kernel_seconds, a.step_seconds), percent(a.between_seconds, a.step_seconds),
                      percent(a.outside_seconds, a.step_seconds));
  text += fmt::format("its floor: {} ms for {:.2f} GFLOP and {}, {} of the step, {} of its kernels\n", millis(a.floor_seconds),
                      a.flops / 1e9, human_bytes(a.bytes), percent(a.floor_seconds, a.step_seconds),
                      percent(a.floor_seconds, a.kernel_seconds));
  if (!curve.alive.empty()) {
    const size_t at = curve.peak_launch;
    text += fmt::format("memory: at most {} alive, during launch {} of {}; the arena takes {} (lower bound {})\n",
                        human_bytes(static_cast<double>(curve.alive[at])), at, curve.alive.size(),
                        human_bytes(static_cast<double>(curve.arena[at])), human_bytes(static_cast<double>(curve.bound[at])));
  }
  return text;
}

std::string explanation_json(const Profile& p, const Analysis& a, const MemoryCurve& curve, size_t top) {
  json kernels = json::array(), values = json::array();
  for (size_t i = 0; i < a.kernels.size() && i < top; ++i) {
    const KernelRow& r = a.kernels[i];
    json launches = json::object();
    for (const auto& [name, seconds] : r.launches) launches[name] = seconds;
    kernels.push_back({{"name", r.name},
                       {"shapes", r.shapes},
                       {"count", r.count},
                       {"seconds", r.seconds},
                       {"flops", r.flops},
                       {"bytes", r.bytes},
                       {"floor_seconds", r.floor_seconds},
                       {"bound_by", r.bound_by_flops ? "flops" : "bytes"},
                       {"launches", std::move(launches)},
                       {"ops", r.ops}});
  }
  for (size_t i = 0; i < curve.at_peak.size() && i < top; ++i) {
    const AliveValue& v = curve.at_peak[i];
    values.push_back({{"what", v.what},
                      {"where", v.where},
                      {"bytes", v.bytes},
                      {"first_launch", v.first_launch},
                      {"last_launch", v.last_launch}});
  }
  json memory = {{"alive", curve.alive}, {"peak_launch", curve.peak_launch}, {"at_peak", std::move(values)}};
  if (!curve.alive.empty()) {
    memory["arena_bytes"] = curve.arena[curve.peak_launch];
    memory["lower_bound_bytes"] = curve.bound[curve.peak_launch];
  }
  return json{{"machine",
               {{"f32_flops", p.rates.f32_flops},
                {"stream_bytes_per_s", p.rates.stream_bytes_per_s},
                {"threads", p.threads},
                {"isa", p.isa}}},
              {"step",
               {{"measured", p.steps.size()},
                {"seconds", a.step_seconds},
                {"kernel_seconds", a.kernel_seconds},
                {"between_seconds", a.between_seconds},
                {"outside_seconds", a.outside_seconds},
                {"floor_seconds", a.floor_seconds},
                {"flops", a.flops},
                {"bytes", a.bytes}}},
              {"kernels", std::move(kernels)},
              {"memory", std::move(memory)}}
             .dump(2) +
         "\n";
}

}  // namespace bgl::profile
