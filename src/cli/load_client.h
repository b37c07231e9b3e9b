// A load on a running server, and what its clients saw.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"

namespace bgl::cli {

// One request and its answer, in seconds.
struct Seen {
  double due = 0, sent = 0;      // after the load's start; the same where nothing is late
  int status = 0;                // of HTTP; 0: no answer
  double first = -1, ended = 0;  // after `sent`
  std::vector<double> between;   // between two tokens
  int64_t prompt_tokens = 0, cached_tokens = 0, tokens = 0;
};

struct LoadRequest {
  double due = 0;
  std::vector<int32_t> prompt;
  int64_t output = 1;
};

// Open loop: every request goes out when it is due, whatever became of those before, each on a connection of its own thread.
std::vector<Seen> run_open(const std::string& url, const std::vector<LoadRequest>& requests);
// Closed loop: `clients` send one after the other for `seconds`; make(i) gives the i-th request.
std::vector<Seen> run_closed(const std::string& url, int clients, double seconds, const std::function<LoadRequest(int64_t)>& make);

// The value of a metric with these first characters ("vllm:cache_config_info{"), or that of its label.
Result<double> metric_of(const std::string& url, const std::string& beginning, const std::string& label = "");

}  // namespace bgl::cli
