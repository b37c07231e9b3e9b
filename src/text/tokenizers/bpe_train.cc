#include "text/tokenizers/bpe_train.h"

#include <algorithm>

#include "text/tokenizers/internal/byte_alphabet.h"
#include "text/tokenizers/internal/byte_bpe.h"
#include "text/tokenizers/internal/merge_search.h"
#include "text/tokenizers/internal/scratch_file.h"
#include "text/tokenizers/internal/word_counts.h"

namespace bgl::text {
namespace {

// A held word beside its tokens, and a place of a pair: the token, and the index of its word.
constexpr int64_t kPlaceBytes = 64;

// Words in a scratch file: count, length, tokens.
Status write_word(ScratchFile& file, const TrainWord& word) {
  const int64_t head[2] = {word.count, static_cast<int64_t>(word.tokens.size())};
  BGL_TRY(file.write(head, sizeof head));
  return file.write(word.tokens.data(), word.tokens.size() * sizeof(int32_t));
}

Result<bool> read_word(ScratchFile& file, TrainWord& word) {
  int64_t head[2];
  BGL_ASSIGN(const bool more, file.read(head, sizeof head));
  if (!more) return false;
  word.count = head[0];
  word.tokens.resize(static_cast<size_t>(head[1]));
  return file.read(word.tokens.data(), word.tokens.size() * sizeof(int32_t));
}

}  // namespace

struct BpeTrainer::State {
  explicit State(BpeTrainOptions o) : options(std::move(o)), words(options.scratch, options.memory_bytes) {}

  // Merges until the vocabulary is full, or no pair is frequent enough.
  bool full(const MergeSearch& search) const { return search.size() >= static_cast<size_t>(options.vocab_size); }
  MergeSearch::Step merge(MergeSearch& search) const {
    MergeSearch::Step step = MergeSearch::Step::kMerged;
    while (step == MergeSearch::Step::kMerged && !full(search)) {
      step = search.step(options.min_count);
      if (options.progress && search.size() % 64 == 0)
        options.progress(static_cast<int32_t>(search.size()), options.vocab_size);
    }
    return step;
  }

  Status search_in_memory(MergeSearch& search, const int32_t* byte_ids) {
    BGL_TRY(each_word(byte_ids, [&](TrainWord word) -> Status {
      search.count(word);
      search.hold(std::move(word));
      return {};
    }));
    merge(search);
    return {};
  }

  // A pass reads the words from one file and leaves them, merged, in another.
  Status search_in_passes(MergeSearch& search, const int32_t* byte_ids) {
    BGL_ASSIGN(ScratchFile file, ScratchFile::create(options.scratch));
    BGL_TRY(each_word(byte_ids, [&](const TrainWord& word) {
      search.count(word);
      return write_word(file, word);
    }));
    for (bool more = true; more && !full(search);) {
      BGL_TRY(file.rewind());
      BGL_ASSIGN(ScratchFile next, ScratchFile::create(options.scratch));
      const bool held = search.begin_pass(options.memory_bytes / kPlaceBytes, options.min_count);
      if (!held && !search.begin_alone(options.min_count)) return {};
      TrainWord word;
      for (;;) {
        BGL_ASSIGN(const bool read, read_word(file, word));
        if (!read) break;
        if (!held) search.merge_alone(word);
        if (held && search.wants(word)) {
          search.hold(std::move(word));
        } else {
          BGL_TRY(write_word(next, word));
        }
      }
      if (held) more = merge(search) != MergeSearch::Step::kNoPair;
      for (const TrainWord& merged : search.release()) BGL_TRY(write_word(next, merged));
      file = std::move(next);
    }
    return {};
  }

  Status each_word(const int32_t* byte_ids, const std::function<Status(TrainWord)>& fn) {
    return words.take([&](std::string_view text, int64_t count) {
      TrainWord word{{}, count};
      word.tokens.reserve(text.size());
      for (const char b : text) word.tokens.push_back(byte_ids[static_cast<uint8_t>(b)]);
      return fn(std::move(word));
    });
  }

  BpeTrainOptions options;
  WordCounts words;
  Status failed;
};

BpeTrainer::BpeTrainer(BpeTrainOptions options) : state_(new State(std::move(options))) {}
BpeTrainer::~BpeTrainer() = default;

void BpeTrainer::add(std::string_view document) {
  for_each_word(PreTokenizer{}, document, [&](std::string_view word) {
    if (state_->failed.ok()) state_->failed = state_->words.add(word);
  });
}

Result<std::unique_ptr<Tokenizer>> BpeTrainer::train() {
  const BpeTrainOptions& options = state_->options;
  BGL_TRY(state_->failed);
  const size_t first = options.marks.size() + 256;
  if (options.vocab_size < 0 || static_cast<size_t>(options.vocab_size) < first) {
    return invalid_argument("a vocabulary of {} is too small: {} marks and 256 bytes need {}", options.vocab_size,
                            options.marks.size(), first);
  }
  std::vector<std::string> pieces = options.marks;
  std::vector<AddedToken> added;
  for (size_t i = 0; i < options.marks.size(); ++i) added.push_back({options.marks[i], static_cast<int32_t>(i)});
  std::vector<int> bytes(256);
  for (int b = 0; b < 256; ++b) bytes[static_cast<size_t>(b)] = b;
  std::sort(bytes.begin(), bytes.end(),
            [](int a, int b) { return byte_to_char(static_cast<uint8_t>(a)) < byte_to_char(static_cast<uint8_t>(b)); });
  int32_t byte_ids[256];
  for (const int b : bytes) {
    byte_ids[b] = static_cast<int32_t>(pieces.size());
    pieces.push_back(std::string(1, static_cast<char>(b)));
  }
  MergeSearch search(std::move(pieces));
  BGL_TRY(state_->words.spilled() ? state_->search_in_passes(search, byte_ids) : state_->search_in_memory(search, byte_ids));
  ByteBpeTokenizer::Parts parts;
  parts.merges = search.take_merges();
  parts.pieces = search.take_pieces();
  BGL_ASSIGN(std::unique_ptr<ByteBpeTokenizer> out, ByteBpeTokenizer::create(std::move(parts), std::move(added), "training"));
  if (!options.marks.empty()) out->set_marks(0, 0, false);
  return std::unique_ptr<Tokenizer>(std::move(out));
}

}  // namespace bgl::text
