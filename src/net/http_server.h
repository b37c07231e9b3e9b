// An HTTP/1.1 server for work that takes its time: a handler may answer at once, later, or piece by piece, from any thread, and
// learns when the client has gone, so that nobody computes for nobody.
//
// One thread moves bytes; `handler_threads` run the handler. The server itself answers 400 (not HTTP), 401 (wrong key), 408
// (too slow), 413 (body too large), 431 (headers too large), 500 (the handler gave no answer) and 503 (too many connections),
// with the body of error_response().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "net/http_message.h"

namespace bgl::net {

struct HttpServerOptions {
  std::string host = "127.0.0.1";  // an IP address, or "localhost"
  int port = 0;                    // 0: a free one, told by port()
  int64_t max_body_bytes = 16 << 20;
  int64_t max_header_bytes = 32 << 10;
  std::string api_key;                  // non-empty: "Authorization: Bearer KEY" is required
  std::vector<std::string> open_paths;  // served without the key
  int header_timeout_ms = 10000;        // from the first wait for a request's bytes to the end of its headers
  int idle_timeout_ms = 60000;          // between two requests of one connection
  int body_timeout_ms = 30000;
  int write_timeout_ms = 30000;  // for the peer to take what is written
  int max_connections = 1024;
  int handler_threads = 4;
  // Bytes written and not yet taken by the client; more counts as a client that has gone.
  int64_t max_queued_bytes = 4 << 20;
};

// The answer to one request. Thread-safe. Dropping the last reference without an answer answers 500; without finish() it breaks
// the connection, so that the client sees that the stream is not whole.
class Responder {
 public:
  virtual ~Responder() = default;
  // The whole answer. Only the first reply() or start() counts.
  virtual void reply(HttpResponse response) = 0;
  // Begins an answer whose body follows by write(); `head.body` is its first piece.
  virtual void start(HttpResponse head) = 0;
  // Hands on a piece; never blocks. False: the client has gone (or takes nothing), stop working for it.
  virtual bool write(std::string_view piece) = 0;
  virtual void finish() = 0;
  virtual bool client_gone() const = 0;
  // Calls `fn` once, on whichever thread notices, when the client goes before the answer is complete; at once when it has gone.
  // `fn` must not block.
  virtual void on_gone(std::function<void()> fn) = 0;
};

// Called on a handler thread; must not throw. May return before it has answered, keeping the responder.
using HttpHandler = std::function<void(HttpRequest request, std::shared_ptr<Responder> responder)>;

class HttpServer {
 public:
  // Listens and serves until stop() or destruction. Errors: kAlreadyExists "cannot listen on HOST:PORT: address already in use;
  // choose another --port or stop the other server"; kInvalidArgument for a host that is no address.
  static Result<std::unique_ptr<HttpServer>> start(HttpServerOptions options, HttpHandler handler);
  // stop(0).
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const;
  int64_t connections() const;
  // Accepts nothing more, lets requests in work end for up to `drain_ms`, then breaks what is left (their clients "go").
  // Returns when the handlers have returned; true when nothing had to be broken. Any thread but a handler's.
  bool stop(int drain_ms);

  class Impl;

 private:
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bgl::net
