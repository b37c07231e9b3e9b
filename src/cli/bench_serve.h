// A load on a running server: `bgl bench serve`.
#pragma once

#include <string>

#include "cli/bench.h"

namespace bgl::cli {

struct ServeLoad {
  std::string url = "http://127.0.0.1:8000";
  std::string trace;       // in Mooncake's format (serve/replay_trace.h); or
  double rate = 0;         // requests a second at random times; or
  int clients = 0;         // each sending one after the other
  double seconds = 0;      // of the load; 0: the whole trace
  int64_t divide = 64;     // the trace's lengths are this much shorter
  double speed = 1;        // of the trace's clock
  int64_t input = 64, output = 32;          // tokens of a made request
  int32_t first_token = 256, last_token = 512;  // ids that prompts are made of
  double ttft_ms = 0, tbt_ms = 0;           // what is good; 0: no limit
  int pid = 0;                              // of the server on this machine, whose memory is watched
  std::string html;
};
BenchResults bench_serve(const ServeLoad& load);

}  // namespace bgl::cli
