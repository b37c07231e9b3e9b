// A plain blocking HTTP/1.1 client for our own servers and for measuring them: one connection, kept between requests.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "net/http_message.h"

namespace bgl::net {

struct HttpClientOptions {
  int connect_timeout_ms = 5000;
  int timeout_ms = 120000;  // without a byte from the server
  std::string api_key;      // sent as "Authorization: Bearer KEY"
  int64_t max_body_bytes = int64_t{1} << 30;
};

// One user at a time.
class HttpClient {
 public:
  // `base_url`: "http://HOST:PORT", optionally with a path that goes before every target. kInvalidArgument for anything else.
  static Result<std::unique_ptr<HttpClient>> create(const std::string& base_url, HttpClientOptions options = {});
  ~HttpClient();

  // Any status is an answer, not a failure. kUnavailable: "cannot reach HOST:PORT: ...", "HOST:PORT sent nothing for N ms",
  // "HOST:PORT ended the connection in the middle of an answer".
  Result<HttpResponse> get(const std::string& target);
  Result<HttpResponse> post(const std::string& target, std::string_view json);
  // Calls `data` with what follows "data: " of each server-sent event as it comes, until it returns false (the connection is
  // then closed, so the server learns of it) or the answer ends. An answer that is not text/event-stream comes back as its
  // body.
  Result<HttpResponse> post_stream(const std::string& target, std::string_view json,
                                   const std::function<bool(std::string_view data)>& data);
  // Ends the connection.
  void close();

 private:
  class Impl;
  explicit HttpClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bgl::net
