#include "serve/api.h"

#include <atomic>
#include <ctime>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/hash.h"
#include "base/metrics.h"
#include "serve/api_request.h"
#include "serve/defaults.h"
#include "serve/text_stream.h"

namespace bgl::serve {
namespace {

using net::HttpRequest;
using net::HttpResponse;
using net::Responder;
using nlohmann::json;

double now() { return 1e-9 * static_cast<double>(real_env().now_ns()); }

HttpResponse api_error(int status, const std::string& message, const std::string& param = "", const std::string& code = "") {
  const char* type = status == 429 ? "rate_limit_error" : status >= 500 ? "server_error" : "invalid_request_error";
  const json j = {{"error", {{"message", message}, {"type", type}, {"param", param.empty() ? json() : json(param)}, {"code", code.empty() ? json() : json(code)}}}};
  return {status, "application/json", j.dump(-1, ' ', false, json::error_handler_t::replace), {}};
}

const char* reason(Finish f) {
  switch (f) {
    case Finish::kStop: return "stop";
    case Finish::kLength: return "length";
    case Finish::kCancelled: return "cancelled";
    default: return "error";
  }
}

struct Choice {
  std::unique_ptr<TextStream> stream;
  std::string text;
  Finish finish = Finish::kNone;
  int64_t tokens = 0;
};

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

// One HTTP request on its way: all its choices, and the answer that grows.
class Answer : public std::enable_shared_from_this<Answer> {
 public:
  Answer(ApiRequest request, bool chat, std::string name, const text::Tokenizer& tokenizer, std::shared_ptr<Responder> responder)
      : request_(std::move(request)), chat_(chat), name_(std::move(name)), responder_(std::move(responder)), start_(now()) {
    static std::atomic<uint64_t> next{1};
    id_ = fmt::format("{}-{}", chat ? "chatcmpl" : "cmpl", hex64(hash64(fmt::format("{}.{}", real_env().wall_ns(), next++))));
    created_ = std::time(nullptr);
    for (size_t p = 0; p < request_.prompts.size(); ++p) {
      for (int64_t i = 0; i < request_.n; ++i) {
        choices_.push_back({std::make_unique<TextStream>(tokenizer, request_.at_start[p], request_.stop), {}, Finish::kNone, 0});
      }
      prompt_tokens_ += static_cast<int64_t>(request_.prompts[p].size());
    }
    open_ = choices_.size();
  }

  // On the engine's thread. False cancels the choice's generation.
  bool on_event(size_t index, const Request::Event& e, const std::function<void(double first, double between)>& timing) {
    std::lock_guard lock(mutex_);
    Choice& c = choices_[index];
    if (c.finish != Finish::kNone) return false;
    if (responder_->client_gone()) gone_ = true;
    std::string piece;
    if (e.token >= 0) {
      const double t = now();
      timing(c.tokens == 0 ? t - start_ : -1, c.tokens == 0 ? -1 : t - last_);
      last_ = t;
      ++c.tokens;
      piece = c.stream->add(e.token);
    }
    if (c.stream->stopped()) c.finish = Finish::kStop;
    if (e.finish != Finish::kNone) {
      piece += c.stream->finish();
      c.finish = e.finish;
      if (e.finish == Finish::kError) error_ = e.error;
      cached_ += e.cached_prompt_tokens;
    } else if (c.finish == Finish::kStop) {
      cached_ += e.cached_prompt_tokens;
    }
    c.text += piece;
    if (request_.stream) send_piece(index, piece);
    if (c.finish != Finish::kNone && --open_ == 0) complete();
    return c.finish == Finish::kNone && !gone_;
  }

  // A choice that was never begun: the whole request is refused.
  void refuse(const HttpResponse& response) {
    std::lock_guard lock(mutex_);
    gone_ = true;
    refused_ = true;
    responder_->reply(response);
  }
  void begin_stream() {
    if (request_.stream) responder_->start({200, "text/event-stream", "", {{"Cache-Control", "no-cache"}}});
  }
  const ApiRequest& request() const { return request_; }

 private:
  json head(const char* object) const {
    return {{"id", id_}, {"object", object}, {"created", created_}, {"model", name_}};
  }
  json usage() const {
    int64_t generated = 0;
    for (const Choice& c : choices_) generated += c.tokens;
    return {{"prompt_tokens", prompt_tokens_}, {"completion_tokens", generated}, {"total_tokens", prompt_tokens_ + generated},
            {"prompt_tokens_details", {{"cached_tokens", cached_}}}};
  }
  void send(const json& j) {
    if (!responder_->write("data: " + j.dump(-1, ' ', false, json::error_handler_t::replace) + "\n\n")) gone_ = true;
  }
  void send_piece(size_t index, const std::string& piece) {
    const Choice& c = choices_[index];
    if (piece.empty() && c.finish == Finish::kNone) return;
    const json done = c.finish == Finish::kNone ? json() : json(reason(c.finish));
    json j = head(chat_ ? "chat.completion.chunk" : "text_completion");
    if (chat_) {
      json delta = json::object();
      if (c.text.size() == piece.size()) delta["role"] = "assistant";
      if (!piece.empty()) delta["content"] = piece;
      j["choices"] = json::array({{{"index", index}, {"delta", delta}, {"finish_reason", done}}});
    } else {
      j["choices"] = json::array({{{"index", index}, {"text", piece}, {"logprobs", nullptr}, {"finish_reason", done}}});
    }
    send(j);
  }
  void complete() {
    if (refused_) return;
    if (!error_.empty()) {
      if (request_.stream) {
        send({{"error", {{"message", error_}, {"type", "server_error"}}}});
        responder_->finish();
      } else {
        responder_->reply(api_error(500, error_));
      }
      return;
    }
    if (request_.stream) {
      if (request_.include_usage) {
        json j = head(chat_ ? "chat.completion.chunk" : "text_completion");
        j["choices"] = json::array();
        j["usage"] = usage();
        send(j);
      }
      responder_->write("data: [DONE]\n\n");
      responder_->finish();
      return;
    }
    json j = head(chat_ ? "chat.completion" : "text_completion");
    j["choices"] = json::array();
    for (size_t i = 0; i < choices_.size(); ++i) {
      const Choice& c = choices_[i];
      json one = {{"index", i}, {"logprobs", nullptr}, {"finish_reason", reason(c.finish)}};
      if (chat_) {
        one["message"] = {{"role", "assistant"}, {"content", c.text}};
      } else {
        one["text"] = c.text;
      }
      j["choices"].push_back(std::move(one));
    }
    j["usage"] = usage();
    responder_->reply({200, "application/json", j.dump(-1, ' ', false, json::error_handler_t::replace), {}});
  }

  const ApiRequest request_;
  const bool chat_;
  const std::string name_;
  const std::shared_ptr<Responder> responder_;
  const double start_;
  std::string id_;
  int64_t created_ = 0, prompt_tokens_ = 0;
  std::mutex mutex_;  // guards what follows
  std::vector<Choice> choices_;
  size_t open_ = 0;
  int64_t cached_ = 0;
  double last_ = 0;
  bool gone_ = false, refused_ = false;
  std::string error_;
};

}  // namespace

Api::Api(const models::LoadedModel& model, Engine& engine, std::string name)
    : model_(model), engine_(engine), name_(std::move(name)), instruments_(std::make_unique<Instruments>()) {}
Api::~Api() = default;

void Api::handle(HttpRequest request, std::shared_ptr<Responder> responder) {
  struct Route {
    const char *method, *path;
  };
  constexpr Route kRoutes[] = {{"GET", "/"}, {"GET", "/health"}, {"GET", "/metrics"}, {"GET", "/v1/models"}, {"POST", "/v1/completions"}, {"POST", "/v1/chat/completions"}};
  const std::string& path = request.path;
  bool known = false, right_method = false;
  for (const Route& r : kRoutes) {
    if (path != r.path) continue;
    known = true;
    right_method |= request.method == r.method || (request.method == "HEAD" && std::string_view(r.method) == "GET");
  }
  if (path == "/v1/models/" + name_ && request.method == "GET") {
    return responder->reply({200, "application/json", json::parse(models_list().body)["data"][0].dump(), {}});
  }
  if (!known) return responder->reply(api_error(404, "there is no " + path + " here", "", "not_found"));
  if (!right_method) return responder->reply(api_error(405, request.method + " is not what " + path + " answers", "", "method_not_allowed"));
  if (path == "/") return responder->reply({200, "text/html; charset=utf-8", chat_page(name_), {}});
  if (path == "/health") {
    return responder->reply(draining_ ? HttpResponse{503, "application/json", R"({"status":"draining"})", {}}
                                      : HttpResponse{200, "application/json", R"({"status":"ok"})", {}});
  }
  if (path == "/metrics") return responder->reply(metrics_text());
  if (path == "/v1/models") return responder->reply(models_list());
  answer(request, std::move(responder), path == "/v1/chat/completions");
}

void Api::answer(const HttpRequest& http, std::shared_ptr<Responder> responder, bool chat) {
  instruments_->requests.add();
  if (!model_.tokenizer) return responder->reply(api_error(400, "this model is served without a tokenizer: start the server with --tokenizer"));
  ApiRequest request;
  request.sampling = default_sampling(model_);
  ApiError error;
  if (!(chat ? parse_chat : parse_completion)(http.body, *model_.tokenizer, request, error)) {
    return responder->reply(api_error(400, error.message, error.param));
  }
  if (!request.model.empty() && request.model != name_) {
    return responder->reply(api_error(404, fmt::format("the model '{}' does not exist here; '{}' is served", request.model, name_), "model", "model_not_found"));
  }
  const int64_t context = engine_.context();
  for (const auto& p : request.prompts) {
    const int64_t room = context - static_cast<int64_t>(p.size());
    if (!request.max_tokens_given && chat) request.max_tokens = room;
    if (room < std::max<int64_t>(request.max_tokens, 1)) {
      return responder->reply(api_error(400, fmt::format("this model's context is {} tokens, but the prompt has {} and max_tokens asks for {} more", context, p.size(), request.max_tokens),
                                        chat ? "messages" : "prompt", "context_length_exceeded"));
    }
    for (const int32_t t : p) {
      if (t >= model_.model->config().vocab) return responder->reply(api_error(400, fmt::format("token {} is outside the vocabulary of {}", t, model_.model->config().vocab), "prompt"));
    }
  }
  if (!request.seed_given) request.seed = static_cast<uint64_t>(real_env().now_ns());
  const auto ends = end_tokens(model_);
  const auto answer = std::make_shared<Answer>(request, chat, name_, *model_.tokenizer, responder);
  size_t index = 0;
  bool streaming = false;
  for (const auto& prompt : request.prompts) {
    instruments_->prompt_tokens.add(static_cast<double>(prompt.size()));
    for (int64_t i = 0; i < request.n; ++i, ++index) {
      Request r{prompt, request.max_tokens, request.sampling, request.seed + static_cast<uint64_t>(i), ends, {}};
      r.on_event = [this, answer, index](const Request::Event& e) {
        if (e.token >= 0) instruments_->generation_tokens.add();
        return answer->on_event(index, e, [this](double first, double between) {
          if (first >= 0) instruments_->first_token.observe(first);
          if (between >= 0) instruments_->between.observe(between);
        });
      };
      // The head of a stream goes out only once its first choice is accepted.
      if (request.stream && !streaming && engine_.stats().waiting < engine_.queue_limit()) {
        answer->begin_stream();
        streaming = true;
      }
      if (Status s = engine_.submit(std::move(r)); !s.ok()) {
        const bool busy = s.code() == Code::kResourceExhausted;
        if (busy) instruments_->refused.add();
        HttpResponse refusal = api_error(busy ? (draining_ ? 503 : 429) : 400, s.message(), "", busy ? "overloaded" : "");
        if (busy) refusal.headers.push_back({"Retry-After", "1"});
        return answer->refuse(refusal);
      }
    }
  }
}

HttpResponse Api::models_list() const {
  const json j = {{"object", "list"},
                  {"data", json::array({{{"id", name_}, {"object", "model"}, {"created", 0}, {"owned_by", "bagualu"}, {"max_model_len", engine_.context()}}})}};
  return {200, "application/json", j.dump(), {}};
}

HttpResponse Api::metrics_text() {
  const EngineStats s = engine_.stats();
  instruments_->running.set(static_cast<double>(s.running));
  instruments_->waiting.set(static_cast<double>(s.waiting));
  instruments_->cache_usage.set(s.pages > 0 ? 1 - static_cast<double>(s.pages_available) / static_cast<double>(s.pages) : 0);
  if (const double more = static_cast<double>(s.cached_prompt_tokens) - instruments_->cached_tokens.value(); more > 0) instruments_->cached_tokens.add(more);
  return {200, kMetricsContentType, instruments_->metrics.text(), {}};
}

}  // namespace bgl::serve
