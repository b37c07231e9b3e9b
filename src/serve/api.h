// OpenAI's HTTP API over the models served: /v1/models, /v1/completions, /v1/chat/completions, and beside it /tokenize, /detokenize,
// /health, /version, /metrics, /openapi.json (api_schema.h), and a chat page at /.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "net/http_server.h"
#include "serve/request_trace.h"
#include "serve/served_model.h"

namespace bgl::serve {

struct ApiRequest;

class Api {
 public:
  // At least one model; the first one answers requests that name none. They must outlive the Api.
  // `trace` gets every request that ends; it may be null.
  explicit Api(std::vector<const ServedModel*> models, RequestTrace* trace = nullptr);
  ~Api();
  // The server's handler; any thread.
  void handle(net::HttpRequest request, std::shared_ptr<net::Responder> responder);
  void set_draining() { draining_ = true; }

 private:
  void complete(const net::HttpRequest& request, std::shared_ptr<net::Responder> responder, bool chat);
  void run(const ServedModel& served, ApiRequest request, std::shared_ptr<net::Responder> responder, bool chat);
  net::HttpResponse tokenize(const std::string& body, bool back) const;
  net::HttpResponse get(const std::string& path);
  // The model of that name, or null; empty: the first.
  const ServedModel* find(const std::string& name) const;
  net::HttpResponse no_model(const std::string& name) const;
  net::HttpResponse metrics_text();

  const std::vector<const ServedModel*> models_;
  std::atomic<bool> draining_{false};
  RequestTrace* const trace_;
  Metrics metrics_;
  struct Instruments;
  std::map<const ServedModel*, std::unique_ptr<Instruments>> instruments_;
  std::mutex counts_mutex_;
};

// The page at /: a small chat in one HTML file without anything from elsewhere.
std::string chat_page(const std::string& model_name);

}  // namespace bgl::serve
