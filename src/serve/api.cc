#include "serve/api.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/metrics.h"
#include "serve/answer.h"
#include "serve/api_request.h"
#include "serve/api_schema.h"
#include "serve/defaults.h"

namespace bgl::serve {
namespace {

using net::HttpRequest;
using net::HttpResponse;
using net::Responder;
using nlohmann::json;

}  // namespace

struct Api::Instruments {
  Metrics metrics;
  Counter& requests = metrics.counter("bgl_requests_total", "Requests to the completion endpoints");
  Counter& refused = metrics.counter("bgl_requests_refused_total", "Requests answered 429 because the queue was full");
  Counter& prompt_tokens = metrics.counter("bgl_prompt_tokens_total", "Tokens of prompts");
  Counter& cached_tokens = metrics.counter("bgl_prompt_tokens_cached_total", "Tokens of prompts whose keys were in the cache");
  Counter& generation_tokens = metrics.counter("bgl_generation_tokens_total", "Tokens generated");
  Gauge& running = metrics.gauge("bgl_requests_running", "Requests in the batch");
  Gauge& waiting = metrics.gauge("bgl_requests_waiting", "Requests in the queue");
  Gauge& cache_usage = metrics.gauge("bgl_kv_cache_usage_ratio", "Share of the KV cache's pages in use");
  Histogram& first_token = metrics.histogram("bgl_time_to_first_token_seconds", "From the request to its first token",
                                             {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30});
  Histogram& between = metrics.histogram("bgl_time_between_tokens_seconds", "Between two tokens of one answer",
                                         {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1});
};

namespace {

json model_entry(const ServedModel& m) {
  return {{"id", m.name()}, {"object", "model"}, {"created", 0}, {"owned_by", "bagualu"}, {"max_model_len", m.engine().context()}};
}
HttpResponse ok(const json& j) { return {200, "application/json", j.dump(-1, ' ', false, json::error_handler_t::replace), {}}; }
HttpResponse no_tokenizer() { return api_error(400, "this model is served without a tokenizer: start the server with --tokenizer"); }

}  // namespace

Api::Api(std::vector<const ServedModel*> models) : models_(std::move(models)), instruments_(std::make_unique<Instruments>()) {}
Api::~Api() = default;

const ServedModel* Api::find(const std::string& name) const {
  if (name.empty()) return models_.front();
  const auto at = std::find_if(models_.begin(), models_.end(), [&](const ServedModel* m) { return m->name() == name; });
  return at == models_.end() ? nullptr : *at;
}
HttpResponse Api::no_model(const std::string& name) const {
  std::string names;
  for (const ServedModel* m : models_) names += (names.empty() ? "'" : ", '") + m->name() + "'";
  return api_error(404, fmt::format("the model '{}' does not exist here; {} {} served", name, names, models_.size() == 1 ? "is" : "are"), "model", "model_not_found");
}

void Api::handle(HttpRequest request, std::shared_ptr<Responder> responder) {
  struct Route {
    const char *method, *path;
  };
  constexpr Route kRoutes[] = {{"GET", "/"},          {"GET", "/health"},           {"GET", "/version"},              {"GET", "/metrics"}, {"GET", "/openapi.json"},
                               {"GET", "/v1/models"}, {"POST", "/v1/completions"}, {"POST", "/v1/chat/completions"}, {"POST", "/tokenize"}, {"POST", "/detokenize"}};
  const std::string& path = request.path;
  constexpr std::string_view kOneModel = "/v1/models/";
  const auto route = std::find_if(std::begin(kRoutes), std::end(kRoutes), [&](const Route& r) { return path == r.path; });
  if (route == std::end(kRoutes) && !path.starts_with(kOneModel)) return responder->reply(api_error(404, "there is no " + path + " here", "", "not_found"));
  const std::string method = route == std::end(kRoutes) ? "GET" : route->method;
  if (request.method != method && !(request.method == "HEAD" && method == "GET")) {
    HttpResponse refusal = api_error(405, request.method + " is not what " + path + " answers", "", "method_not_allowed");
    refusal.headers.push_back({"Allow", method});
    return responder->reply(refusal);
  }
  if (path == "/v1/completions") return complete(request, std::move(responder), false);
  if (path == "/v1/chat/completions") return complete(request, std::move(responder), true);
  if (path == "/tokenize") return responder->reply(tokenize(request.body, false));
  if (path == "/detokenize") return responder->reply(tokenize(request.body, true));
  if (!path.starts_with(kOneModel)) return responder->reply(get(path));
  const std::string name = path.substr(kOneModel.size());
  const ServedModel* one = name.empty() ? nullptr : find(name);
  responder->reply(one ? ok(model_entry(*one)) : no_model(name));
}

HttpResponse Api::get(const std::string& path) {
  if (path == "/") return {200, "text/html; charset=utf-8", chat_page(models_.front()->name()), {}};
  if (path == "/health") return draining_ ? HttpResponse{503, "application/json", R"({"status":"draining"})", {}} : ok({{"status", "ok"}});
  if (path == "/version") return ok({{"version", BGL_VERSION}});
  if (path == "/metrics") return metrics_text();
  if (path == "/openapi.json") return {200, "application/json", openapi_document(), {}};
  json list = json::array();
  for (const ServedModel* m : models_) list.push_back(model_entry(*m));
  return ok({{"object", "list"}, {"data", list}});
}

void Api::complete(const HttpRequest& http, std::shared_ptr<Responder> responder, bool chat) {
  instruments_->requests.add();
  json body;
  if (const auto e = parse_body(http.body, body)) return responder->reply(api_error(400, e->message, e->param));
  if (const auto e = check_schema(body, chat ? chat_schema() : completion_schema())) return responder->reply(api_error(400, e->message, e->param));
  const std::string name = body.contains("model") && body["model"].is_string() ? body["model"].get<std::string>() : "";
  const ServedModel* served = find(name);
  if (!served) return responder->reply(no_model(name));
  if (!served->model().tokenizer) return responder->reply(no_tokenizer());
  ApiRequest request;
  request.sampling = default_sampling(served->model());
  const auto e = chat ? read_chat(http.body, body, served->chat(), request) : read_completion(http.body, body, *served->model().tokenizer, request);
  if (e) return responder->reply(api_error(400, e->message, e->param));
  const int64_t context = served->engine().context(), vocab = served->model().model->config().vocab;
  for (const auto& p : request.prompts) {
    const int64_t room = context - static_cast<int64_t>(p.size());
    if (!request.max_tokens_given && chat) request.max_tokens = room;
    if (room < std::max<int64_t>(request.max_tokens, 1)) {
      return responder->reply(api_error(400, fmt::format("this model's context is {} tokens, but the prompt has {} and max_tokens asks for {} more", context, p.size(), request.max_tokens),
                                        chat ? "messages" : "prompt", "context_length_exceeded"));
    }
    for (const int32_t t : p) {
      if (t >= vocab) return responder->reply(api_error(400, fmt::format("token {} is outside the vocabulary of {}", t, vocab), "prompt"));
    }
  }
  for (const auto& [token, bias] : request.sampling.logit_bias) {
    if (token >= vocab) return responder->reply(api_error(400, fmt::format("token {} is outside the vocabulary of {}", token, vocab), "logit_bias"));
  }
  if (!request.seed_given) request.seed = static_cast<uint64_t>(real_env().now_ns());
  run(*served, std::move(request), std::move(responder), chat);
}

void Api::run(const ServedModel& served, ApiRequest request, std::shared_ptr<Responder> responder, bool chat) {
  std::vector<int32_t> ends;
  if (!request.ignore_eos) ends = end_tokens(served.model());
  const auto answer = std::make_shared<Answer>(request, chat, served.name(), *served.model().tokenizer, responder);
  std::vector<Request> choices;
  for (const auto& prompt : request.prompts) {
    for (int64_t i = 0; i < request.n; ++i) {
      Request r{prompt, request.max_tokens, request.sampling, request.seed + static_cast<uint64_t>(i), ends};
      if (request.grammar) r.grammar = std::make_shared<Pushdown>(request.grammar, served.vocabulary());
      r.logprobs = request.logprobs;
      r.on_event = [this, answer, index = choices.size()](const Request::Event& e) {
        if (e.token >= 0) instruments_->generation_tokens.add();
        return answer->on_event(index, e, [this](double first, double between) {
          if (first >= 0) instruments_->first_token.observe(first);
          if (between >= 0) instruments_->between.observe(between);
        });
      };
      choices.push_back(std::move(r));
    }
    instruments_->prompt_tokens.add(static_cast<double>(prompt.size()));
  }
  const Status s = served.engine().submit(std::move(choices));
  if (s.ok()) return;
  const bool busy = s.code() == Code::kResourceExhausted;
  if (busy) instruments_->refused.add();
  HttpResponse refusal = api_error(busy ? (draining_ ? 503 : 429) : 400, s.message(), busy || !request.grammar ? "" : "response_format", busy ? "overloaded" : "");
  if (busy) refusal.headers.push_back({"Retry-After", "1"});
  responder->reply(refusal);
}

// /tokenize, and `back` /detokenize.
HttpResponse Api::tokenize(const std::string& text, bool back) const {
  json body;
  if (const auto e = parse_body(text, body)) return api_error(400, e->message, e->param);
  if (const auto e = check_schema(body, back ? detokenize_schema() : tokenize_schema())) return api_error(400, e->message, e->param);
  const std::string name = body.contains("model") && body["model"].is_string() ? body["model"].get<std::string>() : "";
  const ServedModel* served = find(name);
  if (!served) return no_model(name);
  if (!served->model().tokenizer) return no_tokenizer();
  const text::Tokenizer& tokenizer = *served->model().tokenizer;
  if (back) return ok({{"prompt", tokenizer.decode(body["tokens"].get<std::vector<int32_t>>())}});
  const auto has = [&](const char* key) { return body.contains(key) && !body[key].is_null(); };
  if (has("prompt") == has("messages")) return api_error(400, "one of 'prompt' and 'messages' is required", "prompt");
  std::vector<int32_t> tokens;
  if (has("messages")) {
    auto turn = served->chat().tokens(body);
    if (!turn.ok()) return api_error(400, turn.status().message(), "messages");
    tokens = std::move(turn->tokens);
  } else {
    tokens = tokenizer.encode(body["prompt"].get<std::string>());
    const bool marks = !has("add_special_tokens") || body["add_special_tokens"].get<bool>();
    if (marks && tokenizer.adds_bos() && tokenizer.bos()) tokens.insert(tokens.begin(), *tokenizer.bos());
  }
  json out = {{"tokens", tokens}, {"count", tokens.size()}, {"max_model_len", served->engine().context()}};
  if (has("return_token_strs") && body["return_token_strs"].get<bool>()) {
    out["token_strs"] = json::array();
    for (const int32_t t : tokens) out["token_strs"].push_back(tokenizer.token_bytes(t));
  }
  return ok(out);
}

HttpResponse Api::metrics_text() {
  EngineStats all;
  for (const ServedModel* m : models_) {
    const EngineStats s = m->engine().stats();
    all.running += s.running;
    all.waiting += s.waiting;
    all.pages += s.pages;
    all.pages_available += s.pages_available;
    all.cached_prompt_tokens += s.cached_prompt_tokens;
  }
  instruments_->running.set(static_cast<double>(all.running));
  instruments_->waiting.set(static_cast<double>(all.waiting));
  instruments_->cache_usage.set(all.pages > 0 ? 1 - static_cast<double>(all.pages_available) / static_cast<double>(all.pages) : 0);
  if (const double more = static_cast<double>(all.cached_prompt_tokens) - instruments_->cached_tokens.value(); more > 0) instruments_->cached_tokens.add(more);
  return {200, kMetricsContentType, instruments_->metrics.text(), {}};
}

}  // namespace bgl::serve
