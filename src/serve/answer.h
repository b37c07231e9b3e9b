// One HTTP request on its way: its choices as they grow, and the answer made of them, whole or as server-sent events, as OpenAI's API
// has them. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "net/http_server.h"
#include "serve/api_request.h"
#include "serve/engine.h"
#include "serve/text_stream.h"

namespace bgl::serve {

// "stop", "length" ...
const char* reason(Finish finish);
net::HttpResponse api_error(int status, const std::string& message, const std::string& param = "", const std::string& code = "");

class Answer {
 public:
  // `name`: the model's. The tokenizer must outlive the answer.
  Answer(ApiRequest request, bool chat, std::string name, const text::Tokenizer& tokenizer, std::shared_ptr<net::Responder> responder);
  ~Answer();
  const std::string& id() const { return id_; }

  // `timing`: told the seconds from the request to a choice's first token, or between two tokens of a choice; the other is -1.
  using Timing = std::function<void(double first, double between)>;
  // What the engine says of choice `index`, on its thread. False cancels the choice.
  bool on_event(size_t index, const Request::Event& event, const Timing& timing);

 private:
  struct Choice;
  nlohmann::json head(const char* object) const;
  nlohmann::json usage() const;
  void add_logprobs(Choice& choice, const Request::Event& event);
  nlohmann::json take_logprobs(Choice& choice) const;
  void send(const nlohmann::json& event);
  void send_piece(size_t index, const std::string& piece);
  void complete();

  const ApiRequest request_;
  const bool chat_;
  const std::string name_;
  const text::Tokenizer& tokenizer_;
  const std::shared_ptr<net::Responder> responder_;
  const double start_;
  std::string id_;
  int64_t created_ = 0, prompt_tokens_ = 0;
  std::mutex mutex_;  // guards what follows
  std::vector<Choice> choices_;
  size_t open_ = 0;
  int64_t cached_ = 0;
  bool gone_ = false, begun_ = false;  // the head of a stream has gone out
  std::string error_;
};

}  // namespace bgl::serve
