// bgl tokenizer: text to ids and back, and training a vocabulary.
#include "text/tokenizers/tokenizer.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "base/env.h"
#include "base/progress.h"
#include "cli/verbs.h"
#include "prep/train_tokenizer.h"

namespace bgl::cli {
namespace {

struct TokenizerArgs {
  std::string tokenizer, clean, out;
  int32_t vocab_size = 8192;
  int64_t memory_mb = 4096;
};

Result<std::string> read_stdin() {
  std::string out;
  char buffer[65536];
  for (;;) {
    const ssize_t n = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_status(errno, "cannot read stdin");
    if (n == 0) return out;
    out.append(buffer, static_cast<size_t>(n));
  }
}

Status write_bytes(const std::string& bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size() && std::fflush(stdout) == 0) return {};
  return errno_status(errno, "cannot write to stdout");
}

Status run_encode(const TokenizerArgs& args) {
  BGL_ASSIGN(const std::unique_ptr<text::Tokenizer> tokenizer, text::load_tokenizer(args.tokenizer));
  BGL_ASSIGN(const std::string input, read_stdin());
  std::string out;
  for (const int32_t id : tokenizer->encode(input)) {
    if (!out.empty()) out += ' ';
    out += std::to_string(id);
  }
  return write_bytes(out + "\n");
}

Status run_decode(const TokenizerArgs& args) {
  BGL_ASSIGN(const std::unique_ptr<text::Tokenizer> tokenizer, text::load_tokenizer(args.tokenizer));
  BGL_ASSIGN(const std::string input, read_stdin());
  std::vector<int32_t> ids;
  for (size_t at = 0; at < input.size();) {
    const size_t begin = input.find_first_not_of(" \t\r\n,", at);
    if (begin == std::string::npos) break;
    const size_t end = std::min(input.find_first_of(" \t\r\n,", begin), input.size());
    const std::string word = input.substr(begin, end - begin);
    at = end;
    char* rest = nullptr;
    errno = 0;
    const long id = std::strtol(word.c_str(), &rest, 10);
    if (*rest != '\0' || errno != 0 || id < 0 || id >= tokenizer->vocab_size()) {
      return invalid_argument("stdin: '{}' (at offset {}) is no id from 0 to {}", word, begin, tokenizer->vocab_size() - 1);
    }
    ids.push_back(static_cast<int32_t>(id));
  }
  return write_bytes(tokenizer->decode(ids));
}

Status run_train(const TokenizerArgs& args) {
  std::unique_ptr<Progress> progress;
  std::string shown;
  prep::TrainTokenizerOptions options{args.clean, args.out, args.vocab_size, args.memory_mb << 20, {}};
  options.progress = [&](const char* stage, int64_t done, int64_t total) {
    if (!progress || shown != stage) {
      if (progress) progress->finish();
      progress = std::make_unique<Progress>(shown = stage, total);
    }
    progress->update(done);
  };
  BGL_ASSIGN(const prep::TrainTokenizerReport report, prep::train_tokenizer(real_env(), options));
  if (progress) progress->finish();
  if (report.nothing_to_do) {
    std::printf("nothing to do: %s is made from these inputs\n", args.out.c_str());
    return {};
  }
  std::printf("%d tokens from %lld documents, %s of text\n", report.vocab_size, static_cast<long long>(report.documents),
              human_bytes(static_cast<double>(report.text_bytes)).c_str());
  return {};
}

}  // namespace

void add_tokenizer(CLI::App& app, Status& status) {
  const auto args = std::make_shared<TokenizerArgs>();
  CLI::App* verb = app.add_subcommand("tokenizer", "Text to token ids and back; train a vocabulary");
  set_example(*verb, "bgl tokenizer train clean --vocab 8192 --out tok\n  echo hello | bgl tokenizer encode tok");
  verb->require_subcommand(1);

  CLI::App* encode = verb->add_subcommand("encode", "Reads text on stdin, prints its ids on one line");
  set_example(*encode, "echo 'hello world' | bgl tokenizer encode tok");
  encode->add_option("TOKENIZER", args->tokenizer, "tokenizer.json, a folder of GPT-2 files, *.model or *.bin")->required();
  encode->callback([args, &status] { status = run_encode(*args); });

  CLI::App* decode = verb->add_subcommand("decode", "Reads ids on stdin, writes their text");
  set_example(*decode, "echo 31373 995 | bgl tokenizer decode tok");
  decode->add_option("TOKENIZER", args->tokenizer, "As for encode")->required();
  decode->callback([args, &status] { status = run_decode(*args); });

  CLI::App* train = verb->add_subcommand("train", "Trains byte-level BPE on every kept training document of CLEAN");
  set_example(*train, "bgl tokenizer train clean --vocab 8192 --out tok");
  train->add_option("CLEAN", args->clean, "Folder of 'bgl prep'")->required();
  train->add_option("--vocab", args->vocab_size, "Number of tokens")->capture_default_str();
  train->add_option("--memory-mb", args->memory_mb, "For words; what does not fit goes to the disk, and the merges are the same. 0: no bound")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30));
  train->add_option("--out", args->out, "Folder that gets tokenizer.json")->required();
  train->callback([args, &status] { status = run_train(*args); });
}

}  // namespace bgl::cli
