// The one file that includes Asio and Beast, which take long to compile.
// Beast parses requests; its composed operations are not used: reading and writing through one async_read_some and one
// async_write keeps this file's compile time bearable, and an answer's head is a few lines of text.
//
// One io_context, one thread: sessions are coroutines on it and share no lock. A Responder's state is the meeting point:
// handler threads put pieces under its mutex and wake the session through its timer; the session takes them and writes.
#include "net/http_server.h"

// The thread sanitizer does not know fences; Asio's queues are ordered by their mutex as well.
#if defined(__SANITIZE_THREAD__)
#define BOOST_ASIO_DISABLE_FENCED_BLOCK 1
#endif

#include <algorithm>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "base/log.h"

namespace bgl::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// A responder may outlive its server, so the context lives as long as any of them.
struct IoThread {
  asio::io_context context{1};
  std::atomic<bool> running{true};
};

// What one request's answer has become so far.
struct AnswerState {
  AnswerState(std::shared_ptr<IoThread> thread, int64_t max_queued)
      : io(std::move(thread)), wake(io->context), max_queued_bytes(max_queued) {
    wake.expires_at(asio::steady_timer::time_point::max());
  }

  // Guarded by `mutex`.
  std::mutex mutex;
  bool begun = false;
  bool streamed = false;
  bool finished = false;
  bool abandoned = false;  // the last reference went without finish()
  bool gone = false;
  HttpResponse head;
  std::string queue;
  std::function<void()> on_gone;

  // Only on the io thread.
  std::shared_ptr<IoThread> io;
  asio::steady_timer wake;
  int64_t max_queued_bytes;
  bool woken = false;
};

void wake_session(const std::shared_ptr<AnswerState>& state) {
  if (!state->io->running) return;
  asio::post(state->io->context, [state] {
    state->woken = true;
    state->wake.cancel();
  });
}

void mark_gone(const std::shared_ptr<AnswerState>& state) {
  std::function<void()> call;
  {
    const std::lock_guard lock(state->mutex);
    if (state->gone) return;
    state->gone = true;
    // Not after the answer was complete: nobody works for it any more.
    if (!state->finished) call = std::move(state->on_gone);
    state->on_gone = nullptr;
  }
  if (call) call();
  wake_session(state);
}

class SessionResponder final : public Responder {
 public:
  explicit SessionResponder(std::shared_ptr<AnswerState> state) : state_(std::move(state)) {}
  ~SessionResponder() override {
    {
      const std::lock_guard lock(state_->mutex);
      state_->on_gone = nullptr;
      if (state_->finished) return;
      state_->abandoned = true;
    }
    wake_session(state_);
  }

  void reply(HttpResponse response) override { begin(std::move(response), false); }
  void start(HttpResponse head) override { begin(std::move(head), true); }

  bool write(std::string_view piece) override {
    {
      const std::lock_guard lock(state_->mutex);
      if (state_->gone || state_->finished || !state_->streamed) return false;
      state_->queue += piece;
      if (static_cast<int64_t>(state_->queue.size()) <= state_->max_queued_bytes) {
        wake_session(state_);
        return true;
      }
    }
    mark_gone(state_);
    return false;
  }

  void finish() override {
    {
      const std::lock_guard lock(state_->mutex);
      if (state_->finished || !state_->begun) return;
      state_->finished = true;
    }
    wake_session(state_);
  }

  bool client_gone() const override {
    const std::lock_guard lock(state_->mutex);
    return state_->gone;
  }

  void on_gone(std::function<void()> fn) override {
    {
      const std::lock_guard lock(state_->mutex);
      if (state_->finished) return;
      if (!state_->gone) {
        state_->on_gone = std::move(fn);
        return;
      }
    }
    fn();
  }

 private:
  void begin(HttpResponse head, bool streamed) {
    {
      const std::lock_guard lock(state_->mutex);
      if (state_->begun) return;
      state_->begun = true;
      state_->streamed = streamed;
      state_->finished = !streamed;
      state_->queue = std::move(head.body);
      state_->head = std::move(head);
    }
    wake_session(state_);
  }

  std::shared_ptr<AnswerState> state_;
};

// Compares without telling by its duration where the first difference is.
bool same_key(std::string_view a, std::string_view b) {
  unsigned char differs = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < a.size(); ++i) differs |= static_cast<unsigned char>(a[i] ^ b[b.empty() ? 0 : i % b.size()]);
  return differs == 0;
}

HttpRequest take_request(http::request<http::string_body>&& message, const std::string& peer) {
  HttpRequest request;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  split_target(request);
  for (const auto& field : message) request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  request.body = std::move(message.body());
  request.peer = peer;
  return request;
}

}  // namespace

class HttpServer::Impl {
 public:
  Impl(HttpServerOptions options, HttpHandler handler)
      : options_(std::move(options)),
        handler_(std::move(handler)),
        acceptor_(io_),
        handlers_(static_cast<size_t>(std::max(1, options_.handler_threads))) {}

  Status listen();
  void run() {
    asio::co_spawn(io_, accept_loop(), asio::detached);
    thread_ = std::thread([this] { io_.run(); });
  }
  bool stop(int drain_ms);
  int port() const { return port_; }
  int64_t connections() const { return open_.load(); }

 private:
  struct Session {
    explicit Session(tcp::socket accepted) : socket(std::move(accepted)), deadline(socket.get_executor()) {}
    tcp::socket socket;
    asio::steady_timer deadline;
    int64_t armed = 0;  // counts deadlines, so that a late one is known as such
    bool timed_out = false;
    beast::flat_buffer buffer;
    std::string peer;
    bool busy = false;  // a request is being read or answered
    std::shared_ptr<AnswerState> answer;
  };
  using SessionPtr = std::shared_ptr<Session>;
  using Parser = http::request_parser<http::string_body>;

  static void arm(const SessionPtr& s, int timeout_ms);
  static void disarm(const SessionPtr& s);
  asio::awaitable<void> accept_loop();
  asio::awaitable<void> serve(SessionPtr s);
  asio::awaitable<bool> serve_one(SessionPtr s);
  asio::awaitable<HttpResponse> read_request(SessionPtr s, Parser& parser);
  asio::awaitable<error_code> feed(SessionPtr s, Parser& parser, bool whole);
  asio::awaitable<bool> write_text(SessionPtr s, std::string text);
  asio::awaitable<bool> answer(SessionPtr s, bool keep_alive, bool http_1_0, bool head_only);
  asio::awaitable<bool> write_stream(SessionPtr s, bool keep_alive, bool http_1_0, bool head_only);
  asio::awaitable<bool> write_whole(SessionPtr s, HttpResponse response, bool keep_alive, bool head_only);
  asio::awaitable<void> watch_peer(SessionPtr s, std::shared_ptr<AnswerState> state);
  asio::awaitable<void> refuse(SessionPtr s);
  asio::awaitable<void> wait_for_answer(AnswerState& state);
  HttpResponse check_key_of(const http::request<http::string_body>& message) const;
  std::string head_text(const HttpResponse& head, const std::string& framing, bool keep_alive) const;
  HttpResponse answer_to_wrong_request(error_code ec) const;
  void break_session(const SessionPtr& s);
  void notify_if_drained();

  HttpServerOptions options_;
  HttpHandler handler_;
  std::shared_ptr<IoThread> io_thread_ = std::make_shared<IoThread>();
  asio::io_context& io_ = io_thread_->context;
  tcp::acceptor acceptor_;
  asio::thread_pool handlers_;
  std::thread thread_;
  int port_ = 0;
  std::set<SessionPtr> sessions_;  // io thread
  std::atomic<int64_t> open_{0};
  std::atomic<bool> stopping_{false};
  std::mutex drained_mutex_;
  std::condition_variable drained_;
  bool stopped_ = false;
};

Status HttpServer::Impl::listen() {
  error_code ec;
  const auto address = asio::ip::make_address(options_.host == "localhost" ? "127.0.0.1" : options_.host, ec);
  if (ec) return invalid_argument("host \"{}\" is not an IP address; use for example 127.0.0.1 or 0.0.0.0", options_.host);
  const tcp::endpoint endpoint(address, static_cast<unsigned short>(options_.port));
  acceptor_.open(endpoint.protocol(), ec);
  if (!ec) acceptor_.set_option(asio::socket_base::reuse_address(true), ec);
  if (!ec) acceptor_.bind(endpoint, ec);
  if (!ec) acceptor_.listen(asio::socket_base::max_listen_connections, ec);
  if (ec == asio::error::address_in_use) {
    return make_status(Code::kAlreadyExists,
                       "cannot listen on {}:{}: address already in use; choose another --port or stop the other server",
                       options_.host, options_.port);
  }
  if (ec) return make_status(Code::kIo, "cannot listen on {}:{}: {}", options_.host, options_.port, ec.message());
  port_ = acceptor_.local_endpoint(ec).port();
  return {};
}

// Gives the operations from now on `timeout_ms`; then they are cancelled, and timed_out says why.
void HttpServer::Impl::arm(const SessionPtr& s, int timeout_ms) {
  s->timed_out = false;
  s->deadline.expires_after(milliseconds(timeout_ms));
  s->deadline.async_wait([s, id = ++s->armed](error_code ec) {
    if (ec || id != s->armed) return;
    s->timed_out = true;
    error_code ignored;
    s->socket.cancel(ignored);
  });
}

void HttpServer::Impl::disarm(const SessionPtr& s) {
  ++s->armed;
  s->deadline.cancel();
}

asio::awaitable<void> HttpServer::Impl::accept_loop() {
  while (acceptor_.is_open()) {
    auto [ec, socket] = co_await acceptor_.async_accept(kAwait);
    if (ec == asio::error::operation_aborted) break;
    if (ec) {
      // Out of file descriptors, for example: wait for connections to end instead of spinning.
      log_warn("cannot accept a connection: {}", ec.message());
      asio::steady_timer pause(io_, milliseconds(100));
      co_await pause.async_wait(kAwait);
      continue;
    }
    auto session = std::make_shared<Session>(std::move(socket));
    error_code ignored;
    session->socket.set_option(tcp::no_delay(true), ignored);
    const auto peer = session->socket.remote_endpoint(ignored);
    session->peer = fmt::format("{}:{}", peer.address().to_string(), peer.port());
    const bool full = open_.load() >= options_.max_connections;
    ++open_;
    sessions_.insert(session);
    asio::co_spawn(io_, full ? refuse(session) : serve(session), [this, session](std::exception_ptr) {
      disarm(session);
      sessions_.erase(session);
      --open_;
      notify_if_drained();
    });
  }
}

asio::awaitable<void> HttpServer::Impl::refuse(SessionPtr s) {
  HttpResponse response =
      error_response(503, fmt::format("the server has {} connections, its limit; try again later", options_.max_connections));
  response.headers.emplace_back("Retry-After", "1");
  co_await write_whole(s, std::move(response), false, false);
}

asio::awaitable<void> HttpServer::Impl::serve(SessionPtr s) {
  while (!stopping_ && co_await serve_one(s)) {
  }
  error_code ignored;
  s->socket.shutdown(tcp::socket::shutdown_send, ignored);
  if (stopping_) co_return;
  // Take what the client still sends for a moment: closing with unread bytes would reset the connection, and the client might
  // lose the answer that says why.
  arm(s, 500);
  char sink[4096];
  for (int reads = 0; reads < 64; ++reads) {
    const auto [ec, n] = co_await s->socket.async_read_some(asio::buffer(sink), kAwait);
    if (ec || n == 0) break;
  }
}

// One request and its answer; false when the connection is to end.
asio::awaitable<bool> HttpServer::Impl::serve_one(SessionPtr s) {
  Parser parser;
  parser.header_limit(static_cast<std::uint32_t>(options_.max_header_bytes));
  parser.body_limit(static_cast<std::uint64_t>(options_.max_body_bytes));
  HttpResponse wrong = co_await read_request(s, parser);
  if (wrong.status == 0) co_return false;
  const bool head_only = parser.get().method() == http::verb::head;
  if (wrong.status != 200) co_return co_await write_whole(s, std::move(wrong), false, head_only);
  const bool keep_alive = parser.get().keep_alive();
  const bool http_1_0 = parser.get().version() < 11;
  s->answer = std::make_shared<AnswerState>(io_thread_, options_.max_queued_bytes);
  disarm(s);
  auto responder = std::make_shared<SessionResponder>(s->answer);
  auto request = std::make_shared<HttpRequest>(take_request(parser.release(), s->peer));
  asio::post(handlers_, [this, request, responder = std::move(responder)]() mutable {
    try {
      handler_(std::move(*request), std::move(responder));
    } catch (const std::exception& e) {
      log_error("a request's handler threw: {}", e.what());
    }
  });
  asio::co_spawn(io_, watch_peer(s, s->answer), asio::detached);
  const bool more = co_await answer(s, keep_alive, http_1_0, head_only);
  s->busy = false;
  s->answer.reset();
  error_code ignored;
  s->socket.cancel(ignored);  // ends watch_peer()
  co_return more;
}

// Feeds the parser until its header (or with `whole` the body too) is there.
asio::awaitable<error_code> HttpServer::Impl::feed(SessionPtr s, Parser& parser, bool whole) {
  parser.eager(whole);
  while (whole ? !parser.is_done() : !parser.is_header_done()) {
    if (s->buffer.size() > 0) {
      error_code ec;
      s->buffer.consume(parser.put(s->buffer.data(), ec));
      if (ec && ec != http::error::need_more) co_return ec;
      if (!ec) continue;
    }
    const auto [ec, n] = co_await s->socket.async_read_some(s->buffer.prepare(whole ? 65536 : 4096), kAwait);
    if (ec) co_return ec;
    s->buffer.commit(n);
  }
  co_return error_code();
}

// Status 200: `parser` holds the request. 0: the connection has ended. Else: what to answer.
asio::awaitable<HttpResponse> HttpServer::Impl::read_request(SessionPtr s, Parser& parser) {
  const HttpResponse ended{.status = 0};
  s->busy = false;
  if (s->buffer.size() == 0) {
    // The first byte may take as long as a connection may be idle; after it the header has its own time.
    // An idle connection holds no buffer.
    s->buffer.shrink_to_fit();
    arm(s, options_.idle_timeout_ms);
    const auto [ec] = co_await s->socket.async_wait(tcp::socket::wait_read, kAwait);
    if (ec) co_return ended;
  }
  s->busy = true;
  arm(s, options_.header_timeout_ms);
  error_code ec = co_await feed(s, parser, false);
  if (!ec) {
    HttpResponse refused = check_key_of(parser.get());
    if (refused.status != 200) co_return refused;
    const auto length = parser.content_length();
    if (length && static_cast<int64_t>(*length) > options_.max_body_bytes) ec = http::error::body_limit;
  }
  if (!ec) {
    arm(s, options_.body_timeout_ms);
    const bool asks = parser.get()[http::field::expect] == "100-continue";
    if (asks && !co_await write_text(s, "HTTP/1.1 100 Continue\r\n\r\n")) co_return ended;
    ec = co_await feed(s, parser, true);
  }
  if (!ec) co_return HttpResponse{.status = 200};
  co_return s->timed_out ? error_response(408, "the request did not arrive in time") : answer_to_wrong_request(ec);
}

HttpResponse HttpServer::Impl::answer_to_wrong_request(error_code ec) const {
  if (ec == http::error::body_limit) {
    return error_response(413, fmt::format("the body is larger than {} bytes", options_.max_body_bytes));
  }
  if (ec == http::error::header_limit) {
    return error_response(431, fmt::format("the headers are larger than {} bytes", options_.max_header_bytes));
  }
  const bool parsing = ec.category() == http::make_error_code(http::error::bad_version).category();
  if (parsing) return error_response(400, "the request is not HTTP: " + ec.message());
  return {.status = 0};
}

HttpResponse HttpServer::Impl::check_key_of(const http::request<http::string_body>& message) const {
  if (options_.api_key.empty()) return {.status = 200};
  HttpRequest request;
  request.target = std::string(message.target());
  split_target(request);
  const auto& open = options_.open_paths;
  if (std::find(open.begin(), open.end(), request.path) != open.end()) return {.status = 200};
  const std::string_view given(message[http::field::authorization].data(), message[http::field::authorization].size());
  constexpr std::string_view kBearer = "Bearer ";  // in any case: RFC 9110, section 11.1
  if (beast::iequals(given.substr(0, kBearer.size()), kBearer) && same_key(given.substr(kBearer.size()), options_.api_key)) return {.status = 200};
  return error_response(
      401,
      given.empty() ? "this server wants an API key: send \"Authorization: Bearer KEY\"" : "the API key is not this server's",
      "invalid_api_key");
}

// The peer has gone when its side ends or fails while we work. Bytes instead of an end are the next request: enough then.
asio::awaitable<void> HttpServer::Impl::watch_peer(SessionPtr s, std::shared_ptr<AnswerState> state) {
  auto [ec] = co_await s->socket.async_wait(tcp::socket::wait_read, kAwait);
  if (ec) co_return;
  char byte;
  error_code peek_ec;
  s->socket.non_blocking(true, peek_ec);
  const size_t n = s->socket.receive(asio::buffer(&byte, 1), tcp::socket::message_peek, peek_ec);
  if (peek_ec == asio::error::would_block) co_return;
  if (peek_ec || n == 0) mark_gone(state);
}

// Returns when a handler has put something, or the client has gone.
asio::awaitable<void> HttpServer::Impl::wait_for_answer(AnswerState& state) {
  if (!state.woken) co_await state.wake.async_wait(kAwait);
  state.woken = false;
  state.wake.expires_at(asio::steady_timer::time_point::max());
}

asio::awaitable<bool> HttpServer::Impl::answer(SessionPtr s, bool keep_alive, bool http_1_0, bool head_only) {
  const std::shared_ptr<AnswerState> state = s->answer;
  while (true) {
    co_await wait_for_answer(*state);
    bool whole = false, streamed = false;
    HttpResponse response;
    {
      const std::lock_guard lock(state->mutex);
      if (state->gone) co_return false;
      if (!state->begun && state->abandoned) {
        response = error_response(500, "the server gave no answer");
        state->finished = whole = true;
      } else if (state->begun) {
        streamed = state->streamed;
        whole = !streamed;
        response = state->head;
        if (whole) response.body = std::move(state->queue);
      }
    }
    if (whole) co_return co_await write_whole(s, std::move(response), keep_alive, head_only);
    if (streamed) co_return co_await write_stream(s, keep_alive, http_1_0, head_only);
  }
}

// The head of an answer, through the empty line. `framing` is the line that says where the body ends.
std::string HttpServer::Impl::head_text(const HttpResponse& head, const std::string& framing, bool keep_alive) const {
  const auto reason = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(head.status)));
  std::string text = fmt::format("HTTP/1.1 {} {}\r\n", head.status, std::string_view(reason.data(), reason.size()));
  if (!head.content_type.empty()) text += "Content-Type: " + head.content_type + "\r\n";
  for (const auto& [name, value] : head.headers) text += name + ": " + value + "\r\n";
  return text + framing + (keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
}

// False when the client does not take it.
asio::awaitable<bool> HttpServer::Impl::write_text(SessionPtr s, std::string text) {
  arm(s, options_.write_timeout_ms);
  const auto [ec, n] = co_await asio::async_write(s->socket, asio::buffer(text), kAwait);
  co_return !ec;
}

asio::awaitable<bool> HttpServer::Impl::write_whole(SessionPtr s, HttpResponse response, bool keep_alive, bool head_only) {
  keep_alive = keep_alive && !stopping_;
  std::string text = head_text(response, fmt::format("Content-Length: {}\r\n", response.body.size()), keep_alive);
  if (!head_only) text += response.body;
  const bool written = co_await write_text(s, std::move(text));
  if (!written && s->answer) mark_gone(s->answer);
  co_return written&& keep_alive;
}

asio::awaitable<bool> HttpServer::Impl::write_stream(SessionPtr s, bool keep_alive, bool http_1_0, bool head_only) {
  const std::shared_ptr<AnswerState> state = s->answer;
  // An HTTP/1.0 client knows no chunks: the end of the connection ends the body.
  const bool chunked = !http_1_0;
  keep_alive = keep_alive && !stopping_ && chunked;
  std::string text = head_text(state->head, chunked ? "Transfer-Encoding: chunked\r\n" : "", keep_alive);
  while (true) {
    bool finished = false, abandoned = false;
    {
      const std::lock_guard lock(state->mutex);
      if (state->gone) co_return false;
      if (!state->queue.empty() && !head_only) {
        text += chunked ? fmt::format("{:x}\r\n{}\r\n", state->queue.size(), state->queue) : state->queue;
      }
      state->queue.clear();
      finished = state->finished;
      abandoned = state->abandoned && !finished;
    }
    if (finished && chunked && !head_only) text += "0\r\n\r\n";
    if (!text.empty() && !co_await write_text(s, std::move(text))) break;
    text.clear();
    if (finished) co_return keep_alive;
    if (abandoned) {
      break_session(s);
      co_return false;
    }
    disarm(s);
    co_await wait_for_answer(*state);
  }
  mark_gone(state);
  co_return false;
}

// A reset instead of an orderly end: the client must not take a broken stream for a whole one.
void HttpServer::Impl::break_session(const SessionPtr& s) {
  error_code ignored;
  s->socket.set_option(asio::socket_base::linger(true, 0), ignored);
  s->socket.close(ignored);
  if (s->answer) mark_gone(s->answer);
}

void HttpServer::Impl::notify_if_drained() {
  if (open_.load() > 0) return;
  const std::lock_guard lock(drained_mutex_);
  drained_.notify_all();
}

bool HttpServer::Impl::stop(int drain_ms) {
  if (stopped_) return true;
  stopped_ = true;
  stopping_ = true;
  asio::post(io_, [this] {
    error_code ignored;
    acceptor_.close(ignored);
    for (const SessionPtr& s : sessions_) {
      if (!s->busy) s->socket.close(ignored);
    }
  });
  const auto drained = [this] { return open_.load() == 0; };
  bool all = false;
  {
    std::unique_lock lock(drained_mutex_);
    all = drained_.wait_for(lock, milliseconds(drain_ms), drained);
  }
  asio::post(io_, [this] {
    for (const SessionPtr& s : std::set<SessionPtr>(sessions_)) break_session(s);
  });
  {
    std::unique_lock lock(drained_mutex_);
    drained_.wait_for(lock, milliseconds(2000), drained);
  }
  handlers_.join();
  io_thread_->running = false;
  io_.stop();
  if (thread_.joinable()) thread_.join();
  // What was posted last holds answers, which hold the context: run it, or neither would ever be freed.
  io_.restart();
  io_.poll();
  return all;
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() { impl_->stop(0); }

Result<std::unique_ptr<HttpServer>> HttpServer::start(HttpServerOptions options, HttpHandler handler) {
  auto impl = std::make_unique<Impl>(std::move(options), std::move(handler));
  BGL_TRY(impl->listen());
  impl->run();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

int HttpServer::port() const { return impl_->port(); }
int64_t HttpServer::connections() const { return impl_->connections(); }
bool HttpServer::stop(int drain_ms) { return impl_->stop(drain_ms); }

}  // namespace bgl::net
