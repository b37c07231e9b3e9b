#include <CLI/CLI.hpp>

#include "cli/numbers.h"
#include "cli/verbs.h"
#include "serve/server.h"

namespace bgl::cli {

void add_serve(CLI::App& app, Status& status) {
  auto o = std::make_shared<serve::ServerOptions>();
  CLI::App* verb = app.add_subcommand("serve", "Serve a model through OpenAI's HTTP API; SIGTERM ends after the requests in work");
  verb->add_option("MODEL", o->model, "A Hugging Face folder, or a llama2.c .bin file")->required();
  verb->add_option("--tokenizer", o->tokenizer, "A tokenizer file or folder (default: the model folder's own)");
  add_weights_option(*verb, o->weights);
  verb->add_option("--port", o->port, "0: a free one, printed when it serves")->check(CLI::Range(0, 65535));
  verb->add_option("--host", o->host, "The address to listen on (0.0.0.0: every one)");
  verb->add_option("--api-key", o->api_key, "Require \"Authorization: Bearer KEY\"")->check([](const std::string& key) {
    return key.empty() ? "the key is empty: give one, or leave --api-key out to serve anybody" : "";
  });
  verb->add_option("--name", o->name, "What the model is called in requests");
  verb->add_option("--adapter", o->adapters, "NAME=DIR: serve the model with this low-rank adapter too, as NAME; may be given again")->allow_extra_args(false);
  verb->add_option("--also", o->more_models, "NAME=MODEL: serve this model too, as NAME; may be given again")->allow_extra_args(false);
  verb->add_option("--max-running", o->engine.max_running, "Requests in one batch")->check(CLI::Range(1, 4096));
  verb->add_option("--max-waiting", o->engine.max_waiting, "Requests that wait for a place in the batch; more are answered 429")->check(CLI::Range(0, 1 << 20));
  verb->add_option("--step-tokens", o->engine.step_tokens, "Tokens of one step of the batch")->check(CLI::Range(1, 1 << 16));
  verb->add_option("--context", o->engine.context, "Most tokens of a request, prompt and answer (default: the model's)")->check(positive());
  verb->add_option("--cache-bytes", o->engine.cache_bytes, "Memory of the KV cache (default: by the machine)")->check(not_negative());
  verb->add_option("--ttft-ms", o->engine.ttft_ms, "Refuse (429) what would have its first token later than this (default: refuse only when the queue is full)")->check(not_negative());
  verb->add_option("--tbt-ms", o->engine.tbt_ms, "Keep the time between two tokens of an answer under this, by smaller steps")->check(not_negative());
  verb->add_option("--trace", o->trace, "Write queue, prefill and decode of every request to this file, for ui.perfetto.dev");
  verb->add_option("--drain-seconds", o->drain_seconds, "How long SIGTERM waits for requests in work")->check(not_negative());
  set_example(*verb, "bgl serve runs/imaging/model --port 8000");
  verb->callback([o, &status] { status = serve::run_server(*o); });
}

}  // namespace bgl::cli
