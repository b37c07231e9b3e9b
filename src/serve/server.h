// The server as a program: loads a model, serves it, and drains at SIGTERM or SIGINT.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "serve/engine.h"

namespace bgl::serve {

struct ServerOptions {
  std::string model, tokenizer;
  std::optional<ops::WeightType> weights;  // absent: as the folder stores them
  std::string name;  // in requests; empty: the lineage's name, or the path's last part
  std::string host = "127.0.0.1";
  int port = 8000;
  std::string api_key;
  int drain_seconds = 30;
  // NAME=DIR: more models served beside the first, under that name. An adapter goes with the first one, whose weights it shares (models/adapters.h).
  std::vector<std::string> adapters, more_models;
  std::string trace;  // a file for the spans of every request (request_trace.h), or empty
  EngineOptions engine;
};

// Prints "serving NAME on http://HOST:PORT" to stdout when requests are answered; returns after the drain.
Status run_server(const ServerOptions& options);

}  // namespace bgl::serve
