#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/numbers.h"
#include "cli/verbs.h"
#include "models/folder.h"
#include "models/inference.h"
#include "report/table.h"
#include "train/evaluate.h"

namespace bgl::cli {
namespace {

struct EvalVerb {
  std::string model, data;
  std::vector<std::string> before;
  std::optional<ops::WeightType> weights;
  int64_t max_windows = 0;
  bool json = false;
};

struct Scored {
  std::string name;
  std::vector<train::DomainScore> scores;
};

Result<Scored> score(const std::string& path, const train::ShardSet& shards, const EvalVerb& o) {
  BGL_ASSIGN(const models::LoadedModel m, models::load_for_inference(path, "", o.weights));
  std::fprintf(stderr, "%s: %s\n", path.c_str(), models::weights_text(*m.model).c_str());
  BGL_ASSIGN(auto scores, train::evaluate_domains(*m.model, shards, 0, o.max_windows));
  return Scored{m.lineage.name.empty() ? path : m.lineage.name, std::move(scores)};
}

// Domains as rows; a column for every model, and how the last differs from the first: above 0 is forgetting.
void print_table(const std::vector<Scored>& models) {
  std::vector<std::string> headers = {"domain", "held-out tokens"};
  for (const Scored& m : models) headers.push_back(m.name + " (bits/byte)");
  for (const Scored& m : models) headers.push_back(m.name + " (loss)");
  if (models.size() > 1) headers.push_back("change in bits/byte");
  report::Table table(headers);
  for (size_t d = 0; d < models[0].scores.size(); ++d) {
    std::vector<std::string> row = {models[0].scores[d].domain, std::to_string(models[0].scores[d].tokens)};
    for (const Scored& m : models) row.push_back(fmt::format("{:.4f}", m.scores[d].bits_per_byte));
    for (const Scored& m : models) row.push_back(fmt::format("{:.4f}", m.scores[d].loss));
    if (models.size() > 1) {
      const double change = models.back().scores[d].bits_per_byte - models[0].scores[d].bits_per_byte;
      row.push_back(fmt::format("{:+.4f}{}", change, change > 0 ? " forgotten" : ""));
    }
    table.add_row(row);
  }
  std::fputs(table.text().c_str(), stdout);
}

Status evaluate(const EvalVerb& o) {
  BGL_ASSIGN(const train::ShardSet shards, train::ShardSet::read(o.data));
  std::vector<Scored> models;
  for (const std::string& path : o.before) {
    BGL_ASSIGN(Scored s, score(path, shards, o));
    models.push_back(std::move(s));
  }
  BGL_ASSIGN(Scored last, score(o.model, shards, o));
  models.push_back(std::move(last));
  log_kernels();
  if (!o.json) {
    print_table(models);
    return Status();
  }
  nlohmann::json j = nlohmann::json::array();
  for (const Scored& m : models) {
    for (const train::DomainScore& s : m.scores) {
      j.push_back({{"model", m.name}, {"domain", s.domain}, {"loss", s.loss}, {"bits_per_byte", s.bits_per_byte}, {"tokens", s.tokens}});
    }
  }
  std::printf("%s\n", j.dump(2).c_str());
  return Status();
}

}  // namespace

void add_eval(CLI::App& app, Status& status) {
  auto o = std::make_shared<EvalVerb>();
  CLI::App* verb = app.add_subcommand("eval", "A model's loss on the held-out documents of every domain");
  verb->add_option("MODEL", o->model, "A Hugging Face folder")->required();
  verb->add_option("--data", o->data, "A folder of `bgl prep tokenize`")->required();
  verb->add_option("--before", o->before, "Models it was tuned from, to see what was gained and what forgotten; may be repeated");
  add_weights_option(*verb, o->weights);
  verb->add_option("--max-windows", o->max_windows, "Most windows of a domain (0: all)")->check(not_negative());
  verb->add_flag("--json", o->json, "Print JSON");
  set_example(*verb, "bgl eval runs/medicine/model --data shards --before runs/base/model");
  verb->callback([o, &status] { status = evaluate(*o); });
}

void add_export(CLI::App& app, Status& status) {
  struct Options {
    std::string model, out, tokenizer;
    int64_t max_file_bytes = 0;
  };
  auto o = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("export", "Write a model as a Hugging Face folder");
  verb->add_option("MODEL", o->model, "A Hugging Face folder, or a llama2.c .bin file")->required();
  verb->add_option("DIR", o->out, "The folder to write")->required();
  verb->add_option("--tokenizer", o->tokenizer, "A tokenizer file or folder (default: the model folder's own)");
  verb->add_option("--max-shard-size", o->max_file_bytes, "Most bytes of tensors in a file, as 500MB or 2GB; several files get an index (default: one file)")
      ->transform(CLI::AsSizeValue(true));
  set_example(*verb, "bgl export stories260K.bin stories --tokenizer tok512.bin");
  verb->callback([o, &status] {
    status = [&]() -> Status {
      BGL_ASSIGN(models::LoadedModel m, models::load_model(o->model, o->tokenizer));
      BGL_ASSIGN(const std::string hash, models::save_model(o->out, m, o->max_file_bytes));
      std::printf("%s: %lld parameters, weights %s\n", o->out.c_str(), static_cast<long long>(m.model->parameter_count()), hash.c_str());
      return Status();
    }();
  });
}

}  // namespace bgl::cli
