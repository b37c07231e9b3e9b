#include "serve/answer.h"

#include <algorithm>
#include <atomic>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/hash.h"
#include "text/unicode.h"

namespace bgl::serve {
namespace {

using nlohmann::json;

double now() { return 1e-9 * static_cast<double>(real_env().now_ns()); }
std::string dumped(const json& j) { return j.dump(-1, ' ', false, json::error_handler_t::replace); }

json bytes_of(const std::string& token) {
  json out = json::array();
  for (const char c : token) out.push_back(static_cast<unsigned char>(c));
  return out;
}
// A token as a key: its text, or where it is a part of a character "bytes:\xe4\xbd".
std::string spelled(const std::string& token) {
  if (text::is_valid_utf8(token)) return token;
  std::string out = "bytes:";
  for (const char c : token) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return out;
}
int64_t characters(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

}  // namespace

const char* reason(Finish f) {
  switch (f) {
    case Finish::kStop: return "stop";
    case Finish::kLength: return "length";
    case Finish::kCancelled: return "cancelled";
    default: return "error";
  }
}

net::HttpResponse api_error(int status, const std::string& message, const std::string& param, const std::string& code) {
  const char* type = status == 429 ? "rate_limit_error" : status >= 500 ? "server_error" : "invalid_request_error";
  const json j = {{"error", {{"message", message}, {"type", type}, {"param", param.empty() ? json() : json(param)}, {"code", code.empty() ? json() : json(code)}}}};
  return {status, "application/json", dumped(j), {}};
}

struct Answer::Choice {
  std::unique_ptr<TextStream> stream;
  std::string text;
  Finish finish = Finish::kNone;
  int64_t tokens = 0;
  double last = 0;            // when the last token came
  int64_t characters = 0;     // of all tokens so far
  json logprobs = json::array();  // of tokens not given out yet
};

Answer::Answer(ApiRequest request, bool chat, std::string name, const text::Tokenizer& tokenizer, std::shared_ptr<net::Responder> responder)
    : request_(std::move(request)), chat_(chat), name_(std::move(name)), tokenizer_(tokenizer), responder_(std::move(responder)), start_(now()) {
  static std::atomic<uint64_t> next{1};
  id_ = fmt::format("{}-{}", chat ? "chatcmpl" : "cmpl", hex64(hash64(fmt::format("{}.{}", real_env().wall_ns(), next++))));
  created_ = std::time(nullptr);
  for (size_t p = 0; p < request_.prompts.size(); ++p) {
    for (int64_t i = 0; i < request_.n; ++i) {
      choices_.emplace_back();
      choices_.back().stream = std::make_unique<TextStream>(tokenizer, request_.at_start[p], request_.stop);
    }
    prompt_tokens_ += static_cast<int64_t>(request_.prompts[p].size());
  }
  open_ = choices_.size();
}
Answer::~Answer() = default;

bool Answer::on_event(size_t index, const Request::Event& e, const Timing& timing) {
  std::lock_guard lock(mutex_);
  Choice& c = choices_[index];
  if (c.finish != Finish::kNone) return false;
  if (responder_->client_gone()) gone_ = true;
  std::string piece;
  if (e.token >= 0) {
    const double t = now();
    timing(c.tokens == 0 ? t - start_ : -1, c.tokens == 0 ? -1 : t - c.last);
    c.last = t;
    ++c.tokens;
    piece = c.stream->add(e.token);
    if (request_.logprobs >= 0) add_logprobs(c, e);
  }
  if (c.stream->stopped()) c.finish = Finish::kStop;
  if (e.finish != Finish::kNone) {
    piece += c.stream->finish();
    c.finish = e.finish;
    if (e.finish == Finish::kError) error_ = e.error;
  }
  // A prompt counts once, with what its first answer found: the others find what that one left.
  if (c.finish != Finish::kNone && index % static_cast<size_t>(request_.n) == 0) cached_ += e.cached_prompt_tokens;
  c.text += piece;
  if (request_.stream) send_piece(index, piece);
  if (c.finish != Finish::kNone && --open_ == 0) complete();
  return c.finish == Finish::kNone && !gone_;
}

json Answer::head(const char* object) const { return {{"id", id_}, {"object", object}, {"created", created_}, {"model", name_}}; }
json Answer::usage() const {
  int64_t generated = 0;
  for (const Choice& c : choices_) generated += c.tokens;
  return {{"prompt_tokens", prompt_tokens_}, {"completion_tokens", generated}, {"total_tokens", prompt_tokens_ + generated},
          {"prompt_tokens_details", {{"cached_tokens", cached_}}}};
}

// Chat has a list of objects; completions have four lists side by side, made of the same when they are given out.
void Answer::add_logprobs(Choice& c, const Request::Event& e) {
  const auto entry = [&](const TokenLogprob& t) {
    const std::string bytes = tokenizer_.token_bytes(t.token);
    return json{{"token", chat_ ? bytes : spelled(bytes)}, {"logprob", t.logprob}, {"bytes", bytes_of(bytes)}};
  };
  json one = entry(e.logprobs.chosen);
  one["top_logprobs"] = json::array();
  for (const TokenLogprob& t : e.logprobs.top) one["top_logprobs"].push_back(entry(t));
  if (!chat_) {
    one["text_offset"] = c.characters;
    c.characters += characters(tokenizer_.token_bytes(e.token));
  }
  c.logprobs.push_back(std::move(one));
}

json Answer::take_logprobs(Choice& c) const {
  if (request_.logprobs < 0) return nullptr;
  const json entries = std::exchange(c.logprobs, json::array());
  if (chat_) return {{"content", entries}, {"refusal", nullptr}};
  json out = {{"tokens", json::array()}, {"token_logprobs", json::array()}, {"top_logprobs", json::array()}, {"text_offset", json::array()}};
  for (const json& e : entries) {
    out["tokens"].push_back(e["token"]);
    out["token_logprobs"].push_back(e["logprob"]);
    out["text_offset"].push_back(e["text_offset"]);
    json top = json::object();
    for (const json& t : e["top_logprobs"]) top[t["token"].get<std::string>()] = t["logprob"];
    top[e["token"].get<std::string>()] = e["logprob"];  // the one drawn, likely or not
    out["top_logprobs"].push_back(request_.logprobs > 0 ? top : json());
  }
  return out;
}

void Answer::send(const json& j) {
  // Not before there is something to say: a request may still be refused.
  if (!begun_) responder_->start({200, "text/event-stream", "", {{"Cache-Control", "no-cache"}}});
  begun_ = true;
  if (!responder_->write("data: " + dumped(j) + "\n\n")) gone_ = true;
}

void Answer::send_piece(size_t index, const std::string& piece) {
  Choice& c = choices_[index];
  if (piece.empty() && c.finish == Finish::kNone) return;
  const json done = c.finish == Finish::kNone ? json() : json(reason(c.finish));
  json j = head(chat_ ? "chat.completion.chunk" : "text_completion");
  json one = {{"index", index}, {"logprobs", take_logprobs(c)}, {"finish_reason", done}};
  if (chat_) {
    one["delta"] = json::object();
    if (c.text.size() == piece.size()) one["delta"]["role"] = "assistant";
    if (!piece.empty()) one["delta"]["content"] = piece;
  } else {
    one["text"] = piece;
  }
  j["choices"] = json::array({one});
  if (request_.include_usage) j["usage"] = nullptr;
  send(j);
}

void Answer::complete() {
  if (!error_.empty()) {
    if (!request_.stream) return responder_->reply(api_error(500, error_));
    send({{"error", {{"message", error_}, {"type", "server_error"}}}});
    return responder_->finish();
  }
  if (request_.stream) {
    if (request_.include_usage) {
      json j = head(chat_ ? "chat.completion.chunk" : "text_completion");
      j["choices"] = json::array();
      j["usage"] = usage();
      send(j);
    }
    responder_->write("data: [DONE]\n\n");
    return responder_->finish();
  }
  json j = head(chat_ ? "chat.completion" : "text_completion");
  j["choices"] = json::array();
  for (size_t i = 0; i < choices_.size(); ++i) {
    Choice& c = choices_[i];
    json one = {{"index", i}, {"logprobs", take_logprobs(c)}, {"finish_reason", reason(c.finish)}};
    if (chat_) {
      one["message"] = {{"role", "assistant"}, {"content", c.text}, {"refusal", nullptr}};
    } else {
      one["text"] = c.text;
    }
    j["choices"].push_back(std::move(one));
  }
  j["usage"] = usage();
  responder_->reply({200, "application/json", dumped(j), {}});
}

}  // namespace bgl::serve
