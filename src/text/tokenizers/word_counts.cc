#include "text/tokenizers/internal/word_counts.h"

#include <algorithm>
#include <queue>

#include "base/hash.h"

namespace bgl::text {
namespace {

// Of a word in the table beside its bytes: node, hash, count, and the string.
constexpr int64_t kEntryBytes = 88;
// So few words are held whatever the bound, and so many files are open at once.
constexpr int64_t kHeldBytesMin = 4096;
constexpr size_t kRunsMax = 64;

// A run: for each word in order its length, count and bytes.
struct Entry {
  std::string word;
  int64_t count = 0;
};

Status write_entry(ScratchFile& file, std::string_view word, int64_t count) {
  const uint64_t head[2] = {word.size(), static_cast<uint64_t>(count)};
  BGL_TRY(file.write(head, sizeof head));
  return file.write(word.data(), word.size());
}

Result<bool> read_entry(ScratchFile& file, Entry& entry) {
  uint64_t head[2];
  BGL_ASSIGN(const bool more, file.read(head, sizeof head));
  if (!more) return false;
  entry.word.resize(head[0]);
  entry.count = static_cast<int64_t>(head[1]);
  return file.read(entry.word.data(), head[0]);
}

}  // namespace

size_t WordCounts::Hash::operator()(std::string_view s) const { return hash64(s); }

Status WordCounts::add(std::string_view word) {
  auto it = counts_.find(word);
  if (it == counts_.end()) {
    if (memory_bytes_ > 0 && held_bytes_ > std::max(memory_bytes_, kHeldBytesMin)) BGL_TRY(spill());
    it = counts_.emplace(std::string(word), 0).first;
    held_bytes_ += kEntryBytes + static_cast<int64_t>(word.size());
  }
  ++it->second;
  return {};
}

Status WordCounts::spill() {
  std::vector<std::pair<std::string_view, int64_t>> sorted(counts_.begin(), counts_.end());
  std::sort(sorted.begin(), sorted.end());
  BGL_ASSIGN(ScratchFile run, ScratchFile::create(folder_));
  for (const auto& [word, count] : sorted) BGL_TRY(write_entry(run, word, count));
  BGL_TRY(run.rewind());
  runs_.push_back(std::move(run));
  counts_.clear();
  held_bytes_ = 0;
  if (runs_.size() < kRunsMax) return {};
  BGL_ASSIGN(ScratchFile all, ScratchFile::create(folder_));
  BGL_TRY(merge([&](std::string_view word, int64_t count) { return write_entry(all, word, count); }));
  BGL_TRY(all.rewind());
  runs_.clear();
  runs_.push_back(std::move(all));
  return {};
}

Status WordCounts::merge(const std::function<Status(std::string_view, int64_t)>& fn) {
  std::vector<Entry> heads(runs_.size());
  const auto later = [&](size_t a, size_t b) { return heads[a].word > heads[b].word; };
  std::priority_queue<size_t, std::vector<size_t>, decltype(later)> queue(later);
  const auto advance = [&](size_t run) -> Status {
    BGL_ASSIGN(const bool more, read_entry(runs_[run], heads[run]));
    if (more) queue.push(run);
    return {};
  };
  for (size_t run = 0; run < runs_.size(); ++run) BGL_TRY(advance(run));
  while (!queue.empty()) {
    Entry sum{heads[queue.top()].word, 0};
    while (!queue.empty() && heads[queue.top()].word == sum.word) {
      const size_t run = queue.top();
      queue.pop();
      sum.count += heads[run].count;
      BGL_TRY(advance(run));
    }
    BGL_TRY(fn(sum.word, sum.count));
  }
  return {};
}

Status WordCounts::take(const std::function<Status(std::string_view word, int64_t count)>& fn) {
  if (spilled()) {
    if (!counts_.empty()) BGL_TRY(spill());
    BGL_TRY(merge(fn));
    runs_.clear();
    return {};
  }
  for (const auto& [word, count] : counts_) BGL_TRY(fn(word, count));
  counts_ = {};
  return {};
}

}  // namespace bgl::text
