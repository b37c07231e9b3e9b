#include "serve/grammar.h"

#include <algorithm>

namespace bgl::serve {

uint32_t Grammar::add_rule() {
  rules_.emplace_back();
  return static_cast<uint32_t>(rules_.size() - 1);
}
void Grammar::add_alternative(uint32_t rule, std::span<const Symbol> symbols) {
  rules_[rule].emplace_back(symbols.begin(), symbols.end());
  symbols_ += symbols.size() + 1;
}
Grammar::Symbol Grammar::bytes(const ByteSet& set) {
  const auto at = std::find(sets_.begin(), sets_.end(), set);
  if (at != sets_.end()) return {false, static_cast<uint32_t>(at - sets_.begin())};
  sets_.push_back(set);
  return {false, static_cast<uint32_t>(sets_.size() - 1)};
}
std::vector<Grammar::Symbol> Grammar::literal(std::string_view text) {
  std::vector<Symbol> out;
  for (const char c : text) out.push_back(bytes(ByteSet().set(static_cast<unsigned char>(c))));
  return out;
}

std::vector<bool> Grammar::made(bool bytes) const {
  std::vector<bool> out(rules_.size());
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t r = 0; r < rules_.size(); ++r) {
      for (const auto& alternative : rules_[r]) {
        if (out[r] || !std::all_of(alternative.begin(), alternative.end(), [&](const Symbol& s) { return s.is_rule ? out[s.index] : bytes; })) continue;
        out[r] = changed = true;
      }
    }
  }
  return out;
}

bool Grammar::finite() const { return made(true)[0]; }

bool Grammar::left_recursive() const {
  const std::vector<bool> empty = made(false);  // rules that may be nothing
  // Rules without others before them are taken away until none is left, or only those that begin with each other.
  std::vector<std::vector<uint32_t>> begins(rules_.size());  // by what they begin with
  std::vector<size_t> open(rules_.size());
  for (uint32_t r = 0; r < rules_.size(); ++r) {
    for (const auto& alternative : rules_[r]) {
      for (const Symbol& s : alternative) {
        if (!s.is_rule) break;
        begins[s.index].push_back(r);
        ++open[r];
        if (!empty[s.index]) break;
      }
    }
  }
  std::vector<uint32_t> ready;
  for (uint32_t r = 0; r < rules_.size(); ++r) {
    if (open[r] == 0) ready.push_back(r);
  }
  size_t done = 0;
  for (; done < ready.size(); ++done) {
    for (const uint32_t r : begins[ready[done]]) {
      if (--open[r] == 0) ready.push_back(r);
    }
  }
  return done < rules_.size();
}

ByteVocabulary::ByteVocabulary(const text::Tokenizer& tokenizer) {
  std::vector<std::pair<std::string, int32_t>> sorted;
  for (int32_t t = 0; t < tokenizer.vocab_size(); ++t) {
    if (tokenizer.is_special(t)) continue;
    std::string bytes = tokenizer.token_bytes(t);
    if (bytes.size() == 1) single_.set(static_cast<unsigned char>(bytes[0]));
    if (!bytes.empty()) sorted.emplace_back(std::move(bytes), t);
  }
  std::sort(sorted.begin(), sorted.end());
  by_token_.assign(static_cast<size_t>(tokenizer.vocab_size()), -1);
  std::string_view before;
  for (const auto& [bytes, token] : sorted) {
    uint32_t shared = 0;
    while (shared < std::min(before.size(), bytes.size()) && before[shared] == bytes[shared]) ++shared;
    by_token_[static_cast<size_t>(token)] = static_cast<int32_t>(entries_.size());
    entries_.push_back({static_cast<uint32_t>(all_.size()), static_cast<uint32_t>(bytes.size()), shared, token});
    all_ += bytes;
    before = bytes;
  }
}
std::string_view ByteVocabulary::bytes_of(int32_t token) const {
  const int32_t entry = token < 0 || token >= tokens() ? -1 : by_token_[static_cast<size_t>(token)];
  return entry < 0 ? std::string_view() : bytes(entries_[static_cast<size_t>(entry)]);
}

}  // namespace bgl::serve
