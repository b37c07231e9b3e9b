#include "text/tokenizers/internal/merge_search.h"

#include <algorithm>

namespace bgl::text {

MergeSearch::MergeSearch(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {
  for (size_t id = 0; id < pieces_.size(); ++id) ids_[pieces_[id]] = static_cast<int32_t>(id);
}

void MergeSearch::count(const TrainWord& word) {
  const std::vector<int32_t>& t = word.tokens;
  for (size_t i = 0; i + 1 < t.size(); ++i) {
    Total& total = totals_[{t[i], t[i + 1]}];
    total.count += word.count;
    ++total.places;
  }
}

std::vector<MergeSearch::Candidate> MergeSearch::by_frequency() const {
  std::vector<Candidate> out;
  for (const auto& [pair, total] : totals_) {
    if (total.count > 0 && total.places > 0) out.push_back({total.count, pair});
  }
  std::sort(out.begin(), out.end(), [](const Candidate& a, const Candidate& b) { return b < a; });
  return out;
}

bool MergeSearch::begin_pass(std::optional<int64_t> places_max, int64_t min_count) {
  all_ = !places_max;
  looked_for_.clear();
  outside_.reset();
  if (all_) return true;
  int64_t places = 0;
  for (const Candidate& candidate : by_frequency()) {
    places += totals_[candidate.pair].places;
    if (places > *places_max || candidate.count < min_count) {
      outside_ = candidate;
      break;
    }
    looked_for_.insert(candidate.pair);
  }
  return !looked_for_.empty();
}

bool MergeSearch::wants(const TrainWord& word) const {
  if (all_) return true;
  const std::vector<int32_t>& t = word.tokens;
  for (size_t i = 0; i + 1 < t.size(); ++i) {
    if (looked_for_.contains({t[i], t[i + 1]})) return true;
  }
  return false;
}

void MergeSearch::hold(TrainWord word) {
  const auto index = static_cast<uint32_t>(words_.size());
  const std::vector<int32_t>& t = word.tokens;
  for (size_t i = 0; i + 1 < t.size(); ++i) {
    const Pair pair{t[i], t[i + 1]};
    if (!all_ && !looked_for_.contains(pair)) continue;
    WordList& list = touched_[pair];
    if (list.empty() || list.back() != index) list.push_back(index);
  }
  words_.push_back(std::move(word));
}

MergeSearch::Step MergeSearch::step(int64_t min_count) {
  push_touched();
  Candidate top;
  for (;;) {
    if (heap_.empty()) return outside_ ? Step::kOtherWords : Step::kNoPair;
    std::pop_heap(heap_.begin(), heap_.end());
    top = std::move(heap_.back());
    heap_.pop_back();
    const int64_t now = totals_[top.pair].count;
    if (now == top.count) break;
    if (now <= 0) continue;
    top.count = now;
    heap_.push_back(std::move(top));
    std::push_heap(heap_.begin(), heap_.end());
  }
  if (outside_ && top < *outside_) return Step::kOtherWords;
  if (top.count < std::max<int64_t>(min_count, 1)) return Step::kNoPair;
  const int32_t merged = note_merge(top.pair);
  for (const uint32_t w : top.words) merge_in(words_[w], top.pair, merged, w);
  return Step::kMerged;
}

std::vector<TrainWord> MergeSearch::release() {
  heap_.clear();
  touched_.clear();
  return std::exchange(words_, {});
}

bool MergeSearch::begin_alone(int64_t min_count) {
  const std::vector<Candidate> all = by_frequency();
  if (all.empty() || all[0].count < std::max<int64_t>(min_count, 1)) return false;
  alone_ = all[0].pair;
  alone_id_ = note_merge(alone_);
  return true;
}

void MergeSearch::merge_alone(TrainWord& word) { merge_in(word, alone_, alone_id_, std::nullopt); }

int32_t MergeSearch::note_merge(Pair pair) {
  // Two pairs may spell the same token ("ab"+"c", "a"+"bc"); then both merge into one id.
  std::string text = pieces_[static_cast<size_t>(pair.first)] + pieces_[static_cast<size_t>(pair.second)];
  const auto [it, fresh] = ids_.try_emplace(text, static_cast<int32_t>(pieces_.size()));
  if (fresh) pieces_.push_back(std::move(text));
  // Words that have the pair since another time are merged by a second candidate, right after the first.
  const bool again = !merges_.empty() && merges_.back().left == pair.first && merges_.back().right == pair.second;
  if (!again) merges_.push_back({pair.first, pair.second, it->second});
  return it->second;
}

// `word`: the index of a held word; none: words are not held, and no candidates are kept.
void MergeSearch::change(Pair pair, int64_t by, std::optional<uint32_t> word) {
  Total& total = totals_[pair];
  total.count += by;
  total.places += by > 0 ? 1 : -1;
  if (by <= 0 || !word) return;
  if (!all_) {
    if (total.places == 1) looked_for_.insert(pair);  // it is nowhere else
    if (!looked_for_.contains(pair)) {
      const Candidate other{total.count, pair};
      if (!outside_ || *outside_ < other) outside_ = other;
      return;
    }
  }
  WordList& list = touched_[pair];
  if (list.empty() || list.back() != *word) list.push_back(*word);
}

void MergeSearch::merge_in(TrainWord& word, Pair pair, int32_t merged, std::optional<uint32_t> index) {
  std::vector<int32_t>& t = word.tokens;
  const int64_t count = word.count;
  size_t out = 0;
  for (size_t i = 0; i < t.size(); ++i) {
    if (t[i] != pair.first || i + 1 >= t.size() || t[i + 1] != pair.second) {
      t[out++] = t[i];
      continue;
    }
    --totals_[pair].places;
    if (out > 0) {
      change({t[out - 1], pair.first}, -count, index);
      change({t[out - 1], merged}, count, index);
    }
    if (i + 2 < t.size()) {
      change({pair.second, t[i + 2]}, -count, index);
      change({merged, t[i + 2]}, count, index);
    }
    t[out++] = merged;
    ++i;
  }
  t.resize(out);
}

void MergeSearch::push_touched() {
  for (auto& [pair, words] : touched_) {
    const int64_t count = totals_[pair].count;
    if (count <= 0) continue;
    heap_.push_back({count, pair, std::move(words)});
    std::push_heap(heap_.begin(), heap_.end());
  }
  touched_.clear();
}

}  // namespace bgl::text
