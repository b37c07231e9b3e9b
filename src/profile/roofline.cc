#include "profile/roofline.h"

#include <algorithm>
#include <cctype>
#include <map>

namespace bgl::profile {
namespace {

using compiler::ExplainedGroup;
using compiler::Explanation;

void note(std::vector<std::string>& list, std::string text) {
  if (!text.empty() && std::find(list.begin(), list.end(), text) == list.end()) list.push_back(std::move(text));
}

double over(double part, double whole) { return whole > 0 ? part / whole : 0; }

// Sums while runs are added: `launches` by name.
struct Sum {
  KernelRow row;
  std::map<std::string, double> launches;
};

void add_group(Sum& sum, const ExplainedGroup& g, const lang::Rates& rates) {
  KernelRow& row = sum.row;
  row.name = g.name;
  row.shapes = g.shapes;
  for (const auto& op : g.ops) {
    const std::string where = without_numbers(op.where);
    note(row.ops, op.name + (where.empty() ? "" : " at " + where));
    note(row.modules, where);
  }
  const double by_flops = over(g.flops, rates.f32_flops), by_bytes = over(g.bytes, rates.stream_bytes_per_s);
  row.count += 1;
  row.flops += g.flops;
  row.bytes += g.bytes;
  row.floor_seconds += std::max(by_flops, by_bytes);
  row.bound_by_flops = by_flops > by_bytes;
}

}  // namespace

std::string without_numbers(const std::string& where) {
  std::string out;
  for (size_t i = 0; i < where.size(); ++i) {
    const auto digit = [&](size_t k) { return k < where.size() && std::isdigit(static_cast<unsigned char>(where[k])); };
    // Only a whole part of the path is a number: "c_fc2" keeps its 2.
    size_t end = i;
    while (digit(end)) ++end;
    const bool begins = i == 0 || where[i - 1] == '.' || where[i - 1] == '/';
    const bool ends = end == where.size() || where[end] == '.' || where[end] == '/' || where[end] == ' ';
    if (end > i && begins && ends) {
      out += '*';
      i = end - 1;
    } else {
      out += where[i];
    }
  }
  return out;
}

Analysis analyse(const Profile& profile) {
  std::map<std::pair<std::string, std::string>, Sum> sums;
  Analysis a;
  const auto steps = static_cast<double>(profile.steps.size());
  for (const MeasuredStep& s : profile.steps) a.step_seconds += s.seconds / steps;
  for (const GraphRun& run : profile.runs) {
    const Explanation& x = profile.graphs[run.graph];
    for (const ExplainedGroup& g : x.groups) add_group(sums[{g.name, g.shapes}], g, profile.rates);
    double launched = 0;
    for (size_t l = 0; l < x.launches.size(); ++l) {
      const ExplainedGroup& g = x.groups[static_cast<size_t>(x.launches[l].group)];
      Sum& sum = sums[{g.name, g.shapes}];
      sum.row.seconds += run.seconds[l];
      sum.launches[x.launches[l].kernel] += run.seconds[l] / steps;
      launched += run.seconds[l];
    }
    a.between_seconds += (run.end() - run.begin() - launched) / steps;
  }
  for (auto& [key, sum] : sums) {
    KernelRow& row = sum.row;
    for (double* v : {&row.count, &row.seconds, &row.flops, &row.bytes, &row.floor_seconds}) *v /= steps;
    row.launches.assign(sum.launches.begin(), sum.launches.end());
    std::stable_sort(row.launches.begin(), row.launches.end(),
                     [](const auto& x, const auto& y) { return x.second > y.second; });
    a.kernel_seconds += row.seconds;
    a.floor_seconds += row.floor_seconds;
    a.flops += row.flops;
    a.bytes += row.bytes;
    a.kernels.push_back(std::move(row));
  }
  std::stable_sort(a.kernels.begin(), a.kernels.end(),
                   [](const KernelRow& x, const KernelRow& y) { return x.seconds > y.seconds; });
  a.outside_seconds = a.step_seconds - a.kernel_seconds - a.between_seconds;
  return a;
}

}  // namespace bgl::profile
