// What server and client say to each other.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bgl::net {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// The first header of this name, whatever its case; nullptr when there is none.
const std::string* find_header(const HttpHeaders& headers, std::string_view name);

struct HttpRequest {
  std::string method;  // "GET"
  std::string target;  // "/v1/models?limit=3", as sent
  std::string path;    // "/v1/models", percent-decoded
  HttpHeaders query;   // {"limit", "3"}, decoded, in order
  HttpHeaders headers;
  std::string body;
  std::string peer;  // "127.0.0.1:4711"
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  HttpHeaders headers = {};
};

// {"error": {"message": ..., "type": ..., "code": ...}} as OpenAI's API answers; the type follows from the status.
HttpResponse error_response(int status, std::string_view message, std::string_view code = {});

// "a b" of "a%20b"; with `plus` "+" is a space too. A wrong escape stays as it is.
std::string percent_decode(std::string_view text, bool plus = false);
// Sets path and query from target.
void split_target(HttpRequest& request);

}  // namespace bgl::net
