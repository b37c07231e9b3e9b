// Whatever a server answers, the client gives an answer within its limits or an error with words, and ends.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mutex>
#include <thread>

#include "base/testing/fuzz.h"
#include "net/http_client.h"

using bgl::fuzz_failed;

namespace {

constexpr int64_t kMaxBody = 4096;

// A server that sends the same bytes on every connection, whatever it is asked, and ends it.
class Answering {
 public:
  Answering() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&at), size) != 0 || ::listen(listener_, 16) != 0) fuzz_failed("cannot listen");
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    std::thread([this] { serve(); }).detach();
  }
  int port() const { return port_; }
  void set(std::string answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }

 private:
  void serve() {
    while (true) {
      const int fd = ::accept(listener_, nullptr, nullptr);
      if (fd < 0) continue;
      std::string answer;
      {
        const std::lock_guard lock(mutex_);
        answer = answer_;
      }
      ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
      ::shutdown(fd, SHUT_WR);
      char sink[4096];
      while (::recv(fd, sink, sizeof sink, 0) > 0) {
      }
      ::close(fd);
    }
  }

  int listener_ = -1, port_ = 0;
  std::mutex mutex_;
  std::string answer_;
};

void check(const bgl::Result<bgl::net::HttpResponse>& r) {
  if (!r.ok()) {
    if (r.status().message().empty()) fuzz_failed("an error without words");
    return;
  }
  if (r->status < 100 || r->status > 999) fuzz_failed("a status of " + std::to_string(r->status));
  if (static_cast<int64_t>(r->body.size()) > kMaxBody) fuzz_failed("a body beyond its limit");
  bgl::fuzz_canary(r->status == 206 && r->body.size() > 30);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static auto* server = new Answering;
  server->set({reinterpret_cast<const char*>(data), size});
  auto client = bgl::net::HttpClient::create("http://127.0.0.1:" + std::to_string(server->port()), {.timeout_ms = 20000, .max_body_bytes = kMaxBody});
  if (!client.ok()) fuzz_failed(client.status().message());
  // One connection for as long as the answers allow.
  check((*client)->get("/"));
  size_t events = 0;
  check((*client)->post_stream("/", "{}", [&](std::string_view) { return ++events < 100; }));
  check((*client)->post("/", "{}"));
  return 0;
}
