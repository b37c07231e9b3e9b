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

bool Grammar::left_recursive() const {
  std::vector<bool> empty(rules_.size());  // rules that may be nothing
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t r = 0; r < rules_.size(); ++r) {
      for (const auto& alternative : rules_[r]) {
        if (empty[r] || !std::all_of(alternative.begin(), alternative.end(), [&](const Symbol& s) { return s.is_rule && empty[s.index]; })) continue;
        empty[r] = changed = true;
      }
    }
  }
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
  for (int32_t t = 0; t < tokenizer.vocab_size(); ++t) {
    if (tokenizer.is_special(t)) continue;
    std::string bytes = tokenizer.token_bytes(t);
    if (bytes.size() == 1) single_.set(static_cast<unsigned char>(bytes[0]));
    if (!bytes.empty()) entries_.push_back({std::move(bytes), t, 0});
  }
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.bytes != b.bytes ? a.bytes < b.bytes : a.token < b.token; });
  for (size_t i = 0; i < entries_.size(); ++i) {
    by_token_[entries_[i].token] = i;
    if (i == 0) continue;
    const std::string &a = entries_[i - 1].bytes, &b = entries_[i].bytes;
    while (entries_[i].shared < std::min(a.size(), b.size()) && a[entries_[i].shared] == b[entries_[i].shared]) ++entries_[i].shared;
  }
}
const std::string* ByteVocabulary::bytes_of(int32_t token) const {
  const auto at = by_token_.find(token);
  return at == by_token_.end() ? nullptr : &entries_[at->second].bytes;
}

Pushdown::Pushdown(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const ByteVocabulary> vocabulary)
    : grammar_(std::move(grammar)), vocabulary_(std::move(vocabulary)) {
  lay_out(*grammar_);
  nodes_.push_back({0, 0, 0});  // number 0: nothing below
  for (const uint32_t first : alternatives_[0]) push(state_, first, 0);
}

void Pushdown::lay_out(const Grammar& grammar) {
  const auto plus = [](int64_t a, int64_t b) { return std::min(kNever, a + b); };
  std::vector<int64_t> set_cost, rule_cost(grammar.rules_.size(), kNever);
  for (const ByteSet& set : grammar.sets_) {
    bool written = false;
    for (size_t b = 0; b < 256; ++b) written |= set[b] && vocabulary_->writes(static_cast<unsigned char>(b));
    set_cost.push_back(written ? 1 : kNever);
  }
  const auto of = [&](const Grammar::Symbol& s) { return s.is_rule ? rule_cost[s.index] : set_cost[s.index]; };
  // The least fixed point: rules may need each other.
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t r = 0; r < grammar.rules_.size(); ++r) {
      for (const auto& alternative : grammar.rules_[r]) {
        int64_t sum = 0;
        for (const auto& s : alternative) sum = plus(sum, of(s));
        if (sum < rule_cost[r]) rule_cost[r] = sum, changed = true;
      }
    }
  }
  alternatives_.resize(grammar.rules_.size());
  for (size_t r = 0; r < grammar.rules_.size(); ++r) {
    for (const auto& alternative : grammar.rules_[r]) {
      const size_t first = places_.size();
      alternatives_[r].push_back(static_cast<uint32_t>(first));
      for (const auto& s : alternative) places_.push_back({s.is_rule ? Place::Kind::kRule : Place::Kind::kBytes, s.index, of(s)});
      places_.push_back({Place::Kind::kEnd, 0, 0});
      for (size_t i = places_.size() - 1; i-- > first;) places_[i].cost = plus(places_[i].cost, places_[i + 1].cost);
    }
  }
}

uint32_t Pushdown::node(uint32_t place, uint32_t below) {
  const auto [at, fresh] = node_of_.try_emplace(uint64_t{place} << 32 | below, static_cast<uint32_t>(nodes_.size()));
  if (fresh) nodes_.push_back({place, below, std::min(kNever, places_[place].cost + nodes_[below].cost)});
  return at->second;
}

// Adds every set of bytes that can come next at `place`.
void Pushdown::push(State& state, uint32_t place, uint32_t below) {
  const Place& p = places_[place];
  switch (p.kind) {
    case Place::Kind::kEnd:
      if (below == 0) {
        state.accepts = true;
      } else {
        push(state, nodes_[below].place, nodes_[below].below);
      }
      return;
    case Place::Kind::kRule: {
      // Nothing is kept for a rule's end: stacks of lists do not grow.
      const uint32_t rest = places_[place + 1].kind == Place::Kind::kEnd ? below : node(place + 1, below);
      for (const uint32_t first : alternatives_[p.index]) push(state, first, rest);
      return;
    }
    case Place::Kind::kBytes: {
      const uint32_t n = node(place, below);
      const auto at = std::lower_bound(state.stacks.begin(), state.stacks.end(), n);
      if (at == state.stacks.end() || *at != n) state.stacks.insert(at, n);
      return;
    }
  }
}

Pushdown::State Pushdown::step(const State& state, unsigned char byte) {
  State out;
  for (const uint32_t n : state.stacks) {
    const Node top = nodes_[n];
    if (grammar_->sets_[places_[top.place].index][byte]) push(out, top.place + 1, top.below);
  }
  return out;
}

int64_t Pushdown::cost(const State& state) const {
  int64_t least = state.accepts ? 0 : kNever;
  for (const uint32_t n : state.stacks) least = std::min(least, nodes_[n].cost);
  return least;
}

const std::vector<Pushdown::Allowed>& Pushdown::allowed() {
  const std::string key(reinterpret_cast<const char*>(state_.stacks.data()), state_.stacks.size() * sizeof(uint32_t));
  constexpr size_t kKept = 256;
  if (allowed_of_.size() > kKept) allowed_of_.clear();
  const auto [at, fresh] = allowed_of_.try_emplace(key);
  if (!fresh) return at->second;
  std::vector<State> path = {state_};  // after 0, 1, ... bytes of the entry
  size_t dead = std::string::npos;     // bytes of the last entry that cannot be followed: so many and more
  for (const ByteVocabulary::Entry& e : vocabulary_->entries()) {
    if (e.shared >= dead) continue;
    dead = std::string::npos;
    path.resize(std::min(path.size(), e.shared + 1));
    for (size_t i = path.size() - 1; i < e.bytes.size(); ++i) {
      State next = step(path.back(), static_cast<unsigned char>(e.bytes[i]));
      if (next.stacks.empty() && !next.accepts) {
        dead = i + 1;
        break;
      }
      path.push_back(std::move(next));
    }
    if (dead == std::string::npos) at->second.push_back({e.token, cost(path.back())});
  }
  return at->second;
}

void Pushdown::mask(std::span<float> logits, int64_t left, std::span<const int32_t> ends) {
  std::vector<float> kept(logits.begin(), logits.end());
  std::fill(logits.begin(), logits.end(), -std::numeric_limits<float>::infinity());
  const auto keep = [&](int32_t t) {
    if (static_cast<size_t>(t) < logits.size()) logits[static_cast<size_t>(t)] = kept[static_cast<size_t>(t)];
  };
  for (const Allowed& a : allowed()) {
    if (a.cost < left) keep(a.token);
  }
  if (!state_.accepts) return;
  for (const int32_t t : ends) keep(t);
}

bool Pushdown::take(int32_t token) {
  const std::string* bytes = vocabulary_->bytes_of(token);
  if (!bytes) return false;
  State state = state_;
  for (const char c : *bytes) {
    state = step(state, static_cast<unsigned char>(c));
    if (state.stacks.empty() && !state.accepts) return false;
  }
  state_ = std::move(state);
  return true;
}

}  // namespace bgl::serve
