// `bgl bench serve`: a recorded or made load on a running server, on time, and what its clients saw of it.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "base/env.h"
#include "cli/bench_serve.h"
#include "cli/load_client.h"
#include "report/page.h"
#include "serve/replay_trace.h"

namespace bgl::cli {
namespace {

using nlohmann::json;

double quantile(std::vector<double> v, double q) {
  if (v.empty()) return 0;
  std::sort(v.begin(), v.end());
  return v[std::min(v.size() - 1, static_cast<size_t>(q * static_cast<double>(v.size())))];
}
double mean_of(const std::vector<double>& v) {
  double sum = 0;
  for (const double x : v) sum += x;
  return v.empty() ? 0 : sum / static_cast<double>(v.size());
}
// Mooncake's time between tokens of an answer: the mean of the longest tenth of its intervals.
double slow_tenth(std::vector<double> v) {
  if (v.empty()) return 0;
  std::sort(v.rbegin(), v.rend());
  v.resize(std::max<size_t>(1, v.size() / 10));
  return mean_of(v);
}

// Resident bytes of a process, once a second.
class MemoryWatch {
 public:
  explicit MemoryWatch(int pid) : pid_(pid) {
    if (pid_ > 0) thread_ = std::thread([this] { run(); });
  }
  ~MemoryWatch() { stop(); }
  void stop() {
    done_ = true;
    if (thread_.joinable()) thread_.join();
  }
  std::vector<double> seconds, bytes;
  // Bytes a minute after the first minute: the slope of the line through the points.
  double slope_per_minute() const {
    double n = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (size_t i = 0; i < seconds.size(); ++i) {
      if (seconds[i] < 60) continue;
      const double m = seconds[i] / 60;
      n += 1, x += m, y += bytes[i], xx += m * m, xy += m * bytes[i];
    }
    return n < 2 ? 0 : (n * xy - x * y) / (n * xx - x * x);
  }

 private:
  void run() {
    const double start = seconds_now();
    while (!done_) {
      const auto text = real_env().read_file(fmt::format("/proc/{}/statm", pid_));
      long long pages = 0, resident = 0;
      if (text.ok() && std::sscanf(text->c_str(), "%lld %lld", &pages, &resident) == 2) {
        seconds.push_back(seconds_now() - start);
        bytes.push_back(static_cast<double>(resident) * 4096);
      }
      for (int i = 0; i < 10 && !done_; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
  int pid_;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

// No two begin alike.
LoadRequest made(const ServeLoad& o, int64_t i) {
  constexpr int64_t kBlock = 64;
  serve::TraceRequest t{0, o.input, o.output, {}};
  for (int64_t b = 0; b * kBlock < o.input; ++b) t.blocks.push_back(i * 100000 + b);
  return {0, prompt_of(t, kBlock, o.first_token, o.last_token), o.output};
}

Result<std::vector<Seen>> run_load(const ServeLoad& o, double& ideal) {
  if (!o.trace.empty()) {
    BGL_ASSIGN(const serve::ReplayTrace trace, serve::read_trace(o.trace, o.divide, o.seconds));
    BGL_ASSIGN(const double pages, metric_of(o.url, "vllm:cache_config_info{", "num_gpu_blocks"));
    BGL_ASSIGN(const double page, metric_of(o.url, "vllm:cache_config_info{", "block_size"));
    BGL_ASSIGN(const double context, metric_of(o.url, "bgl_context_tokens{"));
    ideal = serve::ideal_hit_ratio(trace, static_cast<int64_t>(pages * page));
    std::vector<LoadRequest> requests;
    for (const serve::TraceRequest& t : trace.requests) {
      LoadRequest r{t.at_s / o.speed, prompt_of(t, trace.block, o.first_token, o.last_token), t.output};
      // What the model's context cannot hold loses its end.
      const auto room = static_cast<size_t>(std::max(1.0, context - static_cast<double>(r.output)));
      if (r.prompt.size() > room) r.prompt.resize(room);
      requests.push_back(std::move(r));
    }
    return run_open(o.url, requests);
  }
  if (o.clients > 0) return run_closed(o.url, o.clients, o.seconds, [&](int64_t i) { return made(o, i); });
  if (o.rate <= 0 || o.seconds <= 0) return invalid_argument("name a trace, or --rate, or --clients, with --seconds");
  std::mt19937_64 random(1);
  std::exponential_distribution<double> gap(o.rate);
  std::vector<LoadRequest> requests;
  for (double at = 0; (at += gap(random)) < o.seconds;) {
    requests.push_back(made(o, static_cast<int64_t>(requests.size())));
    requests.back().due = at;
  }
  return run_open(o.url, requests);
}

struct Summary {
  std::vector<double> first, between, slowest, refusal, late, first_at;
  int64_t good = 0, refused = 0, failed = 0, tokens = 0, prompt = 0, cached = 0;
  double seconds = 0;
};
Summary summed(const std::vector<Seen>& all, const ServeLoad& o) {
  Summary s;
  for (const Seen& x : all) {
    s.seconds = std::max(s.seconds, x.sent + x.ended);
    s.late.push_back(x.sent - x.due);
    if (x.status == 429) {
      ++s.refused;
      s.refusal.push_back(x.ended);
    } else if (x.status != 200 || x.first < 0) {
      ++s.failed;
    } else {
      s.first.push_back(x.first);
      s.first_at.push_back(x.sent);
      s.between.insert(s.between.end(), x.between.begin(), x.between.end());
      s.slowest.push_back(slow_tenth(x.between));
      s.good += (o.ttft_ms <= 0 || x.first <= 1e-3 * o.ttft_ms) && (o.tbt_ms <= 0 || s.slowest.back() <= 1e-3 * o.tbt_ms);
      s.tokens += x.tokens, s.prompt += x.prompt_tokens, s.cached += x.cached_tokens;
    }
  }
  return s;
}

report::PlotSeries curve(const char* name, std::vector<double> v) {
  std::sort(v.begin(), v.end());
  report::PlotSeries out{name, {}, {}};
  for (size_t i = 0; i < v.size(); i += std::max<size_t>(1, v.size() / 500)) {
    out.x.push_back(1e3 * v[i]);
    out.y.push_back(static_cast<double>(i + 1) / static_cast<double>(v.size()));
  }
  return out;
}

std::string page_of(const std::vector<BenchResult>& results, const Summary& s, const MemoryWatch& memory) {
  report::Page page("bgl bench serve");
  report::Table table({"name", "value", "unit"});
  for (const BenchResult& r : results) table.add_row({r.name, fmt::format("{:.4g}", r.value), r.unit});
  page.table(table);
  std::vector<double> ms;
  for (const double x : s.first) ms.push_back(1e3 * x);
  const report::PlotSeries first[] = {{"first token", s.first_at, ms, true}};
  page.plot(first, {.title = "Time to first token", .x_label = "sent after s", .y_label = "ms", .log_y = true});
  const report::PlotSeries shares[] = {curve("to first token", s.first), curve("between tokens", s.between)};
  page.plot(shares, {.title = "Share of tokens within", .x_label = "ms", .y_label = "share", .log_x = true});
  if (!memory.bytes.empty()) {
    std::vector<double> mb;
    for (const double b : memory.bytes) mb.push_back(b / 1e6);
    const report::PlotSeries resident[] = {{"resident", memory.seconds, mb}};
    page.plot(resident, {.title = "Memory of the server", .x_label = "s", .y_label = "MB"});
  }
  return page.html();
}

}  // namespace

BenchResults bench_serve(const ServeLoad& o) {
  MemoryWatch memory(o.pid);
  double ideal = 0;
  BGL_ASSIGN(const std::vector<Seen> all, run_load(o, ideal));
  memory.stop();
  const Summary s = summed(all, o);
  const auto n = static_cast<double>(all.size());
  std::vector<BenchResult> out;
  const auto add = [&](const char* name, double value, const char* unit) { out.push_back({.name = name, .value = value, .unit = unit}); };
  add("requests", n, "");
  add("answered", static_cast<double>(s.first.size()), "");
  add("refused", static_cast<double>(s.refused), "");
  add("failed", static_cast<double>(s.failed), "");
  add("answered_per_s", static_cast<double>(s.first.size()) / s.seconds, "1/s");
  add("tokens_per_s", static_cast<double>(s.tokens) / s.seconds, "1/s");
  for (const auto& [name, v] : {std::pair("first_token", &s.first), std::pair("between_tokens", &s.between), std::pair("slow_tenth_between", &s.slowest), std::pair("refusal", &s.refusal),
                                std::pair("sent_late", &s.late)}) {
    for (const auto& [q, label] : {std::pair(0.5, "p50"), std::pair(0.9, "p90"), std::pair(0.99, "p99")}) add(fmt::format("{}_{}", name, label).c_str(), 1e3 * quantile(*v, q), "ms");
  }
  add("goodput", static_cast<double>(s.good) / s.seconds, "1/s");
  add("good_share", static_cast<double>(s.good) / std::max(n, 1.0), "of all");
  add("good_share_of_answered", static_cast<double>(s.good) / std::max(static_cast<double>(s.first.size()), 1.0), "");
  const double hits = static_cast<double>(s.cached) / std::max(static_cast<double>(s.prompt), 1.0);
  add("cache_hit_ratio", hits, "of prompt tokens");
  if (!o.trace.empty()) add("ideal_lru_hit_ratio", ideal, "of prompt tokens");
  if (!memory.bytes.empty()) {
    add("memory_at_end", memory.bytes.back() / 1e6, "MB");
    add("memory_growth", memory.slope_per_minute() / 1e6, "MB/min");
  }
  if (!o.html.empty()) BGL_TRY(real_env().write_file_atomic(o.html, page_of(out, s, memory)));
  return out;
}

}  // namespace bgl::cli
