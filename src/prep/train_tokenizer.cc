#include "prep/train_tokenizer.h"

#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "prep/clean.h"
#include "text/files/staged_files.h"
#include "text/tokenizers/bpe_train.h"
#include "text/tokenizers/tokenizer.h"

namespace bgl::prep {

Result<TrainTokenizerReport> train_tokenizer(Env& env, const TrainTokenizerOptions& options) {
  BGL_ASSIGN(const CleanIndex index, read_clean_index(env, options.clean));
  const std::string key = hash128_hex(fmt::format("train tokenizer 1\n{}\n{}\n", index.key, options.vocab_size));
  const std::string record_path = join_path(options.out, "train.json"), json_path = join_path(options.out, "tokenizer.json");
  TrainTokenizerReport report;
  if (env.exists(record_path) && env.exists(json_path)) {
    BGL_ASSIGN(const std::string bytes, env.read_file(record_path));
    BGL_ASSIGN(const std::string tokenizer, env.read_file(json_path));
    const nlohmann::json record = nlohmann::json::parse(bytes, nullptr, false);
    if (record.is_object() && record.value("key", "") == key && record.value("hash", "") == hash128_hex(tokenizer)) {
      report.nothing_to_do = true;
      report.documents = record.value("documents", int64_t{0});
      report.text_bytes = record.value("text_bytes", int64_t{0});
      report.vocab_size = record.value("vocab_size", 0);
      return report;
    }
  }
  text::BpeTrainOptions train;
  train.vocab_size = options.vocab_size;
  train.marks = {"<|endoftext|>", "<|user|>", "<|assistant|>"};
  if (options.progress) train.progress = [&](int32_t done, int32_t total) { options.progress("merges", done, total); };
  BGL_TRY(env.make_dirs(options.out));
  train.memory_bytes = options.memory_bytes;
  train.scratch = options.out;
  text::BpeTrainer trainer(train);
  for (size_t i = 0; i < index.files.size(); ++i) {
    BGL_TRY(each_clean_document(env, options.clean, index.files[i], [&](const CleanDocument& document) -> Status {
      if (document.heldout) return {};
      trainer.add(document.text);
      ++report.documents;
      report.text_bytes += static_cast<int64_t>(document.text.size());
      return {};
    }));
    if (options.progress)
      options.progress("counting words", static_cast<int64_t>(i) + 1, static_cast<int64_t>(index.files.size()));
  }
  if (report.documents == 0) return invalid_argument("{}: no document of split train, so there is nothing to train a tokenizer on", options.clean);
  BGL_ASSIGN(const std::unique_ptr<text::Tokenizer> tokenizer, trainer.train());
  report.vocab_size = tokenizer->vocab_size();
  BGL_ASSIGN(const std::string json, tokenizer->to_json());
  BGL_ASSIGN(auto staged, text::StagedFiles::begin(env, options.out));
  BGL_TRY(env.write_file_atomic(join_path(staged.path(), "tokenizer.json"), json));
  const nlohmann::ordered_json record = {{"key", key},
                                         {"hash", hash128_hex(json)},
                                         {"documents", report.documents},
                                         {"text_bytes", report.text_bytes},
                                         {"vocab_size", report.vocab_size}};
  BGL_TRY(env.write_file_atomic(join_path(staged.path(), "train.json"), record.dump(1) + "\n"));
  BGL_TRY(staged.publish());
  return report;
}

}  // namespace bgl::prep
