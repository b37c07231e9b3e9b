#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/threads.h"
#include "cli/bench.h"
#include "ops/random.h"
#include "prep/run.h"
#include "text/tokenizers/bpe_train.h"

namespace bgl::cli {
using nlohmann::json;

std::string made_text(size_t bytes, uint64_t seed) {
  ops::Generator g(seed);
  std::vector<std::string> words;
  const std::string vowels = "aeiou", consonants = "bcdfghklmnprstvw";
  for (int i = 0; i < 20000; ++i) {
    std::string w;
    for (int64_t n = 1 + g.below(4); n > 0; --n) {
      w += consonants[static_cast<size_t>(g.below(16))];
      w += vowels[static_cast<size_t>(g.below(5))];
    }
    words.push_back(w);
  }
  std::string text;
  int in_sentence = 0;
  while (text.size() < bytes) {
    const auto rank = static_cast<size_t>(std::exp(g.uniform_double() * std::log(20000.0))) - 1;
    text += (in_sentence == 0 ? "The " : " ") + words[rank];
    if (++in_sentence > 8 && g.below(5) == 0) {
      text += g.below(6) == 0 ? ".\n\n" : ". ";
      in_sentence = 0;
    }
  }
  return text;
}

BenchResults bench_prep(const lang::Rates&) {
  Env& env = real_env();
  const std::string dir = scratch_folder("prep");
  size_t bytes = 0;
  const std::string pool = made_text(40 << 20, 6);
  BGL_TRY(env.make_dirs(dir + "/in"));
  for (int i = 0; i < 200; ++i) {
    std::string html = "<html><head><title>Page</title></head><body><nav><a href='/'>Home</a> <a href='/x'>More</a></nav><article><h1>Page</h1>";
    for (int p = 0; p < 40; ++p) html += "<p>" + pool.substr(static_cast<size_t>(i * 40 + p) * 5000, 5000) + "</p>\n";
    html += "</article><footer>All rights reserved</footer></body></html>";
    bytes += html.size();
    BGL_TRY(env.write_file_atomic(fmt::format("{}/in/page{:03}.html", dir, i), html));
  }
  BGL_ASSIGN(Config config, Config::parse("[[source]]\nname='made'\ndomain='made'\nlicence='none'\nmatch=['**/*.html']\nskip=['gopher_stop_words']\n", "bench"));
  BGL_ASSIGN(const prep::PrepConfig c, prep::parse_config(std::move(config)));
  const double start = seconds_now();
  BGL_ASSIGN(const prep::RunReport r, prep::run(env, c, {.in = dir + "/in", .out = dir + "/clean"}));
  const double seconds = seconds_now() - start;
  BGL_TRY(env.remove_all(dir));
  if (r.documents_in != 200) return make_status(Code::kInternal, "{} of 200 documents were read", r.documents_in);
  const double rate = static_cast<double>(bytes) / seconds / 1e6;
  return std::vector<BenchResult>{{.name = "prep_html_to_clean", .value = rate / thread_pool().threads(), .unit = "MB/s per core"}};
}

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
