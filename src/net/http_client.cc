#include "net/http_client.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace bgl::net {
namespace {

constexpr size_t kMaxHeadBytes = 1 << 20;

// All of `text`, digits and nothing else.
template <typename T>
bool whole_number(std::string_view text, T& value, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && end == text.data() + text.size() && value >= 0;
}

}  // namespace

class HttpClient::Impl {
  // Takes the lines of server-sent events out of pieces of any size.
  class SseReader {
   public:
    explicit SseReader(const std::function<bool(std::string_view)>& data) : data_(data) {}
    // False when the listener has had enough.
    bool feed(std::string_view piece) {
      rest_ += piece;
      size_t at = 0;
      for (size_t end; (end = rest_.find('\n', at)) != std::string::npos; at = end + 1) {
        std::string_view line = std::string_view(rest_).substr(at, end - at);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (!line.starts_with("data:")) continue;
        line.remove_prefix(line.starts_with("data: ") ? 6 : 5);
        if (!data_(line)) return false;
      }
      rest_.erase(0, at);
      return true;
    }

   private:
    const std::function<bool(std::string_view)>& data_;
    std::string rest_;
  };

 public:
  std::string host, port, prefix;
  HttpClientOptions options;

  ~Impl() { close(); }

  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
    buffer_.clear();
  }

  Result<HttpResponse> request(std::string_view method, const std::string& target, std::string_view body,
                               const std::function<bool(std::string_view)>* data) {
    std::string text = fmt::format("{} {}{} HTTP/1.1\r\nHost: {}:{}\r\n", method, prefix, target, host, port);
    if (!options.api_key.empty()) text += "Authorization: Bearer " + options.api_key + "\r\n";
    if (method == "POST") text += fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n", body.size());
    text += "\r\n";
    text += body;
    const bool reused = fd_ >= 0;
    auto head = exchange(text);
    if (!head.ok() && reused && !answered_) {
      // The server may have ended an idle connection just as we used it; nothing was answered, so a new one is tried once.
      close();
      head = exchange(text);
    }
    if (!head.ok()) {
      close();
      return head;
    }
    auto response = read_body(std::move(head).value(), data);
    if (!response.ok() || !keep_ || !buffer_.empty()) close();  // bytes beyond an answer belong to no request
    return response;
  }

 private:
  Status unreachable(const std::string& why) const {
    return make_status(Code::kUnavailable, "cannot reach {}:{}: {}", host, port, why);
  }
  Status not_http() const { return unreachable("its answer is not HTTP"); }
  Status cut() const {
    return make_status(Code::kUnavailable, "{}:{} ended the connection in the middle of an answer", host, port);
  }

  Status wait_for(short events, int timeout_ms) {
    pollfd p{fd_, events, 0};
    int ready;
    do {
      ready = ::poll(&p, 1, timeout_ms);
    } while (ready < 0 && errno == EINTR);
    if (ready > 0) return {};
    return make_status(Code::kUnavailable, "{}:{} sent nothing for {} ms", host, port, timeout_ms);
  }

  Status connect() {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int failed = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
    if (failed != 0) return unreachable(::gai_strerror(failed));
    Status status = unreachable("no address");
    for (const addrinfo* a = found; a != nullptr && !status.ok(); a = a->ai_next) {
      close();
      fd_ = ::socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      if (fd_ < 0) {
        status = unreachable(errno_status(errno, "socket").message());
        continue;
      }
      int error = ::connect(fd_, a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
      if (error == EINPROGRESS) {
        socklen_t size = sizeof error;
        if (!wait_for(POLLOUT, options.connect_timeout_ms).ok()) {
          error = ETIMEDOUT;
        } else {
          ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
        }
      }
      status = error == 0 ? Status() : unreachable(std::error_code(error, std::generic_category()).message());
    }
    ::freeaddrinfo(found);
    if (!status.ok()) return status;
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return {};
  }

  Status send_all(std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (n >= 0) {
        text.remove_prefix(static_cast<size_t>(n));
      } else if (errno == EAGAIN) {
        BGL_TRY(wait_for(POLLOUT, options.timeout_ms));
      } else if (errno != EINTR) {
        return cut();
      }
    }
    return {};
  }

  // Adds what the server has sent to buffer_; false at the end of the connection.
  Result<bool> receive() {
    char bytes[65536];
    while (true) {
      const ssize_t n = ::recv(fd_, bytes, sizeof bytes, 0);
      if (n > 0) {
        buffer_.append(bytes, static_cast<size_t>(n));
        answered_ = true;
        return true;
      }
      if (n == 0) return false;
      if (errno == EAGAIN) {
        BGL_TRY(wait_for(POLLIN, options.timeout_ms));
      } else if (errno != EINTR) {
        return cut();
      }
    }
  }

  Status receive_more() {
    BGL_ASSIGN(const bool more, receive());
    return more ? Status() : cut();
  }

  // Sends the request and reads the answer's status and headers.
  Result<HttpResponse> exchange(const std::string& text) {
    answered_ = false;
    if (fd_ < 0) BGL_TRY(connect());
    // A server that refuses a body answers before it has read it all: its answer counts, not the failed sending.
    const Status sent = send_all(text);
    size_t end;
    do {
      while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
        if (buffer_.size() > kMaxHeadBytes) return not_http();
        const Status more = receive_more();
        if (!more.ok()) return sent.ok() ? more : sent;
      }
    } while (skip_continue(end));
    HttpResponse response;
    const std::string head = buffer_.substr(0, end + 2);
    buffer_.erase(0, end + 4);
    const bool http = head.starts_with("HTTP/1.") && head.size() > 13 && head[8] == ' ' && (head[12] == ' ' || head[12] == '\r') &&
                      whole_number(std::string_view(head).substr(9, 3), response.status) && response.status >= 100;
    if (!http) return not_http();
    keep_ = head[7] == '1';
    for (size_t at = head.find("\r\n") + 2; at < head.size();) {
      const size_t line_end = head.find("\r\n", at);
      const std::string_view line = std::string_view(head).substr(at, line_end - at);
      at = line_end + 2;
      const size_t colon = line.find(':');
      if (colon == std::string_view::npos) continue;
      std::string_view value = line.substr(colon + 1);
      while (value.starts_with(' ')) value.remove_prefix(1);
      response.headers.emplace_back(line.substr(0, colon), value);
    }
    const std::string* type = find_header(response.headers, "content-type");
    response.content_type = type ? *type : "";
    const std::string* connection = find_header(response.headers, "connection");
    if (connection) keep_ = *connection != "close";
    return response;
  }

  // A "100 Continue" stands before the answer proper.
  bool skip_continue(size_t end) {
    if (!buffer_.starts_with("HTTP/1.1 100")) return false;
    buffer_.erase(0, end + 4);
    return true;
  }

  Result<HttpResponse> read_body(HttpResponse response, const std::function<bool(std::string_view)>* data) {
    const bool events = data && response.content_type.starts_with("text/event-stream");
    std::function<bool(std::string_view)> none;
    SseReader sse(events ? *data : none);
    const auto take = [&](std::string_view piece) -> Status {
      if (events) {
        if (!sse.feed(piece)) stopped_ = true;
        return {};
      }
      response.body += piece;
      if (static_cast<int64_t>(response.body.size()) <= options.max_body_bytes) return {};
      return make_status(Code::kResourceExhausted, "the answer of {}:{} is larger than {} bytes", host, port,
                         options.max_body_bytes);
    };
    stopped_ = false;
    const std::string* coding = find_header(response.headers, "transfer-encoding");
    const std::string* length = find_header(response.headers, "content-length");
    if (response.status == 204 || response.status == 304) return response;
    if (coding && *coding == "chunked") {
      BGL_TRY(read_chunks(take));
    } else if (length) {
      int64_t bytes = 0;
      if (!whole_number(*length, bytes)) return not_http();
      BGL_TRY(read_length(bytes, take));
    } else {
      keep_ = false;
      BGL_TRY(read_to_end(take));
    }
    if (stopped_) keep_ = false;
    return response;
  }

  template <typename Take>
  Status read_length(int64_t length, const Take& take) {
    while (length > 0 && !stopped_) {
      if (buffer_.empty()) BGL_TRY(receive_more());
      const size_t n = std::min(buffer_.size(), static_cast<size_t>(length));
      BGL_TRY(take(std::string_view(buffer_).substr(0, n)));
      buffer_.erase(0, n);
      length -= static_cast<int64_t>(n);
    }
    return {};
  }

  template <typename Take>
  Status read_to_end(const Take& take) {
    while (!stopped_) {
      BGL_TRY(take(buffer_));
      buffer_.clear();
      BGL_ASSIGN(const bool more, receive());
      if (!more) return {};
    }
    return {};
  }

  template <typename Take>
  Status read_chunks(const Take& take) {
    while (!stopped_) {
      BGL_ASSIGN(const std::string line, read_line());
      int64_t length = 0;
      if (!whole_number(std::string_view(line).substr(0, line.find_first_of("; \t")), length, 16)) return not_http();
      if (length == 0) break;
      BGL_TRY(read_length(length, take));
      if (stopped_) break;
      BGL_ASSIGN(const std::string after, read_line());
      if (!after.empty()) return not_http();
    }
    while (!stopped_) {
      BGL_ASSIGN(const std::string trailer, read_line());
      if (trailer.empty()) break;
    }
    return {};
  }

  Result<std::string> read_line() {
    size_t end;
    while ((end = buffer_.find("\r\n")) == std::string::npos) BGL_TRY(receive_more());
    std::string line = buffer_.substr(0, end);
    buffer_.erase(0, end + 2);
    return line;
  }

  int fd_ = -1;
  std::string buffer_;
  bool answered_ = false;  // a byte of the present answer has come
  bool keep_ = true;
  bool stopped_ = false;
};

HttpClient::HttpClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpClient::~HttpClient() = default;

Result<std::unique_ptr<HttpClient>> HttpClient::create(const std::string& base_url, HttpClientOptions options) {
  constexpr std::string_view kScheme = "http://";
  if (!base_url.starts_with(kScheme)) return invalid_argument("address \"{}\": use \"http://HOST:PORT\"", base_url);
  const std::string_view rest = std::string_view(base_url).substr(kScheme.size());
  const size_t slash = std::min(rest.find('/'), rest.size());
  std::string_view authority = rest.substr(0, slash);
  auto impl = std::make_unique<Impl>();
  impl->prefix = rest.substr(slash);
  while (impl->prefix.ends_with('/')) impl->prefix.pop_back();
  impl->port = "80";
  const size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos) {
    impl->port = authority.substr(colon + 1);
    authority = authority.substr(0, colon);
  }
  if (authority.starts_with('[') && authority.ends_with(']')) authority = authority.substr(1, authority.size() - 2);
  impl->host = authority;
  const bool digits =
      !impl->port.empty() && std::all_of(impl->port.begin(), impl->port.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (impl->host.empty() || !digits) return invalid_argument("address \"{}\": use \"http://HOST:PORT\"", base_url);
  impl->options = std::move(options);
  return std::unique_ptr<HttpClient>(new HttpClient(std::move(impl)));
}

Result<HttpResponse> HttpClient::get(const std::string& target) { return impl_->request("GET", target, {}, nullptr); }

Result<HttpResponse> HttpClient::post(const std::string& target, std::string_view json) {
  return impl_->request("POST", target, json, nullptr);
}

Result<HttpResponse> HttpClient::post_stream(const std::string& target, std::string_view json,
                                             const std::function<bool(std::string_view data)>& data) {
  return impl_->request("POST", target, json, &data);
}

void HttpClient::close() { impl_->close(); }

}  // namespace bgl::net
