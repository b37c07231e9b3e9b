#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "cli/numbers.h"
#include "cli/verbs.h"
#include "net/http_client.h"

namespace bgl::cli {
namespace {

using nlohmann::json;

struct AskVerb {
  std::string url = "http://127.0.0.1:8000", prompt, out, api_key;
  int64_t max_tokens = 64;
  double temperature = 0.7;
  int64_t seed = 0;
  bool chat = false;
};

// The piece of text in one event of the stream; an error the server sent ends it.
Result<std::string> piece_of(const json& event, bool chat) {
  if (!event.is_object()) return data_loss("the server sent something that is no JSON object");
  if (event.contains("error")) return make_status(Code::kUnavailable, "the server says: {}", event["error"].value("message", "?"));
  if (!event.contains("choices") || event["choices"].empty()) return std::string();
  const json& c = event["choices"][0];
  if (!chat) return c.value("text", "");
  return c.contains("delta") ? c["delta"].value("content", "") : "";
}

Status ask(const AskVerb& o) {
  BGL_ASSIGN(const auto client, net::HttpClient::create(o.url, {.api_key = o.api_key}));
  json body = {{"stream", true}, {"max_tokens", o.max_tokens}, {"temperature", o.temperature}, {"seed", o.seed}, {"stream_options", {{"include_usage", true}}}};
  if (o.chat) {
    body["messages"] = json::array({{{"role", "user"}, {"content", o.prompt}}});
  } else {
    body["prompt"] = o.prompt;
  }
  const int64_t start = real_env().now_ns();
  auto seconds = [&] { return 1e-9 * static_cast<double>(real_env().now_ns() - start); };
  double first = -1;
  std::string text;
  json usage;
  Status failed;
  BGL_ASSIGN(const net::HttpResponse answer, client->post_stream(o.chat ? "/v1/chat/completions" : "/v1/completions", body.dump(), [&](std::string_view data) {
    if (data == "[DONE]") return true;
    const json event = json::parse(data, nullptr, false);
    auto piece = piece_of(event, o.chat);
    if (!piece.ok()) return failed = piece.status(), false;
    if (event.contains("usage") && event["usage"].is_object()) usage = event["usage"];
    if (!piece->empty() && first < 0) first = seconds();
    std::fwrite(piece->data(), 1, piece->size(), stdout);
    std::fflush(stdout);
    text += *piece;
    return true;
  }));
  BGL_TRY(failed);
  if (answer.status != 200) {
    const json j = json::parse(answer.body, nullptr, false);
    const std::string message = j.is_object() && j.contains("error") ? j["error"].value("message", answer.body) : answer.body;
    return make_status(Code::kUnavailable, "{} answered {}: {}", o.url, answer.status, message);
  }
  std::printf("\n");
  if (o.out.empty()) return Status();
  const json j = {{"prompt", o.prompt}, {"text", text}, {"first_token_s", first}, {"total_s", seconds()}, {"usage", usage}};
  return real_env().write_file_atomic(o.out, j.dump(2) + "\n");
}

}  // namespace

void add_ask(CLI::App& app, Status& status) {
  auto o = std::make_shared<AskVerb>();
  CLI::App* verb = app.add_subcommand("ask", "Send one request to a server of OpenAI's API and print the answer as it comes");
  verb->add_option("--url", o->url, "The server, without /v1");
  verb->add_option("--prompt", o->prompt, "The text to continue, or the question")->required();
  verb->add_option("--max-tokens", o->max_tokens, "Most tokens of the answer")->check(positive());
  verb->add_option("--temperature", o->temperature, "0: always the most likely token")->check(from_to(0, 2));
  verb->add_option("--seed", o->seed, "The same seed gives the same answer");
  verb->add_option("--api-key", o->api_key, "Sent as Authorization: Bearer KEY");
  verb->add_flag("--chat", o->chat, "Ask through /v1/chat/completions");
  verb->add_option("--json", o->out, "Write answer, usage and times to this file");
  set_example(*verb, "bgl ask --url http://127.0.0.1:8000 --prompt \"Once upon a time\" --max-tokens 50");
  verb->callback([o, &status] { status = ask(*o); });
}

}  // namespace bgl::cli
