#include "net/http_message.h"

#include <gtest/gtest.h>

namespace bgl::net {
namespace {

TEST(HttpMessage, TargetsAreSplitAndDecoded) {
  HttpRequest request;
  request.target = "/v1/a%20b+c?limit=3&name=x+y%26z&flag&=";
  split_target(request);
  EXPECT_EQ(request.path, "/v1/a b+c");
  EXPECT_EQ(request.query, (HttpHeaders{{"limit", "3"}, {"name", "x y&z"}, {"flag", ""}, {"", ""}}));
  EXPECT_EQ(percent_decode("%4", false), "%4");
  EXPECT_EQ(percent_decode("%zz%41", false), "%zzA");
}

TEST(HttpMessage, HeadersAreFoundWhateverTheirCase) {
  const HttpHeaders headers = {{"Content-Type", "a"}, {"content-type", "b"}};
  EXPECT_EQ(*find_header(headers, "CONTENT-TYPE"), "a");
  EXPECT_EQ(find_header(headers, "content"), nullptr);
}

TEST(HttpMessage, ErrorsHaveTheFormOfOpenAi) {
  EXPECT_EQ(error_response(404, "no model \"x\"", "model_not_found").body,
            "{\"error\":{\"message\":\"no model \\\"x\\\"\",\"type\":\"not_found_error\",\"param\":null,"
            "\"code\":\"model_not_found\"}}");
  EXPECT_EQ(error_response(400, "bad \xff").body,
            "{\"error\":{\"message\":\"bad \xEF\xBF\xBD\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}}");
}

}  // namespace
}  // namespace bgl::net
