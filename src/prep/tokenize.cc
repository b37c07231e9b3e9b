#include "prep/tokenize.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "base/hash.h"
#include "base/threads.h"
#include "prep/clean.h"
#include "prep/internal/output_folder.h"
#include "text/files/indexed_dataset.h"
#include "text/tokenizers/tokenizer.h"

namespace bgl::prep {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kTokenizeVersion = "tokenize 1";

// What is known of a document beside its tokens.
struct Meta {
  std::string domain, licence;
  bool heldout = false;
  int64_t text_bytes = 0;
  uint64_t order = 0;  // hash of the id: documents are shuffled by it
};

struct Part {
  std::string prefix;  // of its tokens in OUT/units
  std::vector<Meta> documents;
};

struct Place {
  uint64_t order;
  uint32_t part, document;
  auto operator<=>(const Place&) const = default;
};

// The manifest's text: "check" is the checksum of the text without it.
std::string checked_text(Json manifest) {
  manifest["check"] = hash128_hex(manifest.dump(1));
  return manifest.dump(1) + "\n";
}

class Tokenize {
 public:
  Tokenize(Env& env, const TokenizeOptions& options) : env_(env), options_(options), work_(join_path(options.out, kTokensWork)) {}

  // The spine.
  Result<TokenizeReport> all() {
    BGL_ASSIGN(tokenizer_, text::load_tokenizer(options_.tokenizer));
    BGL_ASSIGN(tokenizer_json_, tokenizer_->to_json());
    end_of_text_ = tokenizer_->eos();
    if (!end_of_text_) return invalid_argument("{}: the tokenizer has no end-of-text token", options_.tokenizer);
    BGL_ASSIGN(index_, read_clean_index(env_, options_.clean));
    key_ = hash128_hex(fmt::format("{}\n{}\n{}\n", kTokenizeVersion, index_.key, hash128_hex(tokenizer_json_)));
    if (std::all_of(index_.files.begin(), index_.files.end(), [](const CleanIndex::File& f) { return f.documents == 0; }))
      return invalid_argument("{}: no document was kept, so there is nothing to tokenize", options_.clean);
    BGL_ASSIGN(const std::unique_ptr<FileLock> lock, take_output_folder(env_, options_.out, holds_shards(env_, options_.out) || env_.exists(work_), {kTokensWork}));
    const Result<Manifest> done = read_manifest(env_, options_.out);
    if (done.ok() && done->key == key_ && files_exist(*done)) {
      report_.nothing_to_do = true;
      for (const Shard& shard : done->shards) report_.documents += shard.documents, report_.tokens += shard.tokens;
      return report_;
    }
    BGL_TRY(env_.make_dirs(work_));
    BGL_TRY(encode_parts());
    BGL_TRY(write_shards());
    BGL_TRY(write_manifest());
    if (done.ok()) BGL_TRY(remove_stale(*done));
    BGL_TRY(env_.remove_all(work_));
    return report_;
  }

 private:
  // Shards of domains that are no more: a trainer that is given their prefixes must not read them.
  Status remove_stale(const Manifest& before) {
    for (const Shard& old : before.shards) {
      const auto same = [&](const Shard& s) { return s.prefix == old.prefix; };
      if (std::any_of(shards_.begin(), shards_.end(), same)) continue;
      for (const char* suffix : {".bin", ".idx"}) {
        const std::string path = join_path(options_.out, old.prefix + suffix);
        if (env_.exists(path)) BGL_TRY(env_.remove(path));
      }
    }
    return {};
  }

  bool files_exist(const Manifest& manifest) {
    if (!env_.exists(join_path(options_.out, manifest.tokenizer_file))) return false;
    return std::all_of(manifest.shards.begin(), manifest.shards.end(), [&](const Shard& shard) {
      const std::string prefix = join_path(options_.out, shard.prefix);
      return env_.exists(prefix + ".bin") && env_.exists(prefix + ".idx");
    });
  }

  // The tokens of one file of CLEAN. The dataset's .idx appears last, so that its presence says that the part is whole.
  Status encode_part(const CleanIndex::File& file, Part& part) {
    const auto ready = text::IndexedDataset::open(part.prefix);
    const bool encode = !ready.ok() || ready->documents() != file.documents;
    std::optional<text::IndexedDatasetWriter> writer;
    if (encode) {
      BGL_ASSIGN(text::IndexedDatasetWriter created, text::IndexedDatasetWriter::create(part.prefix, type()));
      writer.emplace(std::move(created));
    }
    BGL_TRY(each_clean_document(env_, options_.clean, file, [&](const CleanDocument& d) -> Status {
      part.documents.push_back({d.domain, d.licence, d.heldout, static_cast<int64_t>(d.text.size()), hash64(d.id)});
      if (!writer) return {};
      std::vector<int32_t> ids = tokenizer_->encode_ordinary(d.text);
      ids.push_back(*end_of_text_);
      return writer->add_document(ids);
    }));
    return writer ? writer->finish() : Status();
  }

  Status encode_parts() {
    parts_.resize(index_.files.size());
    std::vector<Status> results(parts_.size());
    std::mutex mutex;
    int64_t done = 0;
    thread_pool().parallel_for(static_cast<int64_t>(parts_.size()), 1, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        parts_[i].prefix = join_path(work_, hash128_hex(key_ + index_.files[i].file));
        results[i] = encode_part(index_.files[i], parts_[i]);
        const std::lock_guard guard(mutex);
        if (options_.progress) options_.progress(++done, static_cast<int64_t>(parts_.size()));
      }
    });
    for (const Status& result : results) BGL_TRY(result);
    return {};
  }

  Status write_shards() {
    std::map<std::string, std::vector<Place>> groups[2];  // by domain: train, held out
    for (uint32_t p = 0; p < parts_.size(); ++p) {
      for (uint32_t d = 0; d < parts_[p].documents.size(); ++d) {
        const Meta& meta = parts_[p].documents[d];
        groups[meta.heldout][meta.domain].push_back({meta.order, p, d});
        groups[!meta.heldout][meta.domain];  // both shards exist, an empty one too
      }
    }
    std::vector<text::IndexedDataset> data;
    for (const Part& part : parts_) {
      BGL_ASSIGN(text::IndexedDataset opened, text::IndexedDataset::open(part.prefix));
      data.push_back(std::move(opened));
    }
    for (auto& [domain, places] : groups[0]) {
      BGL_TRY(env_.make_dirs(join_path(options_.out, domain)));
      BGL_TRY(write_shard({domain, "train", domain + "/train"}, places, data));
      BGL_TRY(write_shard({domain, "heldout", domain + "/heldout"}, groups[1][domain], data));
    }
    return {};
  }

  Status write_shard(Shard shard, std::vector<Place>& places, const std::vector<text::IndexedDataset>& data) {
    std::sort(places.begin(), places.end());
    const std::string prefix = join_path(options_.out, shard.prefix);
    std::set<std::string> licences;
    BGL_ASSIGN(text::IndexedDatasetWriter writer, text::IndexedDatasetWriter::create(prefix, type()));
    std::vector<int32_t> ids;
    for (const Place& place : places) {
      const text::IndexedDataset& from = data[place.part];
      const Meta& meta = parts_[place.part].documents[place.document];
      ids.resize(static_cast<size_t>(from.length(place.document)));
      BGL_TRY(from.read(from.position(place.document), ids));
      BGL_TRY(writer.add_document(ids));
      shard.text_bytes += meta.text_bytes;
      licences.insert(meta.licence);
    }
    shard.documents = writer.documents();
    shard.tokens = writer.tokens();
    BGL_TRY(writer.finish());
    BGL_ASSIGN(const std::unique_ptr<FileView> bin, env_.map(prefix + ".bin"));
    BGL_ASSIGN(const std::unique_ptr<FileView> idx, env_.map(prefix + ".idx"));
    shard.bin_hash = hex64(hash64(bin->bytes()));
    shard.idx_hash = hex64(hash64(idx->bytes()));
    shard.licences.assign(licences.begin(), licences.end());
    report_.documents += shard.documents;
    report_.tokens += shard.tokens;
    shards_.push_back(std::move(shard));
    return {};
  }

  Status write_manifest() {
    Json shards = Json::array();
    for (const Shard& s : shards_) {
      shards.push_back({{"domain", s.domain},
                        {"split", s.split},
                        {"prefix", s.prefix},
                        {"documents", s.documents},
                        {"tokens", s.tokens},
                        {"text_bytes", s.text_bytes},
                        {"bin_hash", s.bin_hash},
                        {"idx_hash", s.idx_hash},
                        {"licences", s.licences}});
    }
    const Json manifest = {{"version", 2},
                           {"key", key_},
                           {"tokenizer",
                            {{"file", "tokenizer.json"},
                             {"hash", hash128_hex(tokenizer_json_)},
                             {"vocab_size", tokenizer_->vocab_size()},
                             {"end_of_text", *end_of_text_}}},
                           {"shards", shards}};
    BGL_TRY(env_.write_file_atomic(join_path(options_.out, "tokenizer.json"), tokenizer_json_));
    return env_.write_file_atomic(join_path(options_.out, "manifest.json"), checked_text(manifest));
  }

  text::TokenType type() const { return text::token_type_for(tokenizer_->vocab_size()); }

  Env& env_;
  const TokenizeOptions& options_;
  const std::string work_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  std::string tokenizer_json_, key_;
  std::optional<int32_t> end_of_text_;
  CleanIndex index_;
  std::vector<Part> parts_;
  std::vector<Shard> shards_;
  TokenizeReport report_;
};

}  // namespace

Result<TokenizeReport> tokenize(Env& env, const TokenizeOptions& options) { return Tokenize(env, options).all(); }

bool holds_shards(Env& env, const std::string& dir) {
  const auto text = env.read_file(join_path(dir, "manifest.json"));
  // Words of the manifest that no flipped bit can take from every place.
  return text.ok() && (text->find("\"bin_hash\"") != std::string::npos || text->find("\"end_of_text\"") != std::string::npos);
}

Result<Manifest> read_manifest(Env& env, const std::string& shards) {
  const std::string path = join_path(shards, "manifest.json");
  if (!env.exists(path))
    return not_found("{}: no manifest.json; run 'bgl prep tokenize CLEAN --tokenizer TOK --out {}' first", shards, shards);
  BGL_ASSIGN(const std::string bytes, env.read_file(path));
  const Json json = Json::parse(bytes, nullptr, false);
  try {
    const int version = json.at("version").get<int>();
    if (version != 1 && version != 2) return data_loss("{}: version {}; 1 and 2 are known", path, version);
    Json unchecked = json;
    unchecked.erase("check");
    if (version == 2 && checked_text(unchecked) != bytes)
      return data_loss("{}: its checksum differs: run 'bgl prep tokenize' again", path);
    Manifest out;
    out.key = json.at("key").get<std::string>();
    const Json& tokenizer = json.at("tokenizer");
    out.tokenizer_file = tokenizer.at("file").get<std::string>();
    out.tokenizer_hash = tokenizer.at("hash").get<std::string>();
    out.vocab_size = tokenizer.at("vocab_size").get<int64_t>();
    out.end_of_text = tokenizer.at("end_of_text").get<int64_t>();
    for (const Json& s : json.at("shards")) {
      Shard shard;
      shard.domain = s.at("domain").get<std::string>();
      shard.split = s.at("split").get<std::string>();
      shard.prefix = s.at("prefix").get<std::string>();
      shard.documents = s.at("documents").get<int64_t>();
      shard.tokens = s.at("tokens").get<int64_t>();
      shard.text_bytes = s.at("text_bytes").get<int64_t>();
      shard.bin_hash = s.at("bin_hash").get<std::string>();
      shard.idx_hash = s.at("idx_hash").get<std::string>();
      shard.licences = s.at("licences").get<std::vector<std::string>>();
      out.shards.push_back(std::move(shard));
    }
    return out;
  } catch (const nlohmann::json::exception&) {
    return data_loss("{}: not a manifest of shards; run 'bgl prep tokenize' again", path);
  }
}

}  // namespace bgl::prep
