// OpenAI's HTTP API over one engine: /v1/models, /v1/completions, /v1/chat/completions, /health, /metrics, and a chat page at /.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "models/folder.h"
#include "net/http_server.h"
#include "serve/engine.h"

namespace bgl::serve {

class Api {
 public:
  // `name`: what the model is called in requests. Both must outlive the Api.
  Api(const models::LoadedModel& model, Engine& engine, std::string name);
  ~Api();
  // The server's handler; any thread.
  void handle(net::HttpRequest request, std::shared_ptr<net::Responder> responder);
  void set_draining() { draining_ = true; }

 private:
  void answer(const net::HttpRequest& request, std::shared_ptr<net::Responder> responder, bool chat);
  net::HttpResponse models_list() const;
  net::HttpResponse metrics_text();

  const models::LoadedModel& model_;
  Engine& engine_;
  std::string name_;
  std::atomic<bool> draining_{false};
  struct Instruments;
  std::unique_ptr<Instruments> instruments_;
};

// The page at /: a small chat in one HTML file without anything from elsewhere.
std::string chat_page(const std::string& model_name);

}  // namespace bgl::serve
