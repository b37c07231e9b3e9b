// bgl bench tokenizer
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "cli/bench.h"
#include "text/tokenizers/bpe_train.h"

namespace bgl::cli {
using nlohmann::json;

BenchResults bench_tokenizer(const lang::Rates&) {
  Env& env = real_env();
  const std::string dir = scratch_folder("tokenizer");
  BGL_TRY(env.make_dirs(dir));
  const std::string text = made_text(8 << 20, 7);
  BGL_TRY(env.write_file_atomic(dir + "/text", text));
  double start = seconds_now();
  text::BpeTrainer trainer({.vocab_size = 4096, .marks = {"<|endoftext|>"}, .progress = nullptr});
  trainer.add(text);
  BGL_ASSIGN(const auto tokenizer, trainer.train());
  const double train_s = seconds_now() - start;
  BGL_TRY(text::write_tokenizer_json(*tokenizer, dir + "/tokenizer.json"));
  // As documents of 4,000 bytes, so that neither side is measured on one huge string.
  size_t tokens = 0;
  const double encode_s = least_seconds(1.0, [&] {
    tokens = 0;
    for (size_t at = 0; at < text.size(); at += 4000) tokens += tokenizer->encode_ordinary(std::string_view(text).substr(at, 4000)).size();
  });
  const json j = json::parse(run_peer("tokenizer/hf_tokenizers.py", dir + "/text " + dir + "/tokenizer.json"), nullptr, false);
  BGL_TRY(env.remove_all(dir));
  const double mb = static_cast<double>(text.size()) / 1e6;
  std::vector<BenchResult> out = {{.name = "bpe_train_8MB_4096", .value = mb / train_s, .unit = "MB/s"}, {.name = "bpe_encode_1_thread", .value = mb / encode_s, .unit = "MB/s"}};
  if (j.is_object()) {
    if (j.value("tokens", size_t{0}) != tokens) return make_status(Code::kInternal, "the peer finds {} tokens, we {}", j.value("tokens", size_t{0}), tokens);
    for (BenchResult& r : out) r.peer = j.value("peer", "");
    out[0].peer_value = mb / j.value("train_s", 1e9);
    out[1].peer_value = mb / j.value("encode_s", 1e9);
  }
  return out;
}

}  // namespace bgl::cli
