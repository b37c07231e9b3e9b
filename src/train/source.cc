#include "train/source.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/hash.h"
#include "framework/random.h"
#include "text/tokenizers/char_tokenizer.h"
#include "train/shards.h"

namespace bgl::train {
namespace {

using nlohmann::json;

// Random windows of one text, nanoGPT's way: everything is drawn from torch's stream.
class TextSource final : public Source {
 public:
  static Result<std::unique_ptr<Source>> open(const DataOptions& o, const text::Tokenizer* given) {
    BGL_ASSIGN(const std::string text, real_env().read_file(o.path));
    auto s = std::make_unique<TextSource>();
    std::unique_ptr<text::Tokenizer> own;
    if (!given && o.tokens == "char") {
      BGL_ASSIGN(own, text::make_char_tokenizer(text));
    } else if (!given) {
      BGL_ASSIGN(own, text::load_tokenizer(o.tokens));
    }
    const text::Tokenizer& t = given ? *given : *own;
    const std::vector<int32_t> ids = t.encode_ordinary(text);
    const auto cut = static_cast<size_t>(static_cast<double>(ids.size()) * (1 - o.heldout));
    s->train_.assign(ids.begin(), ids.begin() + static_cast<int64_t>(cut));
    s->heldout_.assign(ids.begin() + static_cast<int64_t>(cut), ids.end());
    if (static_cast<int64_t>(s->train_.size()) <= o.block) {
      return invalid_argument("{}: {} tokens to train on are too few for sequences of {}", o.path, s->train_.size(), o.block);
    }
    s->block_ = o.block;
    s->vocab = t.vocab_size();
    s->hash = hash128_hex(text);
    BGL_ASSIGN(s->tokenizer_json, t.to_json());
    if (!ids.empty()) s->bytes_per_token = static_cast<double>(text.size()) / static_cast<double>(ids.size());
    return std::unique_ptr<Source>(std::move(s));
  }
  Result<Batch> next(int64_t batch) override { return framework::random_windows(train_, batch, block_); }
  Result<Batch> evaluation(bool heldout, int64_t, int64_t batch) override {
    return framework::random_windows(heldout ? heldout_ : train_, batch, block_);
  }
  bool has_heldout() const override { return static_cast<int64_t>(heldout_.size()) > block_; }
  std::string state() const override { return ops::default_generator().state(); }
  Status set_state(const std::string& state) override { return ops::default_generator().set_state(state); }

 private:
  std::vector<int32_t> train_, heldout_;
  int64_t block_ = 0;
};

// Every window of the shards of a domain, or of all, once an epoch.
class ShardSource final : public Source {
 public:
  static Result<std::unique_ptr<Source>> open(const DataOptions& o, uint64_t seed) {
    BGL_ASSIGN(const ShardSet set, ShardSet::read(o.path));
    auto s = std::make_unique<ShardSource>();
    BGL_ASSIGN(const auto train, set.prefixes(o.domain, "train"));
    BGL_ASSIGN(s->train_, framework::ShardLoader::open(train, o.block, seed));
    BGL_ASSIGN(s->walk_, framework::ShardLoader::open(train, o.block, seed));
    const auto held = set.prefixes(o.domain, "heldout");
    if (!held.ok() && held.status().code() != Code::kNotFound) return held.status();
    if (held.ok()) {
      auto loader = framework::ShardLoader::open(*held, o.block, seed);
      // A split without two tokens is none.
      if (!loader.ok() && loader.status().code() != Code::kInvalidArgument) return loader.status();
      if (loader.ok()) s->heldout_ = std::move(loader).value();
    }
    s->vocab = set.manifest.vocab_size;
    s->hash = set.manifest.key;
    s->tokenizer_json = set.tokenizer_json;
    s->bytes_per_token = set.bytes_per_token(o.domain, "heldout");
    return std::unique_ptr<Source>(std::move(s));
  }
  Result<Batch> next(int64_t batch) override { return train_->next(batch); }
  Result<Batch> evaluation(bool heldout, int64_t index, int64_t batch) override {
    const framework::ShardLoader& from = heldout ? *heldout_ : *walk_;
    return from.in_order(index * batch, batch);
  }
  bool has_heldout() const override { return heldout_.has_value(); }
  std::string state() const override { return std::to_string(train_->position()); }
  Status set_state(const std::string& state) override {
    train_->seek(std::atoll(state.c_str()));
    return Status();
  }

 private:
  std::optional<framework::ShardLoader> train_, walk_, heldout_;
};

// Lines {"prompt": ..., "answer": ...}; each becomes <|user|>prompt<|assistant|>answer<|endoftext|>, cut to the block, with loss on the
// answer and its end.
class InstructionSource final : public Source {
 public:
  static Result<std::unique_ptr<Source>> open(const DataOptions& o, const text::Tokenizer* t, uint64_t seed) {
    if (!t) return invalid_argument("data.instructions needs the base model's tokenizer, and it has none");
    const auto user = t->special_id("<|user|>"), assistant = t->special_id("<|assistant|>");
    if (!user || !assistant || !t->eos()) return invalid_argument("the base model's tokenizer has no <|user|>, <|assistant|> and end-of-text tokens, which instructions need");
    BGL_ASSIGN(const std::string text, real_env().read_file(o.path));
    auto s = std::make_unique<InstructionSource>();
    s->block_ = o.block;
    s->seed_ = seed;
    s->vocab = t->vocab_size();
    s->hash = hash128_hex(text);
    int64_t line_number = 0;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      const std::string line = text.substr(at, end - at);
      at = end + 1;
      ++line_number;
      if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
      const json j = json::parse(line, nullptr, false);
      if (!j.is_object() || !j.contains("prompt") || !j["prompt"].is_string() || !j.contains("answer") || !j["answer"].is_string()) {
        return invalid_argument("{}:{}: not a line {{\"prompt\": \"...\", \"answer\": \"...\"}}", o.path, line_number);
      }
      Example e;
      e.tokens.push_back(*user);
      const auto p = t->encode_ordinary(j["prompt"].get<std::string>()), a = t->encode_ordinary(j["answer"].get<std::string>());
      e.tokens.insert(e.tokens.end(), p.begin(), p.end());
      e.tokens.push_back(*assistant);
      e.answer = e.tokens.size();
      e.tokens.insert(e.tokens.end(), a.begin(), a.end());
      e.tokens.push_back(*t->eos());
      s->examples_.push_back(std::move(e));
    }
    if (s->examples_.empty()) return invalid_argument("{} holds no examples", o.path);
    // Every tenth is kept for evaluation, when there are ten.
    for (size_t i = 0; i < s->examples_.size(); ++i) (i % 10 == 9 ? s->heldout_ : s->train_).push_back(i);
    return std::unique_ptr<Source>(std::move(s));
  }
  Result<Batch> next(int64_t batch) override {
    std::vector<size_t> rows;
    const auto n = static_cast<int64_t>(train_.size());
    for (int64_t b = 0; b < batch; ++b, ++position_) {
      if (position_ / n != epoch_) framework::shuffle_epoch(seed_, epoch_ = position_ / n, n, order_);
      rows.push_back(train_[order_[static_cast<size_t>(position_ % n)]]);
    }
    return batch_of(rows);
  }
  Result<Batch> evaluation(bool heldout, int64_t index, int64_t batch) override {
    const std::vector<size_t>& from = heldout ? heldout_ : train_;
    std::vector<size_t> rows;
    for (auto i = static_cast<size_t>(index * batch); i < std::min(from.size(), static_cast<size_t>((index + 1) * batch)); ++i) rows.push_back(from[i]);
    return batch_of(rows);
  }
  bool has_heldout() const override { return !heldout_.empty(); }
  std::string state() const override { return std::to_string(position_); }
  Status set_state(const std::string& state) override {
    position_ = std::atoll(state.c_str());
    return Status();
  }

 private:
  struct Example {
    std::vector<int32_t> tokens;
    size_t answer = 0;  // where it begins
  };
  Result<Batch> batch_of(const std::vector<size_t>& rows) const {
    std::vector<int64_t> x, y;
    for (const size_t r : rows) {
      const Example& e = examples_[r];
      for (size_t i = 0; i < static_cast<size_t>(block_); ++i) {
        x.push_back(i < e.tokens.size() ? e.tokens[i] : 0);
        const bool counts = i + 1 < e.tokens.size() && i + 1 >= e.answer;
        y.push_back(counts ? e.tokens[i + 1] : Batch::kIgnore);
      }
    }
    return framework::make_batch(x, y, static_cast<int64_t>(rows.size()), block_);
  }
  std::vector<Example> examples_;
  std::vector<size_t> train_, heldout_;
  std::vector<uint32_t> order_;
  int64_t block_ = 0, position_ = 0, epoch_ = -1;
  uint64_t seed_ = 0;
};

// One batch of random tokens, the same in all steps, drawn when it is first asked for.
class RandomSource final : public Source {
 public:
  RandomSource(int64_t vocab_size, int64_t block) : block_(block) {
    vocab = vocab_size;
    hash = "random";
  }
  Result<Batch> next(int64_t batch) override {
    if (!batch_.x.defined()) {
      batch_.x = framework::randint(0, vocab, {batch, block_});
      batch_.y = framework::randint(0, vocab, {batch, block_});
      batch_.counted = batch * block_;
    }
    return batch_;
  }
  Result<Batch> evaluation(bool, int64_t, int64_t batch) override { return next(batch); }
  bool has_heldout() const override { return false; }
  std::string state() const override { return {}; }
  Status set_state(const std::string&) override { return Status(); }

 private:
  int64_t block_;
  Batch batch_;
};

}  // namespace

Result<std::unique_ptr<Source>> open_source(const DataOptions& o, const text::Tokenizer* tokenizer, int64_t vocab, uint64_t seed) {
  switch (o.kind) {
    case DataOptions::Kind::kText: return TextSource::open(o, tokenizer);
    case DataOptions::Kind::kShards: return ShardSource::open(o, seed);
    case DataOptions::Kind::kInstructions: return InstructionSource::open(o, tokenizer, seed);
    case DataOptions::Kind::kRandom: break;
  }
  if (vocab <= 0) return invalid_argument("data.random needs model.vocab");
  return std::unique_ptr<Source>(std::make_unique<RandomSource>(vocab, o.block));
}

}  // namespace bgl::train
