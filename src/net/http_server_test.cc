// Server and client against each other over loopback, and the server against raw bytes.
#include "net/http_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "net/http_client.h"

namespace bgl::net {
namespace {

using std::chrono::milliseconds;

// A flag that a test waits for, with a bound.
class Event {
 public:
  void set() {
    const std::lock_guard lock(mutex_);
    set_ = true;
    changed_.notify_all();
  }
  bool wait(int ms = 10000) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, milliseconds(ms), [this] { return set_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

// Sends `text` as it is and returns what comes until the server ends the connection, or for `ms`.
class RawClient {
 public:
  explicit RawClient(int port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~RawClient() { close(fd_); }
  void send(const std::string& text) {
    EXPECT_EQ(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  std::string read(int ms = 10000) {
    timeval limit{ms / 1000, ms % 1000 * 1000};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    std::string all;
    char bytes[4096];
    for (ssize_t n; (n = recv(fd_, bytes, sizeof bytes, 0)) > 0;) all.append(bytes, static_cast<size_t>(n));
    return all;
  }

 private:
  int fd_;
};

std::string status_line(const std::string& answer) { return answer.substr(0, answer.find("\r\n")); }

void echo(HttpRequest request, std::shared_ptr<Responder> responder) {
  responder->reply({.body = request.method + " " + request.path + " " + request.body});
}

std::unique_ptr<HttpServer> serve(HttpHandler handler, HttpServerOptions options = {}) {
  return std::move(HttpServer::start(std::move(options), std::move(handler))).value();
}

std::unique_ptr<HttpClient> client_of(const HttpServer& server, HttpClientOptions options = {}) {
  return std::move(HttpClient::create("http://127.0.0.1:" + std::to_string(server.port()), std::move(options))).value();
}

TEST(HttpServer, AnswersManyRequestsOnOneConnection) {
  auto server = serve(echo);
  auto client = client_of(*server);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(client->get("/a?x=1")->body, "GET /a ");
    EXPECT_EQ(client->post("/b", std::string(100000, 'x'))->body, "POST /b " + std::string(100000, 'x'));
  }
  EXPECT_EQ(server->connections(), 1);
}

TEST(HttpServer, StreamsPieceByPieceFromAnotherThread) {
  std::thread worker;
  auto server = serve([&](HttpRequest, std::shared_ptr<Responder> responder) {
    worker = std::thread([responder] {
      responder->start({.content_type = "text/event-stream"});
      for (int i = 0; i < 20; ++i) {
        EXPECT_TRUE(responder->write("data: " + std::to_string(i) + "\n\n"));
        if (i % 5 == 0) std::this_thread::sleep_for(milliseconds(5));
      }
      responder->write("data: [DONE]\n\n");
      responder->finish();
      EXPECT_FALSE(responder->write("late"));
    });
  });
  auto client = client_of(*server);
  std::string seen;
  const auto response = client->post_stream("/", "{}", [&](std::string_view data) {
    seen += std::string(data) + ",";
    return true;
  });
  worker.join();
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(seen, "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,[DONE],");
}

TEST(HttpServer, TellsWhenTheClientGoes) {
  Event streaming_gone, waiting_gone;
  std::atomic<bool> write_failed{false};
  std::mutex mutex;
  std::vector<std::shared_ptr<Responder>> held;
  std::thread worker;
  auto server = serve([&](HttpRequest request, std::shared_ptr<Responder> responder) {
    if (request.path == "/wait") {
      responder->on_gone([&] { waiting_gone.set(); });
      const std::lock_guard lock(mutex);
      held.push_back(responder);
      return;
    }
    responder->on_gone([&] { streaming_gone.set(); });
    worker = std::thread([responder, &write_failed] {
      responder->start({.content_type = "text/event-stream"});
      while (responder->write("data: x\n\n")) std::this_thread::sleep_for(milliseconds(2));
      write_failed = responder->client_gone();
    });
  });
  auto client = client_of(*server);
  int seen = 0;
  ASSERT_TRUE(client->post_stream("/stream", "{}", [&](std::string_view) { return ++seen < 3; }).ok());
  EXPECT_TRUE(streaming_gone.wait());
  worker.join();
  EXPECT_TRUE(write_failed);
  {
    RawClient raw(server->port());
    raw.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(raw.read(50), "");
  }
  EXPECT_TRUE(waiting_gone.wait());
  Event late;
  const std::lock_guard lock(mutex);
  ASSERT_EQ(held.size(), 1u);
  EXPECT_TRUE(held[0]->client_gone());
  held[0]->on_gone([&] { late.set(); });
  EXPECT_TRUE(late.wait(0));
}

TEST(HttpServer, AClientThatTakesNothingCountsAsGone) {
  Event done;
  auto server = serve(
      [&](HttpRequest, std::shared_ptr<Responder> responder) {
        std::thread([responder, &done] {
          responder->start({.content_type = "text/plain"});
          const std::string piece(64 << 10, 'x');
          while (responder->write(piece)) {
          }
          if (responder->client_gone()) done.set();
        }).detach();
      },
      {.max_queued_bytes = 1 << 20});
  RawClient raw(server->port());
  raw.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(done.wait());
}

TEST(HttpServer, WrongRequestsAreAnswered) {
  auto server =
      serve(echo, {.max_body_bytes = 100, .max_header_bytes = 2000, .header_timeout_ms = 200, .body_timeout_ms = 200});
  const auto answer = [&](const std::string& text) {
    RawClient raw(server->port());
    raw.send(text);
    return raw.read();
  };
  EXPECT_EQ(status_line(answer("this is no HTTP\r\n\r\n")), "HTTP/1.1 400 Bad Request");
  EXPECT_EQ(status_line(answer("GET / HTTP/7.1\r\n\r\n")), "HTTP/1.1 400 Bad Request");
  EXPECT_EQ(status_line(answer("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n")), "HTTP/1.1 400 Bad Request");
  const std::string large = answer("POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n" + std::string(101, 'x'));
  EXPECT_EQ(status_line(large), "HTTP/1.1 413 Payload Too Large");
  EXPECT_NE(large.find("{\"error\":{\"message\":\"the body is larger than 100 bytes\",\"type\":\"invalid_request_error\""),
            std::string::npos);
  const std::string chunks = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3c\r\n" + std::string(60, 'x') +
                             "\r\n3c\r\n" + std::string(60, 'x') + "\r\n0\r\n\r\n";
  EXPECT_EQ(status_line(answer(chunks)), "HTTP/1.1 413 Payload Too Large");
  EXPECT_EQ(status_line(answer("GET / HTTP/1.1\r\nX: " + std::string(3000, 'x') + "\r\n\r\n")),
            "HTTP/1.1 431 Request Header Fields Too Large");
  EXPECT_EQ(status_line(answer("GET / HTTP/1.1\r\nX: slow")), "HTTP/1.1 408 Request Timeout");
  EXPECT_EQ(status_line(answer("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nslow")), "HTTP/1.1 408 Request Timeout");
  EXPECT_EQ(answer("GET /x HTTP/1.0\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\nConnection: close\r\n\r\nGET /x ");
  // The server lives on.
  EXPECT_EQ(client_of(*server)->get("/a")->body, "GET /a ");
}

TEST(HttpServer, PipelinedHeadAndContinue) {
  auto server = serve(echo);
  RawClient raw(server->port());
  raw.send(
      "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: x\r\n\r\nPOST /3 HTTP/1.1\r\nExpect: 100-continue\r\n"
      "Content-Length: 2\r\nConnection: close\r\n\r\nhi");
  EXPECT_EQ(raw.read(),
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\nConnection: keep-alive\r\n\r\nGET /1 "
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\nConnection: keep-alive\r\n\r\n"
            "HTTP/1.1 100 Continue\r\n\r\n"
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\nConnection: close\r\n\r\nPOST /3 hi");
}

TEST(HttpServer, KeysAreAskedExceptOnOpenPaths) {
  auto server = serve(echo, {.api_key = "secret", .open_paths = {"/health"}});
  const auto refused = client_of(*server)->get("/v1/models");
  EXPECT_EQ(refused->status, 401);
  EXPECT_EQ(refused->body,
            "{\"error\":{\"message\":\"this server wants an API key: send \\\"Authorization: Bearer KEY\\\"\",\"type\":"
            "\"authentication_error\",\"param\":null,\"code\":\"invalid_api_key\"}}");
  EXPECT_EQ(client_of(*server, {.api_key = "secreT"})->get("/v1/models")->status, 401);
  EXPECT_EQ(client_of(*server, {.api_key = "secret"})->get("/v1/models")->status, 200);
  const auto status_with = [&](const std::string& authorization) {
    RawClient raw(server->port());
    raw.send("GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: " + authorization + "\r\n\r\n");
    return raw.read().substr(9, 3);
  };
  EXPECT_EQ(status_with("bearer secret"), "200") << "a scheme has no case";
  EXPECT_EQ(status_with("bearer Secret"), "401");
  EXPECT_EQ(status_with("Basic secret"), "401");
  EXPECT_EQ(client_of(*server)->get("/health?x")->status, 200);
}

TEST(HttpServer, ForgottenAndThrowingHandlersAreAnswered) {
  auto server = serve([](HttpRequest request, std::shared_ptr<Responder> responder) {
    if (request.path == "/throw") throw std::runtime_error("oops");
    if (request.path == "/half") {
      responder->start({.content_type = "text/plain"});
      responder->write("half");
    }
  });
  auto client = client_of(*server);
  EXPECT_EQ(client->get("/forget")->status, 500);
  EXPECT_EQ(client->get("/throw")->status, 500);
  EXPECT_EQ(client->get("/half").status().code(), Code::kUnavailable);
}

TEST(HttpServer, BusyPortsAndWrongHostsAreSaid) {
  auto server = serve(echo);
  const int port = server->port();
  const Status busy = HttpServer::start({.port = port}, echo).status();
  EXPECT_EQ(busy.code(), Code::kAlreadyExists);
  EXPECT_EQ(busy.message(),
            fmt::format("cannot listen on 127.0.0.1:{}: address already in use; choose another --port or stop the "
                        "other server",
                        port));
  EXPECT_EQ(HttpServer::start({.host = "example.org"}, echo).status().message(),
            "host \"example.org\" is not an IP address; use for example 127.0.0.1 or 0.0.0.0");
  EXPECT_TRUE(server->stop(0));
  EXPECT_TRUE(HttpServer::start({.port = port}, echo).ok());  // free again at once
}

TEST(HttpServer, ConnectionsBeyondTheLimitAreRefused) {
  auto server = serve(echo, {.max_connections = 1});
  auto first = client_of(*server);
  EXPECT_EQ(first->get("/")->status, 200);
  EXPECT_EQ(client_of(*server)->get("/")->status, 503);
  EXPECT_EQ(first->get("/")->status, 200);
}

TEST(HttpServer, StopDrainsThenBreaks) {
  Event begun, release;
  auto server = serve([&](HttpRequest request, std::shared_ptr<Responder> responder) {
    if (request.path != "/short") return;
    begun.set();
    release.wait();
    responder->reply({.body = "done"});
  });
  auto idle = client_of(*server);
  EXPECT_EQ(idle->get("/idle")->status, 500);
  Result<HttpResponse> answer = not_found("none yet");
  std::thread asker([&] { answer = client_of(*server)->get("/short"); });
  ASSERT_TRUE(begun.wait());
  std::thread releaser([&] {
    std::this_thread::sleep_for(milliseconds(50));
    release.set();
  });
  EXPECT_TRUE(server->stop(10000));
  asker.join();
  releaser.join();
  EXPECT_EQ(answer->body, "done");
  EXPECT_EQ(idle->get("/").status().code(), Code::kUnavailable);

  Event begun2;
  auto second = serve([&](HttpRequest, std::shared_ptr<Responder> responder) {
    Event gone;
    responder->on_gone([&] { gone.set(); });
    begun2.set();
    EXPECT_TRUE(gone.wait());
  });
  std::thread asker2([&] { answer = client_of(*second)->get("/long"); });
  ASSERT_TRUE(begun2.wait());
  EXPECT_FALSE(second->stop(20));
  asker2.join();
  EXPECT_EQ(answer.status().code(), Code::kUnavailable);
}

TEST(HttpServer, AResponderMayOutliveTheServer) {
  std::shared_ptr<Responder> held;
  Event begun;
  {
    auto server = serve([&](HttpRequest, std::shared_ptr<Responder> responder) {
      held = std::move(responder);
      begun.set();
    });
    RawClient raw(server->port());
    raw.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_TRUE(begun.wait());
  }
  EXPECT_TRUE(held->client_gone());
  held->reply({.body = "late"});
  EXPECT_FALSE(held->write("late"));
}

TEST(HttpServer, ManyClientsAtOnce) {
  auto server = serve(echo);
  std::atomic<int> right{0};
  std::vector<std::thread> clients;
  for (int t = 0; t < 16; ++t) {
    clients.emplace_back([&, t] {
      auto client = client_of(*server);
      for (int i = 0; i < 50; ++i) {
        const std::string body = std::to_string(t * 1000 + i);
        const auto answer = client->post("/", body);
        right += answer.ok() && answer.value().body == "POST / " + body;
      }
    });
  }
  for (auto& c : clients) c.join();
  EXPECT_EQ(right, 16 * 50);
}

TEST(HttpClient, SaysWhatIsWrong) {
  EXPECT_EQ(HttpClient::create("https://a").status().message(), "address \"https://a\": use \"http://HOST:PORT\"");
  EXPECT_EQ(HttpClient::create("http://a:b").status().message(), "address \"http://a:b\": use \"http://HOST:PORT\"");
  int port = 0;
  {
    auto server = serve([](HttpRequest, std::shared_ptr<Responder> responder) {
      std::this_thread::sleep_for(milliseconds(200));
      responder->reply({});
    });
    port = server->port();
    EXPECT_EQ(client_of(*server, {.timeout_ms = 30})->get("/").status().message(),
              fmt::format("127.0.0.1:{} sent nothing for 30 ms", port));
  }
  auto client = std::move(HttpClient::create("http://localhost:" + std::to_string(port))).value();
  EXPECT_EQ(client->get("/").status().message(), fmt::format("cannot reach localhost:{}: Connection refused", port));
}

}  // namespace
}  // namespace bgl::net
