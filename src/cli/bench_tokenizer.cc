// bgl bench tokenizer: training beside Hugging Face, and encoding on one thread beside Hugging Face and tiktoken.
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "cli/bench.h"
#include "text/tokenizers/bpe_train.h"

namespace bgl::cli {
namespace {

using nlohmann::json;

// The parts of `text` between NULs.
std::vector<std::string_view> documents_of(std::string_view text) {
  std::vector<std::string_view> out;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('\0', at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

// Encodes the documents of the file, and has the peers do so with the same vocabulary; all ids must agree.
Status measure_encoding(const text::Tokenizer& tokenizer, const std::string& name, const std::string& path, const std::string& dir,
                        std::vector<BenchResult>& out) {
  BGL_ASSIGN(const std::string text, real_env().read_file(path));
  const std::vector<std::string_view> documents = documents_of(text);
  std::vector<int32_t> ids;
  const double seconds = least_cpu_seconds([&] {
    ids.clear();
    for (const std::string_view document : documents) {
      const std::vector<int32_t> found = tokenizer.encode_ordinary(document);
      ids.insert(ids.end(), found.begin(), found.end());
    }
  });
  const double mb = static_cast<double>(text.size()) / 1e6;
  BenchResult row{.name = "encode_" + name, .value = mb / seconds, .unit = "MB/s of a core"};
  const json peers = json::parse(run_peer("tokenizer/encode_peers.py", path + " " + dir + "/tokenizer.json " + dir + "/ids"), nullptr, false);
  if (!peers.is_object()) {
    out.push_back(std::move(row));
    return {};
  }
  BGL_ASSIGN(const std::string theirs, real_env().read_file(dir + "/ids"));
  if (theirs.size() != ids.size() * sizeof(int32_t) || std::memcmp(theirs.data(), ids.data(), theirs.size()) != 0)
    return make_status(Code::kInternal, "{}: the peers find other ids ({} of them, we {})", path, theirs.size() / sizeof(int32_t), ids.size());
  for (const auto& [peer, took] : peers.items()) {
    row.peer = peer, row.peer_value = mb / took.get<double>();
    out.push_back(row);
  }
  return {};
}

// The files NAME.txt of `folder`, with GPT-2's vocabulary where BGL_TEST_DATA has it.
Status measure_texts(const std::string& folder, const std::string& dir, std::vector<BenchResult>& out) {
  const char* data = std::getenv("BGL_TEST_DATA");
  if (!data || !*data) return invalid_argument("BGL_TEST_DATA names no folder with tokenizers/gpt2, whose vocabulary the texts are encoded with");
  BGL_ASSIGN(const auto tokenizer, text::load_tokenizer(std::string(data) + "/tokenizers/gpt2"));
  BGL_TRY(text::write_tokenizer_json(*tokenizer, dir + "/tokenizer.json"));
  BGL_ASSIGN(const auto entries, real_env().list_dir(folder));
  for (const DirEntry& entry : entries) {
    if (!entry.name.ends_with(".txt")) continue;
    BGL_TRY(measure_encoding(*tokenizer, entry.name.substr(0, entry.name.size() - 4), join_path(folder, entry.name), dir, out));
  }
  return out.empty() ? invalid_argument("{}: no file *.txt here", folder) : Status();
}

Status measure_made_text(const std::string& dir, std::vector<BenchResult>& out) {
  Env& env = real_env();
  const std::string text = made_text(8 << 20, 7);
  BGL_TRY(env.write_file_atomic(dir + "/text", text));
  const double start = cpu_seconds();
  text::BpeTrainer trainer({.vocab_size = 4096, .marks = {"<|endoftext|>"}, .progress = nullptr});
  trainer.add(text);
  BGL_ASSIGN(const auto tokenizer, trainer.train());
  BenchResult row{.name = "bpe_train_8MB_4096", .value = static_cast<double>(text.size()) / 1e6 / (cpu_seconds() - start), .unit = "MB/s of a core"};
  BGL_TRY(text::write_tokenizer_json(*tokenizer, dir + "/tokenizer.json"));
  const json peer = json::parse(run_peer("tokenizer/hf_tokenizers.py", dir + "/text " + dir + "/tokenizer.json"), nullptr, false);
  if (peer.is_object()) {
    if (!peer.value("same", false)) return make_status(Code::kInternal, "the peer finds other merges");
    row.peer = peer.value("peer", ""), row.peer_value = static_cast<double>(text.size()) / 1e6 / peer.value("train_s", 1e9);
  }
  out.push_back(std::move(row));
  // As documents of 4,000 bytes, so that nobody is measured on one huge string.
  std::string documents;
  for (size_t at = 0; at < text.size(); at += 4000) documents += (at > 0 ? std::string(1, '\0') : std::string()) + text.substr(at, 4000);
  BGL_TRY(env.write_file_atomic(dir + "/documents", documents));
  return measure_encoding(*tokenizer, "made_text", dir + "/documents", dir, out);
}

}  // namespace

BenchResults bench_tokenizer(const std::string& folder) {
  const std::string dir = scratch_folder("tokenizer");
  BGL_TRY(real_env().make_dirs(dir));
  std::vector<BenchResult> out;
  const Status done = folder.empty() ? measure_made_text(dir, out) : measure_texts(folder, dir, out);
  BGL_TRY(real_env().remove_all(dir));
  BGL_TRY(done);
  return out;
}

}  // namespace bgl::cli
