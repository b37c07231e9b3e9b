// bgl bench prep: the stages of preparation, in seconds of one core each, and the whole of it.
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/threads.h"
#include "cli/bench.h"
#include "prep/dedup.h"
#include "prep/filters.h"
#include "prep/language.h"
#include "prep/planted.h"
#include "prep/run.h"
#include "text/documents/html.h"
#include "text/encoding.h"
#include "text/files/decompress.h"

namespace bgl::cli {
namespace {

using nlohmann::json;
using Texts = std::vector<std::string>;

size_t bytes_of(const Texts& texts) {
  size_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size();
  return bytes;
}

std::string made_page(std::string_view prose) {
  std::string html = "<html><head><title>Page</title></head><body><nav><a href='/'>Home</a> <a href='/x'>More</a></nav><article><h1>Page</h1>";
  for (size_t at = 0; at < prose.size(); at += 5000) html += "<p>" + std::string(prose.substr(at, 5000)) + "</p>\n";
  return html + "</article><footer>All rights reserved</footer></body></html>";
}

// Pages as their servers sent them.
Result<Texts> read_pages(const std::string& folder) {
  Texts pages;
  BGL_ASSIGN(const auto entries, real_env().list_dir(folder));
  for (const auto& entry : entries) {
    const std::string path = join_path(folder, entry.name);
    if (path.find(".htm") == std::string::npos) continue;
    BGL_ASSIGN(const std::string bytes, real_env().read_file(path));
    BGL_ASSIGN(std::string page, text::decompress(bytes, path));
    pages.push_back(std::move(page));
  }
  if (pages.empty()) return invalid_argument("{}: no file *.html or *.html.gz here", folder);
  return pages;
}

// Every rule is measured: none of them breaks.
Result<prep::RuleSet> all_rules_at_ease() {
  prep::RuleSet rules;
  for (const prep::RuleInfo& rule : prep::all_rules()) {
    if (rule.in_group) BGL_TRY(rules.enable(rule.name));
    const std::string meaning = rule.meaning;
    const bool at_least = meaning.rfind("fewer", 0) == 0 || meaning.rfind("a lower", 0) == 0 || meaning.rfind("a smaller", 0) == 0;
    BGL_TRY(rules.set_threshold(rule.name, at_least ? -1 : 1e12));
  }
  return rules;
}

Result<Texts> measure_extraction(const Texts& pages, const std::string& folder, std::vector<BenchResult>& out) {
  Texts texts;
  Status failed;
  const double seconds = least_cpu_seconds([&] {
    texts.clear();
    for (const std::string& page : pages) {
      Result<text::HtmlText> text = text::extract_html(text::to_utf8(page, true).text);
      if (!text.ok()) failed = text.status();
      if (text.ok() && !text->text.empty()) texts.push_back(std::move(text->text));
    }
  });
  BGL_TRY(failed);
  BenchResult row{.name = "extract_html", .value = static_cast<double>(pages.size()) / seconds, .unit = "pages/s of a core"};
  const json peer = json::parse(run_peer("prep/trafilatura_pages.py", folder), nullptr, false);
  if (peer.is_object()) row.peer = peer.value("peer", ""), row.peer_value = peer.value("pages_per_s", 0.0);
  out.push_back(std::move(row));
  return texts;
}

Status measure_filters(const Texts& texts, std::vector<BenchResult>& out) {
  const double mb = static_cast<double>(bytes_of(texts)) / 1e6;
  BGL_ASSIGN(const prep::RuleSet rules, all_rules_at_ease());
  size_t kept = 0;
  const double filters = least_cpu_seconds([&] {
    kept = 0;
    for (std::string text : texts) kept += !prep::filter_document(rules, text);
  });
  out.push_back({.name = "filters_all_rules", .value = mb / filters, .unit = "MB/s of a core"});
  if (kept == 0) return make_status(Code::kInternal, "no rule breaks, and no document is kept");
  size_t told = 0;
  const double language = least_cpu_seconds([&] {
    told = 0;
    for (const std::string& text : texts) told += prep::detect_language(text).code != "un";
  });
  out.push_back({.name = "language_whole_documents", .value = mb / language, .unit = "MB/s of a core"});
  return {};
}

Status measure_dedup(const Texts& texts, const std::string& dir, std::vector<BenchResult>& out) {
  const prep::DedupConfig config;
  Status failed;
  const double seconds = least_cpu_seconds([&] {
    std::vector<prep::Signature> signatures;
    for (const std::string& text : texts) signatures.push_back(prep::signature_of(text, config));
    const prep::EachItem each = [&](const std::function<void(const prep::DedupItem&)>& fn) -> Status {
      for (const prep::Signature& s : signatures) fn({s.exact, s.bands, 0});
      return {};
    };
    failed = prep::judge_duplicates(each, config, {.count = static_cast<int64_t>(texts.size())}).status();
  });
  BGL_TRY(failed);
  BenchResult row{.name = "minhash_end_to_end", .value = static_cast<double>(bytes_of(texts)) / 1e6 / seconds, .unit = "MB/s of a core"};
  std::string lines;
  for (const std::string& text : texts) lines += json{{"text", text}}.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  BGL_TRY(real_env().write_file_atomic(dir + "/texts.jsonl", lines));
  const json peer = json::parse(run_peer("prep/datatrove_minhash.py", dir + "/texts.jsonl"), nullptr, false);
  if (peer.is_object()) row.peer = peer.value("peer", ""), row.peer_value = peer.value("mb_per_s", 0.0);
  out.push_back(std::move(row));
  BGL_ASSIGN(const prep::DuplicateScore score, prep::score_duplicates(prep::plant_duplicates(400, 17), config));
  out.push_back({.name = "planted_exact_recall", .value = score.exact_recall, .unit = "share"});
  out.push_back({.name = "planted_near_recall_0.9", .value = score.near_recall, .unit = "share"});
  out.push_back({.name = "planted_precision", .value = score.precision, .unit = "share"});
  return {};
}

Status measure_run(const std::string& dir, std::vector<BenchResult>& out) {
  Env& env = real_env();
  size_t bytes = 0;
  const std::string pool = made_text(40 << 20, 6);
  BGL_TRY(env.make_dirs(dir + "/in"));
  for (size_t i = 0; i < 200; ++i) {
    const std::string html = made_page(std::string_view(pool).substr(i * 200000, 200000));
    bytes += html.size();
    BGL_TRY(env.write_file_atomic(fmt::format("{}/in/page{:03}.html", dir, i), html));
  }
  BGL_ASSIGN(Config config, Config::parse("[[source]]\nname='made'\ndomain='made'\nlicence='none'\nmatch=['**/*.html']\nskip=['gopher_stop_words']\n", "bench"));
  BGL_ASSIGN(const prep::PrepConfig c, prep::parse_config(std::move(config)));
  const double start = seconds_now();
  BGL_ASSIGN(const prep::RunReport r, prep::run(env, c, {.in = dir + "/in", .out = dir + "/clean"}));
  const double seconds = seconds_now() - start;
  if (r.documents_in != 200) return make_status(Code::kInternal, "{} of 200 documents were read", r.documents_in);
  out.push_back({.name = "prep_html_to_clean", .value = static_cast<double>(bytes) / seconds / 1e6 / thread_pool().threads(), .unit = "MB/s per core"});
  return {};
}

}  // namespace

BenchResults bench_prep(const std::string& folder) {
  Env& env = real_env();
  const std::string dir = scratch_folder("prep");
  std::vector<BenchResult> out;
  const auto measure = [&]() -> Status {
    BGL_TRY(measure_run(dir, out));
    const std::string pages_in = folder.empty() ? dir + "/in" : folder;
    BGL_ASSIGN(const Texts pages, read_pages(pages_in));
    BGL_ASSIGN(const Texts texts, measure_extraction(pages, pages_in, out));
    BGL_TRY(measure_filters(texts, out));
    return measure_dedup(texts, dir, out);
  };
  const Status done = measure();
  BGL_TRY(env.remove_all(dir));
  BGL_TRY(done);
  return out;
}

}  // namespace bgl::cli
