#include "serve/api.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/metrics.h"
#include "serve/answer.h"
#include "serve/api_request.h"
#include "serve/api_schema.h"
#include "serve/defaults.h"
#include "serve/page_pool.h"

namespace bgl::serve {
namespace {

using net::HttpRequest;
using net::HttpResponse;
using net::Responder;
using nlohmann::json;

}  // namespace

// The figures of one model. Names of vLLM's where the meaning is the same, so that its dashboards show them.
struct Api::Instruments {
  Instruments(Metrics& m, const std::string& name) : metrics(m), labels{{"model_name", name}} {}
  Counter& counter(const char* name, const char* help) { return metrics.counter(name, help, labels); }
  Gauge& gauge(const char* name, const char* help) { return metrics.gauge(name, help, labels); }
  Histogram& seconds(const char* name, const char* help) {
    return metrics.histogram(name, help, {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80}, labels);
  }
  Histogram& tokens(const char* name, const char* help) { return metrics.histogram(name, help, {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000}, labels); }
  void ended(const Request::Event& e, int64_t prompt_tokens, int64_t answer_tokens);

  Metrics& metrics;
  const MetricLabels labels;
  Counter& requests = counter("bgl_requests_total", "Requests to the completion endpoints");
  Counter& refused = counter("bgl_requests_refused_total", "Requests answered 429: the queue was full, or the first token would have come too late");
  Counter& prompt_tokens = counter("vllm:prompt_tokens_total", "Tokens of prompts");
  Counter& generation_tokens = counter("vllm:generation_tokens_total", "Tokens generated");
  Counter& cache_queries = counter("vllm:prefix_cache_queries_total", "Tokens of prompts that were looked for in the cache");
  Counter& cache_hits = counter("vllm:prefix_cache_hits_total", "Tokens of prompts that were found there");
  Gauge& running = gauge("vllm:num_requests_running", "Requests in the batch");
  Gauge& waiting = gauge("vllm:num_requests_waiting", "Requests in the queue");
  Gauge& cache_usage = gauge("vllm:kv_cache_usage_perc", "Share of the KV cache's pages in use, 1 is all");
  Histogram& first_token = seconds("vllm:time_to_first_token_seconds", "From the request to its first token");
  Histogram& between = seconds("vllm:inter_token_latency_seconds", "Between two tokens of one answer");
  Histogram& whole = seconds("vllm:e2e_request_latency_seconds", "From the request to its end");
  Histogram& queue = seconds("vllm:request_queue_time_seconds", "In the queue");
  Histogram& prefill = seconds("vllm:request_prefill_time_seconds", "From the batch to the first token");
  Histogram& decode = seconds("vllm:request_decode_time_seconds", "From the first token to the last");
  Histogram& prompt_sizes = tokens("vllm:request_prompt_tokens", "Tokens of a prompt");
  Histogram& answer_sizes = tokens("vllm:request_generation_tokens", "Tokens of an answer");
};

void Api::Instruments::ended(const Request::Event& e, int64_t prompt, int64_t answer) {
  const RequestTimes& t = e.times;
  if (e.finish != Finish::kStop && e.finish != Finish::kLength) return;
  metrics.counter("vllm:request_success_total", "Requests that ended as they should", {{"model_name", labels.at("model_name")}, {"finished_reason", reason(e.finish)}}).add();
  whole.observe(t.ended - t.submitted);
  queue.observe(t.admitted - t.submitted);
  prompt_sizes.observe(static_cast<double>(prompt));
  answer_sizes.observe(static_cast<double>(answer));
  if (t.first_token <= 0) return;
  prefill.observe(t.first_token - t.admitted);
  decode.observe(t.ended - t.first_token);
}

namespace {

json model_entry(const ServedModel& m) {
  json entry = {{"id", m.name()}, {"object", "model"}, {"created", 0}, {"owned_by", "bagualu"}, {"max_model_len", m.engine().context()}};
  if (m.base()) entry["parent"] = m.base()->name();  // as vLLM tells an adapter's
  return entry;
}
HttpResponse ok(const json& j) { return {200, "application/json", j.dump(-1, ' ', false, json::error_handler_t::replace), {}}; }
HttpResponse no_tokenizer() { return api_error(400, "this model is served without a tokenizer: start the server with --tokenizer"); }

}  // namespace

Api::Api(std::vector<const ServedModel*> models, RequestTrace* trace) : models_(std::move(models)), trace_(trace) {
  for (const ServedModel* m : models_) {
    instruments_[m] = std::make_unique<Instruments>(metrics_, m->name());
    if (m->base()) continue;  // the engine is the base's, and told once
    metrics_.gauge("bgl_context_tokens", "Most tokens of a request, prompt and answer", {{"model_name", m->name()}}).set(static_cast<double>(m->engine().context()));
    metrics_.gauge("vllm:cache_config_info", "The KV cache, in its labels",
                   {{"model_name", m->name()}, {"block_size", std::to_string(kPageTokens)}, {"num_gpu_blocks", std::to_string(m->engine().stats().pages)}}).set(1);
  }
}
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
  json body;
  if (const auto e = parse_body(http.body, body)) return responder->reply(api_error(400, e->message, e->param));
  if (const auto e = check_schema(body, chat ? chat_schema() : completion_schema())) return responder->reply(api_error(400, e->message, e->param));
  const std::string name = body.contains("model") && body["model"].is_string() ? body["model"].get<std::string>() : "";
  const ServedModel* served = find(name);
  if (!served) return responder->reply(no_model(name));
  instruments_.at(served)->requests.add();
  if (!served->model().tokenizer) return responder->reply(no_tokenizer());
  ApiRequest request;
  request.sampling = default_sampling(served->model());
  const size_t most = served->most_prompt_bytes();
  const auto e = chat ? read_chat(http.body, body, served->chat(), request, most) : read_completion(http.body, body, *served->model().tokenizer, request, most);
  if (e) return responder->reply(api_error(400, e->message, e->param, e->code));
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
  Instruments& figures = *instruments_.at(&served);
  std::vector<Request> choices;
  for (const auto& prompt : request.prompts) {
    for (int64_t i = 0; i < request.n; ++i) {
      // A seed given is that of every prompt's first answer, so that each can be had again alone.
      const uint64_t seed = request.seed + (request.seed_given ? static_cast<uint64_t>(i) : choices.size());
      Request r{prompt, request.max_tokens, request.sampling, seed, ends};
      if (request.grammar) r.grammar = std::make_shared<Pushdown>(served.automaton(request.grammar_key, request.grammar));
      r.logprobs = request.logprobs;
      r.adapter = served.adapter();
      const auto prompt_size = static_cast<int64_t>(prompt.size());
      r.on_event = [this, answer, &figures, &served, prompt_size, count = int64_t{0}, index = choices.size()](const Request::Event& e) mutable {
        if (e.token >= 0) figures.generation_tokens.add(), ++count;
        if (e.finish != Finish::kNone) {
          figures.ended(e, prompt_size, count);
          if (trace_) trace_->add(fmt::format("{}.{}", answer->id(), index), served.name(), e.times, prompt_size, e.cached_prompt_tokens, count, reason(e.finish));
        }
        return answer->on_event(index, e, [&figures](double first, double between) {
          if (first >= 0) figures.first_token.observe(first);
          if (between >= 0) figures.between.observe(between);
        });
      };
      choices.push_back(std::move(r));
    }
  }
  const Status s = served.engine().submit(std::move(choices));
  if (s.ok()) {
    for (const auto& prompt : request.prompts) figures.prompt_tokens.add(static_cast<double>(prompt.size()) * static_cast<double>(request.n));
    return;
  }
  const bool busy = s.code() == Code::kResourceExhausted;
  if (busy) figures.refused.add();
  HttpResponse refusal = api_error(busy ? (draining_ ? 503 : 429) : 400, s.message(), busy || !request.grammar ? "" : "response_format", busy ? "overloaded" : "");
  if (busy) refusal.headers.push_back({"Retry-After", fmt::format("{:.0f}", std::ceil(std::max(1.0, served.engine().foreseen_wait())))});
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
  if (back) {
    const auto ids = body["tokens"].get<std::vector<int32_t>>();
    const int64_t vocab = served->model().model->config().vocab;
    for (const int32_t t : ids) {
      if (t >= vocab) return api_error(400, fmt::format("token {} is outside the vocabulary of {}", t, vocab), "tokens");
    }
    return ok({{"prompt", tokenizer.decode(ids)}});
  }
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
  for (const auto& [m, figures] : instruments_) {
    if (m->base()) continue;
    const EngineStats s = m->engine().stats();
    figures->running.set(static_cast<double>(s.running));
    figures->waiting.set(static_cast<double>(s.waiting));
    figures->cache_usage.set(s.pages > 0 ? 1 - static_cast<double>(s.pages_available) / static_cast<double>(s.pages) : 0);
    // The engine counts these itself.
    const std::pair<Counter*, int64_t> counts[] = {{&figures->cache_queries, s.prompt_tokens}, {&figures->cache_hits, s.cached_prompt_tokens}};
    const std::lock_guard lock(counts_mutex_);
    for (const auto& [counter, now] : counts) {
      if (const double more = static_cast<double>(now) - counter->value(); more > 0) counter->add(more);
    }
  }
  return {200, kMetricsContentType, metrics_.text(), {}};
}

}  // namespace bgl::serve
