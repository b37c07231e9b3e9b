// The last stage of ./quickstart: everything the stages left behind as one table on the terminal and one HTML page. DIR holds
//   clean/summary.json, shards/manifest.json, lake.json (`bgl lake stat --json`), eval.json (`bgl eval --json`), stages.tsv (name,
//   seconds), runs/<name>/, answer-cold.json and answer-warm.json (`bgl ask --json`); what is absent is left out.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/progress.h"
#include "cli/verbs.h"
#include "report/page.h"
#include "train/report.h"

namespace bgl::cli {
namespace {

using nlohmann::json;
using report::Table;

json load(const std::string& path) {
  const auto text = real_env().read_file(path);
  return text.ok() ? json::parse(*text, nullptr, false) : json();
}
std::string text_of(const json& j, const char* key) {
  if (!j.is_object() || !j.contains(key)) return "";
  return j[key].is_string() ? j[key].get<std::string>() : j[key].dump();
}
double number_of(const json& j, const char* key) { return j.is_object() && j.contains(key) && j[key].is_number() ? j[key].get<double>() : 0; }

// A section of the page and of the terminal.
void section(report::Page& page, const std::string& title, const Table& table) {
  if (table.rows().empty()) return;
  page.heading(title);
  page.table(table);
  std::printf("\n%s\n%s", title.c_str(), table.text().c_str());
}

Table domains_table(const json& clean, const json& manifest) {
  Table t({"domain", "documents in", "kept", "dropped most by", "text kept", "tokens (train)", "tokens (held out)", "licence"});
  if (!clean.is_object() || !clean.contains("domains")) return t;
  for (const auto& [name, d] : clean["domains"].items()) {
    std::vector<std::pair<double, std::string>> drops;
    if (d.contains("drops")) {
      for (const auto& [rule, n] : d["drops"].items()) drops.push_back({n.is_number() ? n.get<double>() : 0, rule});
    }
    std::sort(drops.rbegin(), drops.rend());
    std::string most;
    for (size_t i = 0; i < std::min<size_t>(3, drops.size()); ++i) most += fmt::format("{}{} {:.0f}", i ? ", " : "", drops[i].second, drops[i].first);
    std::string licences;
    for (const auto& l : d.value("licences", json::array())) licences += (licences.empty() ? "" : "; ") + l.get<std::string>();
    double train = 0, held = 0;
    if (manifest.is_object() && manifest.contains("shards")) {
      for (const auto& s : manifest["shards"]) {
        if (text_of(s, "domain") == name) (text_of(s, "split") == "train" ? train : held) += number_of(s, "tokens");
      }
    }
    t.add_row({name, fmt::format("{:.0f}", number_of(d, "documents_in")), fmt::format("{:.0f}", number_of(d, "documents_kept")), most,
               human_bytes(number_of(d, "bytes_kept")), fmt::format("{:.0f}", train), fmt::format("{:.0f}", held), licences});
  }
  return t;
}

Table losses_table(const json& eval) {
  std::vector<std::string> models, domains;
  if (eval.is_array()) {
    for (const json& e : eval) {
      auto note = [](std::vector<std::string>& list, const std::string& s) {
        if (std::find(list.begin(), list.end(), s) == list.end()) list.push_back(s);
      };
      note(models, text_of(e, "model"));
      note(domains, text_of(e, "domain"));
    }
  }
  std::vector<std::string> headers = {"held-out domain"};
  for (const std::string& m : models) headers.push_back(m + " (bits/byte)");
  Table t(headers);
  for (const std::string& d : domains) {
    std::vector<std::string> row = {d};
    for (const std::string& m : models) {
      for (const json& e : eval) {
        if (text_of(e, "model") == m && text_of(e, "domain") == d) row.push_back(fmt::format("{:.4f}", number_of(e, "bits_per_byte")));
      }
    }
    t.add_row(row);
  }
  return t;
}

Table stages_table(const std::string& path) {
  Table t({"stage", "seconds"});
  const auto text = real_env().read_file(path);
  if (!text.ok()) return t;
  for (size_t at = 0; at < text->size();) {
    const size_t end = std::min(text->find('\n', at), text->size());
    const std::string line = text->substr(at, end - at);
    at = end + 1;
    if (const size_t tab = line.find('\t'); tab != std::string::npos) t.add_row({line.substr(0, tab), line.substr(tab + 1)});
  }
  return t;
}

Status summarize(const std::string& dir, const std::string& out) {
  Env& env = real_env();
  report::Page page("From documents to answers");
  page.paragraph("A model of this size has read a few megabytes. It shows that every stage works; what it says is not knowledge. It gives no medical advice.");
  const json lake = load(join_path(dir, "lake.json"));
  Table lake_table({"lake", "value"});
  if (lake.is_object()) {
    for (const auto& [key, value] : lake.items()) {
      if (value.is_primitive()) lake_table.add_row({key, value.is_string() ? value.get<std::string>() : value.dump()});
    }
  }
  section(page, "Lake", lake_table);
  section(page, "Documents", domains_table(load(join_path(dir, "clean/summary.json")), load(join_path(dir, "shards/manifest.json"))));
  section(page, "Loss on held-out documents", losses_table(load(join_path(dir, "eval.json"))));
  Table runs({"run", "steps", "loss", "validation loss", "tokens/s", "weights"});
  std::vector<std::string> names;
  if (const auto entries = env.list_dir(join_path(dir, "runs")); entries.ok()) {
    for (const DirEntry& e : *entries) {
      const json done = load(join_path(dir, "runs/" + e.name + "/done.json"));
      if (!done.is_object()) continue;
      names.push_back(e.name);
      runs.add_row({e.name, text_of(done, "steps"), fmt::format("{:.4f}", number_of(done, "loss")), fmt::format("{:.4f}", number_of(done, "val_loss")),
                    fmt::format("{:.0f}", number_of(done, "tokens_per_s")), text_of(done, "weights").substr(0, 12)});
    }
  }
  section(page, "Training", runs);
  Table answers({"request", "first token", "whole answer", "prompt tokens", "answer tokens"});
  json answer;
  for (const char* kind : {"cold", "warm"}) {
    const json a = load(join_path(dir, fmt::format("answer-{}.json", kind)));
    if (!a.is_object()) continue;
    answer = a;
    answers.add_row({kind, fmt::format("{:.1f} ms", 1000 * number_of(a, "first_token_s")), fmt::format("{:.1f} ms", 1000 * number_of(a, "total_s")),
                     text_of(a["usage"], "prompt_tokens"), text_of(a["usage"], "completion_tokens")});
  }
  section(page, "Serving", answers);
  if (answer.is_object()) {
    page.preformatted(text_of(answer, "prompt") + text_of(answer, "text"));
    std::printf("\nThe model was asked to continue \"%s\" and wrote:\n%s\n", text_of(answer, "prompt").c_str(), text_of(answer, "text").c_str());
  }
  section(page, "Time", stages_table(join_path(dir, "stages.tsv")));
  for (const std::string& name : names) {
    page.heading("Run: " + name);
    BGL_TRY(train::add_run_plots(page, join_path(dir, "runs/" + name + "/log.jsonl")));
  }
  BGL_TRY(env.write_file_atomic(out, page.html()));
  std::printf("\nA model of this size gives no medical advice. Plots and tables: %s\n", out.c_str());
  return Status();
}

}  // namespace

void add_summary(CLI::App& app, Status& status) {
  struct Options {
    std::string dir, out;
  };
  auto o = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("summary", "What the stages of a pipeline left behind, as tables and an HTML page");
  verb->add_option("DIR", o->dir, "The pipeline's folder")->required();
  verb->add_option("--out", o->out, "The page to write")->required();
  set_example(*verb, "bgl summary build/quickstart --out report.html");
  verb->callback([o, &status] { status = summarize(o->dir, o->out); });
}

}  // namespace bgl::cli
