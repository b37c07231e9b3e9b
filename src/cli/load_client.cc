#include "cli/load_client.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/bench.h"
#include "net/http_client.h"

namespace bgl::cli {
namespace {

using nlohmann::json;

void ask(net::HttpClient& client, const LoadRequest& r, double start, Seen& seen) {
  const json body = {{"prompt", r.prompt}, {"max_tokens", r.output}, {"temperature", 0}, {"ignore_eos", true}, {"stream", true}, {"stream_options", {{"include_usage", true}}}};
  seen.due = r.due;
  seen.sent = seconds_now() - start;
  double last = 0;
  const auto answer = client.post_stream("/v1/completions", body.dump(), [&](std::string_view data) {
    if (data == "[DONE]") return true;
    const json j = json::parse(data, nullptr, false);
    if (!j.is_object()) return true;
    const double now = seconds_now() - start;
    if (j.contains("usage") && j["usage"].is_object()) {
      seen.prompt_tokens = j["usage"].value("prompt_tokens", int64_t{0});
      seen.tokens = j["usage"].value("completion_tokens", int64_t{0});
      seen.cached_tokens = j["usage"]["prompt_tokens_details"].value("cached_tokens", int64_t{0});
      return true;
    }
    if (seen.first < 0) seen.first = now - seen.sent;
    else seen.between.push_back(now - last);
    last = now;
    return true;
  });
  seen.ended = seconds_now() - start - seen.sent;
  seen.status = answer.ok() ? answer->status : 0;
}

}  // namespace

std::vector<Seen> run_open(const std::string& url, const std::vector<LoadRequest>& requests) {
  std::vector<Seen> out(requests.size());
  std::vector<std::thread> threads;
  std::mutex mutex;  // guards free
  std::vector<std::unique_ptr<net::HttpClient>> free;  // connections kept from earlier requests
  std::atomic<int64_t> open{0};
  const double start = seconds_now();
  for (size_t i = 0; i < requests.size(); ++i) {
    const double wait = requests[i].due - (seconds_now() - start);
    if (wait > 0) std::this_thread::sleep_for(std::chrono::duration<double>(wait));
    ++open;
    std::thread([&, i] {
      std::unique_ptr<net::HttpClient> client;
      {
        const std::lock_guard lock(mutex);
        if (!free.empty()) {
          client = std::move(free.back());
          free.pop_back();
        }
      }
      if (!client) client = std::move(net::HttpClient::create(url)).value();
      ask(*client, requests[i], start, out[i]);
      {
        const std::lock_guard lock(mutex);
        free.push_back(std::move(client));
      }
      --open;
    }).detach();
  }
  while (open > 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  return out;
}

std::vector<Seen> run_closed(const std::string& url, int clients, double seconds, const std::function<LoadRequest(int64_t)>& make) {
  std::vector<std::vector<Seen>> each(static_cast<size_t>(clients));
  std::vector<std::thread> threads;
  std::atomic<int64_t> next{0};
  const double start = seconds_now();
  for (auto& mine : each) {
    threads.emplace_back([&] {
      const auto client = std::move(net::HttpClient::create(url)).value();
      while (seconds_now() - start < seconds) {
        LoadRequest r = make(next++);
        r.due = seconds_now() - start;
        mine.emplace_back();
        ask(*client, r, start, mine.back());
      }
    });
  }
  for (std::thread& t : threads) t.join();
  std::vector<Seen> out;
  for (auto& mine : each) out.insert(out.end(), mine.begin(), mine.end());
  return out;
}

Result<double> metric_of(const std::string& url, const std::string& beginning, const std::string& label) {
  BGL_ASSIGN(const auto client, net::HttpClient::create(url));
  BGL_ASSIGN(const auto answer, client->get("/metrics"));
  const size_t at = answer.body.find("\n" + beginning);
  if (at == std::string::npos) return not_found("{}/metrics has no {}", url, beginning);
  const std::string line = answer.body.substr(at + 1, answer.body.find('\n', at + 1) - at - 1);
  const size_t value = label.empty() ? line.rfind(' ') + 1 : line.find(label + "=\"") + label.size() + 2;
  return std::strtod(line.c_str() + std::min(value, line.size()), nullptr);
}

}  // namespace bgl::cli
