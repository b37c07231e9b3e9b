// Whatever a client sends, the handler sees requests within the limits, what comes back is a row of whole answers, and the next client
// is served. The first byte says how the rest is cut into pieces.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/testing/fuzz.h"
#include "net/http_server.h"

using bgl::fuzz_failed;

namespace {

constexpr int64_t kMaxBody = 512, kMaxHeader = 1024;

// "/stream" answers in pieces, "/none" not at all.
void handle(bgl::net::HttpRequest request, std::shared_ptr<bgl::net::Responder> responder) {
  if (request.method.empty() || request.target.empty()) fuzz_failed("a request without a method or a target");
  if (static_cast<int64_t>(request.body.size()) > kMaxBody) fuzz_failed("a body beyond its limit");
  size_t headers = 0;
  for (const auto& [name, value] : request.headers) headers += name.size() + value.size();
  if (static_cast<int64_t>(headers) > kMaxHeader) fuzz_failed("headers beyond their limit");
  bgl::fuzz_canary(request.path == "/v1" && request.query.size() > 3);
  if (request.path == "/none") return;
  if (request.path != "/stream") return responder->reply({.body = request.method + " " + request.path});
  responder->start({.content_type = "text/event-stream", .body = "data: 1\n\n"});
  responder->write("data: 2\n\n");
  responder->finish();
}

class Client {
 public:
  explicit Client(int port) {
    // Every connection leaves an address behind for a minute; there are more of them in 127/8 than in one host.
    static uint32_t host = 0;
    sockaddr_in from{}, to{};
    from.sin_family = to.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl(0x7f000001 + host++ % 0x10000);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(static_cast<uint16_t>(port));
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(fd_, reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0 || ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
      fuzz_failed("the server takes no connection");
  }
  ~Client() { ::close(fd_); }

  void send(std::string_view bytes) { ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  void end() { ::shutdown(fd_, SHUT_WR); }

  // What comes until the end, or until nothing comes for `quiet_us`; `ended` says which.
  std::string receive(int64_t quiet_us, bool& ended) {
    std::string out;
    ended = false;
    const timespec quiet{.tv_sec = quiet_us / 1000000, .tv_nsec = quiet_us % 1000000 * 1000};
    for (pollfd p{fd_, POLLIN, 0}; ::ppoll(&p, 1, &quiet, nullptr) > 0;) {
      char bytes[4096];
      const ssize_t n = ::recv(fd_, bytes, sizeof bytes, 0);
      if (n <= 0) {
        ended = true;
        break;
      }
      out.append(bytes, static_cast<size_t>(n));
    }
    return out;
  }

 private:
  int fd_ = -1;
};

// The value of the header `name`, which begins a line of `head`.
std::string_view header(std::string_view head, std::string_view name) {
  const size_t at = head.find(name);
  if (at == std::string_view::npos) return {};
  return head.substr(at + name.size(), head.find("\r\n", at) - at - name.size());
}

// Takes one answer from the front of `rest`. `gone`: the client has ended its side, so that the server may break off the last.
void take_answer(std::string_view& rest, bool gone) {
  const size_t end = rest.find("\r\n\r\n");
  if (!rest.starts_with("HTTP/1.1 ") || end == std::string_view::npos) fuzz_failed("not an answer: " + std::string(rest.substr(0, 80)));
  const std::string_view head = rest.substr(0, end + 2), length = header(head, "\r\nContent-Length: ");
  rest.remove_prefix(end + 4);
  if (rest.empty() || rest.starts_with("HTTP/1.1 ")) return;  // to a HEAD, or "100 Continue"
  size_t bytes = 0;
  if (!length.empty()) {
    std::from_chars(length.data(), length.data() + length.size(), bytes);
  } else if (head.find("chunked") != std::string_view::npos) {
    const size_t last = rest.find("\r\n0\r\n\r\n");
    if (last == std::string_view::npos && !gone) fuzz_failed("an answer in pieces without its end");
    bytes = last == std::string_view::npos ? rest.size() : last + 7;
  } else {
    bytes = rest.size();  // to an HTTP/1.0 client: to the end
  }
  if (bytes > rest.size()) fuzz_failed("an answer that is not whole");
  rest.remove_prefix(bytes);
}

bgl::net::HttpServer& server() {
  static auto* running = [] {
    bgl::net::HttpServerOptions options{.max_body_bytes = kMaxBody, .max_header_bytes = kMaxHeader, .api_key = "key", .open_paths = {"/v1", "/stream", "/none"}};
    auto started = bgl::net::HttpServer::start(options, handle);
    if (!started.ok()) fuzz_failed(started.status().message());
    return std::move(started).value().release();
  }();
  return *running;
}

void others_are_served() {
  Client client(server().port());
  client.send("GET /last HTTP/1.1\r\nAuthorization: Bearer key\r\nConnection: close\r\n\r\n");
  bool ended = false;
  const std::string got = client.receive(20'000'000, ended);
  if (!ended || !got.ends_with("GET /last")) fuzz_failed("the next client is not served");
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static int64_t inputs = 0;
  if (size == 0) return 0;
  const size_t piece = data[0] == 0 ? size : data[0];
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  {
    Client client(server().port());
    for (std::string_view left = rest; !left.empty(); left.remove_prefix(std::min(piece, left.size()))) client.send(left.substr(0, piece));
    bool ended = false;
    std::string got = client.receive(300, ended);
    const bool gone = !ended;
    if (gone) {
      client.end();  // what the server waits for will not come
      got += client.receive(20'000'000, ended);
    }
    if (!ended) fuzz_failed("the connection does not end");
    for (std::string_view answers = got; !answers.empty();) take_answer(answers, gone);
  }
  if (++inputs % 64 == 0) others_are_served();
  return 0;
}
