// bgl prep: raw files to clean documents, clean documents to training shards.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "base/env.h"
#include "base/progress.h"
#include "cli/verbs.h"
#include "prep/run.h"
#include "prep/tokenize.h"

namespace bgl::cli {
namespace {

struct PrepArgs {
  std::string config, in, out, clean, tokenizer, html;
  std::vector<std::string> sets;
  bool json = false;
};

Status run_prep(const PrepArgs& args) {
  BGL_ASSIGN(const prep::PrepConfig config, prep::load_config(args.config, args.sets));
  std::unique_ptr<Progress> progress;
  prep::RunOptions options{args.in, args.out, {}};
  options.progress = [&](int64_t done, int64_t total) {
    if (!progress) progress = std::make_unique<Progress>("units", total);
    progress->update(done);
  };
  BGL_ASSIGN(const prep::RunReport report, prep::run(real_env(), config, options));
  if (progress) progress->finish();
  if (report.nothing_to_do) {
    std::printf("nothing to do: %s is made from these inputs\n", args.out.c_str());
    return {};
  }
  std::printf("%lld of %lld documents kept, %s of text, %lld of %lld units made\n",
              static_cast<long long>(report.documents_kept), static_cast<long long>(report.documents_in),
              human_bytes(static_cast<double>(report.bytes_kept)).c_str(), static_cast<long long>(report.units_made),
              static_cast<long long>(report.units));
  return {};
}

Status run_report(const PrepArgs& args) {
  Result<std::string> text = args.json ? prep::report_json(real_env(), args.clean) : prep::report_table(real_env(), args.clean);
  if (!text.ok()) return text.status();
  if (!args.html.empty()) {
    BGL_ASSIGN(const std::string page, prep::report_page(real_env(), args.clean));
    BGL_TRY(real_env().write_file_atomic(args.html, page));
  }
  std::fputs(text->c_str(), stdout);
  return {};
}

Status run_tokenize(const PrepArgs& args) {
  std::unique_ptr<Progress> progress;
  prep::TokenizeOptions options{args.clean, args.tokenizer, args.out, {}};
  options.progress = [&](int64_t done, int64_t total) {
    if (!progress) progress = std::make_unique<Progress>("files", total);
    progress->update(done);
  };
  BGL_ASSIGN(const prep::TokenizeReport report, prep::tokenize(real_env(), options));
  if (progress) progress->finish();
  if (report.nothing_to_do) {
    std::printf("nothing to do: %s is made from these inputs\n", args.out.c_str());
    return {};
  }
  std::printf("%lld documents, %lld tokens\n", static_cast<long long>(report.documents), static_cast<long long>(report.tokens));
  return {};
}

}  // namespace

void add_prep(CLI::App& app, Status& status) {
  const auto args = std::make_shared<PrepArgs>();
  CLI::App* prep = app.add_subcommand("prep", "Clean raw documents, and cut them into training shards");
  set_example(*prep,
              "bgl prep examples/quickstart/prep.toml --in lake --out clean\n  bgl prep report clean\n"
              "  bgl prep tokenize clean --tokenizer tok --out shards");
  prep->add_option("CONFIG", args->config, "Sources, readers and filters (TOML)");
  prep->add_option("--in", args->in, "The lake, or a folder of raw files");
  prep->add_option("--out", args->out, "Folder of the clean documents; a rerun goes on there");
  prep->add_option("--set", args->sets, "Override a key of CONFIG: key=value");
  prep->require_subcommand(0, 1);
  prep->callback([args, prep, &status] {
    if (!prep->get_subcommands().empty()) return;
    if (args->config.empty() || args->in.empty() || args->out.empty()) {
      throw CLI::RequiredError("CONFIG, --in and --out");
    }
    status = run_prep(*args);
  });

  CLI::App* report = prep->add_subcommand("report", "What came in, what was kept, and what each rule dropped");
  set_example(*report, "bgl prep report clean --html report.html");
  report->add_option("CLEAN", args->clean, "Folder of clean documents")->required();
  report->add_flag("--json", args->json, "As JSON");
  report->add_option("--html", args->html, "Writes a page here: dropped and kept texts side by side, for every source and rule");
  report->callback([args, &status] { status = run_report(*args); });

  CLI::App* tokenize = prep->add_subcommand("tokenize", "Clean documents to Megatron shards, one folder per domain");
  set_example(*tokenize, "bgl prep tokenize clean --tokenizer tok --out shards");
  tokenize->add_option("CLEAN", args->clean, "Folder of clean documents")->required();
  tokenize->add_option("--tokenizer", args->tokenizer, "File or folder of the tokenizer")->required();
  tokenize->add_option("--out", args->out, "Folder of the shards")->required();
  tokenize->callback([args, &status] { status = run_tokenize(*args); });
}

}  // namespace bgl::cli
