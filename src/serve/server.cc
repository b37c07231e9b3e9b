#include "serve/server.h"

#include <csignal>
#include <cstdio>
#include <memory>

#include "base/env.h"
#include "base/log.h"
#include "models/folder.h"
#include "models/inference.h"
#include "net/http_server.h"
#include "serve/api.h"

namespace bgl::serve {
namespace {

// Waits for SIGTERM or SIGINT, which must be blocked in every thread.
int wait_for_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  int received = 0;
  sigwait(&set, &received);
  return received;
}
void block_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

std::string served_name(const ServerOptions& o, const models::LoadedModel& model) {
  if (!o.name.empty()) return o.name;
  if (!model.lineage.name.empty()) return model.lineage.name;
  std::string name = base_name(o.model);
  if (name.ends_with(".bin")) name.resize(name.size() - 4);
  return name;
}

}  // namespace

Status run_server(const ServerOptions& o) {
  block_signals();  // before any thread is made
  BGL_ASSIGN(models::LoadedModel model, models::load_for_inference(o.model, o.tokenizer, o.weights));
  BGL_ASSIGN(const auto engine, Engine::create(*model.model, o.engine));
  const ServedModel served(served_name(o, model), model, *engine);
  if (model.tokenizer && !served.chat().status().ok()) log_warn("chats will be refused: {}", served.chat().status().message());
  Api api({&served});
  net::HttpServerOptions http;
  http.host = o.host;
  http.port = o.port;
  http.api_key = o.api_key;
  http.open_paths = {"/", "/health"};
  BGL_ASSIGN(const auto server, net::HttpServer::start(http, [&api](net::HttpRequest request, std::shared_ptr<net::Responder> responder) {
    api.handle(std::move(request), std::move(responder));
  }));
  std::fprintf(stderr, "%s\n", models::weights_text(*model.model).c_str());
  std::printf("serving %s on http://%s:%d\n", served.name().c_str(), o.host.c_str(), server->port());
  std::fflush(stdout);
  const int received = wait_for_signal();
  std::fprintf(stderr, "%s: no new requests; %lld in work end first\n", received == SIGTERM ? "SIGTERM" : "SIGINT",
               static_cast<long long>(engine->stats().running + engine->stats().waiting));
  api.set_draining();
  const bool done = engine->drain(o.drain_seconds);
  server->stop(done ? 2000 : 0);
  return done ? Status() : make_status(Code::kUnavailable, "requests were still in work after {} s and were broken off", o.drain_seconds);
}

}  // namespace bgl::serve
