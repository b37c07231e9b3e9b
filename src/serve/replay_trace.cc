#include "serve/replay_trace.h"

#include <algorithm>
#include <list>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/env.h"

namespace bgl::serve {

Result<ReplayTrace> read_trace(const std::string& path, int64_t divide, double seconds) {
  BGL_ASSIGN(const std::string text, real_env().read_file(path));
  ReplayTrace out;
  out.block = std::max<int64_t>(1, out.block / divide);
  double first = 0;
  int64_t line = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const auto j = nlohmann::json::parse(text.begin() + static_cast<ptrdiff_t>(at), text.begin() + static_cast<ptrdiff_t>(end), nullptr, false);
    at = end + 1;
    ++line;
    const auto whole = [&](const char* key) { return j.is_object() && j.contains(key) && j[key].is_number() && j[key].get<double>() >= 0; };
    const bool good = whole("timestamp") && whole("input_length") && whole("output_length") && j.contains("hash_ids") && j["hash_ids"].is_array();
    if (!good) return data_loss("{}:{}: not a request of a trace: timestamp, input_length, output_length and hash_ids are expected", path, line);
    TraceRequest r;
    if (out.requests.empty()) first = j["timestamp"].get<double>();
    r.at_s = 1e-3 * (j["timestamp"].get<double>() - first);
    r.input = std::max<int64_t>(1, j["input_length"].get<int64_t>() / divide);
    r.output = std::max<int64_t>(1, j["output_length"].get<int64_t>() / divide);
    for (const auto& id : j["hash_ids"]) r.blocks.push_back(id.is_number_integer() ? id.get<int64_t>() : 0);
    if (static_cast<int64_t>(r.blocks.size()) * out.block < r.input) return data_loss("{}:{}: {} hash_ids are too few for {} tokens", path, line, r.blocks.size(), r.input);
    if (seconds > 0 && r.at_s > seconds) break;
    out.requests.push_back(std::move(r));
  }
  if (out.requests.empty()) return data_loss("{}: holds no requests", path);
  return out;
}

std::vector<int32_t> prompt_of(const TraceRequest& request, int64_t block, int32_t first, int32_t last) {
  std::vector<int32_t> out;
  for (int64_t i = 0; i < request.input; ++i) {
    uint64_t x = static_cast<uint64_t>(request.blocks[static_cast<size_t>(i / block)]) * 0x9e3779b97f4a7c15 + static_cast<uint64_t>(i % block) + 1;
    x = (x ^ x >> 31) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 29) * 0x94d049bb133111eb;
    out.push_back(first + static_cast<int32_t>((x >> 33) % static_cast<uint64_t>(last - first)));
  }
  return out;
}

double ideal_hit_ratio(const ReplayTrace& trace, int64_t tokens) {
  const auto capacity = static_cast<size_t>(tokens / trace.block);
  std::list<int64_t> order;  // oldest first
  std::unordered_map<int64_t, std::list<int64_t>::iterator> held;
  int64_t hits = 0, all = 0;
  for (const TraceRequest& r : trace.requests) {
    size_t k = 0;
    while (k < r.blocks.size() && held.count(r.blocks[k])) ++k;
    hits += std::min(static_cast<int64_t>(k) * trace.block, r.input);
    all += r.input;
    for (size_t i = r.blocks.size(); i-- > 0;) {
      const auto at = held.find(r.blocks[i]);
      if (at != held.end()) order.erase(at->second);
      order.push_back(r.blocks[i]);
      held[r.blocks[i]] = std::prev(order.end());
    }
    while (order.size() > capacity) {
      held.erase(order.front());
      order.pop_front();
    }
  }
  return static_cast<double>(hits) / static_cast<double>(std::max<int64_t>(all, 1));
}

}  // namespace bgl::serve
