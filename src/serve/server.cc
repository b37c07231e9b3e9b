#include "serve/server.h"

#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <set>

#include "base/env.h"
#include "base/log.h"
#include "models/adapters.h"
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

// A model with its engine, and the names that requests reach it by: its own, then its adapters'. They stay where they are.
struct Place {
  Place(std::string called, models::LoadedModel loaded) : names({std::move(called)}), model(std::move(loaded)) {}
  std::vector<std::string> names;
  models::LoadedModel model;
  std::unique_ptr<Engine> engine;
  std::vector<std::unique_ptr<ServedModel>> served;  // by names
};
using Places = std::vector<std::unique_ptr<Place>>;

// NAME=DIR of an option.
Result<std::pair<std::string, std::string>> named_dir(const std::string& text, const char* option) {
  const size_t at = text.find('=');
  if (at == std::string::npos || at == 0 || at + 1 == text.size()) return invalid_argument("{} {}: NAME=DIR is expected", option, text);
  return std::pair(text.substr(0, at), text.substr(at + 1));
}

struct NamedAdapters {
  std::vector<std::string> names, dirs;
};
Result<NamedAdapters> adapters_of(const ServerOptions& o) {
  NamedAdapters out;
  for (const std::string& text : o.adapters) {
    BGL_ASSIGN(auto named, named_dir(text, "--adapter"));
    out.names.push_back(std::move(named.first));
    out.dirs.push_back(std::move(named.second));
  }
  return out;
}

// Refuses what does not fit before any of it is loaded.
Status check_memory(const ServerOptions& o) {
  std::vector<std::string> paths = {o.model};
  for (const std::string& text : o.more_models) {
    BGL_ASSIGN(const auto named, named_dir(text, "--also"));
    paths.push_back(named.second);
  }
  std::vector<models::InferenceNeed> needs;
  std::vector<models::MemoryItem> engines;
  for (const std::string& path : paths) {
    BGL_ASSIGN(needs.emplace_back(), models::inference_need(path, o.weights));
    for (models::MemoryItem& item : engine_need(needs.back().config, o.engine)) engines.push_back(std::move(item));
  }
  BGL_ASSIGN(const auto adapters, adapters_of(o));
  if (!adapters.dirs.empty()) {
    BGL_ASSIGN(const int64_t bytes, models::adapters_bytes(adapters.dirs));
    engines.push_back({fmt::format("of {} adapters", adapters.dirs.size()), bytes});
  }
  return models::check_fits(needs, std::move(engines), kSmallerEngine);
}

Status names_differ(const Places& places) {
  std::set<std::string> seen;
  for (const auto& p : places) {
    for (const std::string& name : p->names) {
      if (!seen.insert(name).second) return invalid_argument("two models are called '{}': give one another name", name);
    }
  }
  return Status();
}

Result<Places> load_all(const ServerOptions& o) {
  BGL_TRY(check_memory(o));
  Places out;
  BGL_ASSIGN(models::LoadedModel first, models::load_for_inference(o.model, o.tokenizer, o.weights));
  const std::string name = served_name(o, first);
  out.push_back(std::make_unique<Place>(name, std::move(first)));
  BGL_ASSIGN(const auto adapters, adapters_of(o));
  BGL_TRY(models::load_adapters(*out[0]->model.model, o.model, adapters.dirs));
  out[0]->names.insert(out[0]->names.end(), adapters.names.begin(), adapters.names.end());
  for (const std::string& text : o.more_models) {
    BGL_ASSIGN(const auto named, named_dir(text, "--also"));
    BGL_ASSIGN(models::LoadedModel model, models::load_for_inference(named.second, "", o.weights));
    out.push_back(std::make_unique<Place>(named.first, std::move(model)));
  }
  BGL_TRY(names_differ(out));
  return out;
}

// Engines that share the machine take turns at `turn`.
Status start_all(const Places& places, EngineOptions options, std::mutex& turn) {
  if (places.size() > 1) options.turn = &turn;
  for (const auto& p : places) {
    BGL_ASSIGN(p->engine, Engine::create(*p->model.model, options));
    for (const std::string& name : p->names) {
      const auto adapter = static_cast<int64_t>(p->served.size());
      p->served.push_back(std::make_unique<ServedModel>(name, p->model, *p->engine, adapter, adapter > 0 ? p->served[0].get() : nullptr));
    }
    const ServedModel& base = *p->served[0];
    if (p->model.tokenizer && !base.chat().status().ok()) log_warn("chats with {} will be refused: {}", base.name(), base.chat().status().message());
  }
  return Status();
}

}  // namespace

Status run_server(const ServerOptions& o) {
  block_signals();  // before any thread is made
  std::mutex turn;
  BGL_ASSIGN(const Places places, load_all(o));
  BGL_TRY(start_all(places, o.engine, turn));
  std::vector<const ServedModel*> all;
  for (const auto& p : places) {
    for (const auto& served : p->served) all.push_back(served.get());
  }
  std::unique_ptr<RequestTrace> trace;
  if (!o.trace.empty()) {
    BGL_ASSIGN(trace, RequestTrace::create(o.trace));
  }
  Api api(all, trace.get());
  net::HttpServerOptions http;
  http.host = o.host;
  http.port = o.port;
  http.api_key = o.api_key;
  http.open_paths = {"/", "/health"};
  http.max_connections = raise_connection_limit();
  BGL_ASSIGN(const auto server, net::HttpServer::start(http, [&api](net::HttpRequest request, std::shared_ptr<net::Responder> responder) {
    api.handle(std::move(request), std::move(responder));
  }));
  for (const auto& p : places) std::fprintf(stderr, "%s: %s\n", p->names[0].c_str(), models::weights_text(*p->model.model).c_str());
  std::fprintf(stderr, "room for %d connections\n", http.max_connections);
  std::string names;
  for (const ServedModel* m : all) names += (names.empty() ? "" : ", ") + m->name();
  const std::string host = o.host.find(':') == std::string::npos ? o.host : "[" + o.host + "]";  // IPv6
  std::printf("serving %s on http://%s:%d\n", names.c_str(), host.c_str(), server->port());
  std::fflush(stdout);
  const int received = wait_for_signal();
  int64_t in_work = 0;
  for (const auto& p : places) in_work += p->engine->stats().running + p->engine->stats().waiting;
  std::fprintf(stderr, "%s: no new requests; %lld in work end first\n", received == SIGTERM ? "SIGTERM" : "SIGINT", static_cast<long long>(in_work));
  api.set_draining();
  bool done = true;
  const double end = 1e-9 * static_cast<double>(real_env().now_ns()) + o.drain_seconds;
  for (const auto& p : places) done = p->engine->drain(std::max(0.0, end - 1e-9 * static_cast<double>(real_env().now_ns()))) && done;
  // Before the server and the figures go, which engines call back to; then what they said last may go out.
  for (const auto& p : places) p->engine->stop();
  server->stop(2000);
  return done ? Status() : make_status(Code::kUnavailable, "requests were still in work after {} s and were broken off", o.drain_seconds);
}

}  // namespace bgl::serve
