#include "serve/server.h"

#include <sys/resource.h>

#include <algorithm>
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

// Raises the limit of open files to the hard one; returns how many connections fit beside the files of our own.
int raise_connection_limit() {
  constexpr rlim_t kOwn = 128, kMost = 100000;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024 - kOwn;
  const rlimit raised{limit.rlim_max, limit.rlim_max};
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  return static_cast<int>(std::clamp<rlim_t>(limit.rlim_cur > kOwn ? limit.rlim_cur - kOwn : 1, 1, kMost));
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
  std::unique_ptr<RequestTrace> trace;
  if (!o.trace.empty()) {
    BGL_ASSIGN(trace, RequestTrace::create(o.trace));
  }
  Api api({&served}, trace.get());
  net::HttpServerOptions http;
  http.host = o.host;
  http.port = o.port;
  http.api_key = o.api_key;
  http.open_paths = {"/", "/health"};
  http.max_connections = raise_connection_limit();
  BGL_ASSIGN(const auto server, net::HttpServer::start(http, [&api](net::HttpRequest request, std::shared_ptr<net::Responder> responder) {
    api.handle(std::move(request), std::move(responder));
  }));
  std::fprintf(stderr, "%s; room for %d connections\n", models::weights_text(*model.model).c_str(), http.max_connections);
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
