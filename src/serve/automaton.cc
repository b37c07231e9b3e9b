#include "serve/automaton.h"

#include <algorithm>
#include <unordered_set>

#include "base/hash.h"

namespace bgl::serve {
namespace {

constexpr size_t kStates = 8192, kNodes = 1 << 18, kStacks = 1 << 20;  // of a full one
constexpr size_t kMaskWords = (size_t{16} << 20) / 8;  // kept at once
constexpr size_t kWordBits = 64;
constexpr float kNot = -std::numeric_limits<float>::infinity();

// -infinity where the bits have none; 64 of them at once where they agree.
void apply(const std::vector<uint64_t>& bits, std::span<float> logits) {
  for (size_t w = 0; w * kWordBits < logits.size(); ++w) {
    const uint64_t word = w < bits.size() ? bits[w] : 0;
    const std::span<float> some = logits.subspan(w * kWordBits, std::min(kWordBits, logits.size() - w * kWordBits));
    if (word == ~uint64_t{0}) continue;
    if (word == 0) {
      std::fill(some.begin(), some.end(), kNot);
      continue;
    }
    for (size_t i = 0; i < some.size(); ++i) some[i] = word >> i & 1 ? some[i] : kNot;
  }
}

}  // namespace

// Places with what comes after them, each told once. Most states have few, which are searched in order.
class Automaton::Seen {
 public:
  bool first_time(uint32_t place, uint32_t below) {
    const uint64_t key = uint64_t{place} << 32 | below;
    if (!many_.empty()) return many_.insert(key).second;
    if (std::find(few_.begin(), few_.end(), key) != few_.end()) return false;
    few_.push_back(key);
    if (few_.size() == 64) many_.insert(few_.begin(), few_.end());
    return true;
  }

 private:
  std::vector<uint64_t> few_;
  std::unordered_set<uint64_t> many_;
};

Automaton::Automaton(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const ByteVocabulary> vocabulary)
    : grammar_(std::move(grammar)), vocabulary_(std::move(vocabulary)) {
  lay_out();
  nodes_.push_back({0, 0, 0, 0});  // number 0: nothing below
  State first;
  Seen seen;
  for (const uint32_t place : alternatives_[0]) push(first, seen, place, 0);
  first_ = state_number(std::move(first));
}

bool Automaton::full() const {
  const std::lock_guard lock(mutex_);
  return states_.size() >= kStates || nodes_.size() >= kNodes || stacks_ >= kStacks;
}
int64_t Automaton::looked_at() const {
  const std::lock_guard lock(mutex_);
  return looked_at_;
}

void Automaton::lay_out() {
  const Grammar& grammar = *grammar_;
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

uint32_t Automaton::node(uint32_t place, uint32_t below) {
  const auto [at, fresh] = node_of_.try_emplace(uint64_t{place} << 32 | below, static_cast<uint32_t>(nodes_.size()));
  if (fresh) nodes_.push_back({place, below, std::min(kNever, places_[place].cost + nodes_[below].cost), hash64({reinterpret_cast<const char*>(&place), sizeof(place)}, nodes_[below].hash)});
  return at->second;
}

// Adds every set of bytes that can come next at `place`.
void Automaton::push(State& state, Seen& seen, uint32_t place, uint32_t below) {
  if (!seen.first_time(place, below)) return;
  ++looked_at_;
  const Place& p = places_[place];
  switch (p.kind) {
    case Place::Kind::kEnd:
      if (below == 0) {
        state.accepts = true;
      } else {
        push(state, seen, nodes_[below].place, nodes_[below].below);
      }
      return;
    case Place::Kind::kRule: {
      // Nothing is kept for a rule's end: stacks of lists do not grow.
      const uint32_t rest = places_[place + 1].kind == Place::Kind::kEnd ? below : node(place + 1, below);
      for (const uint32_t first : alternatives_[p.index]) push(state, seen, first, rest);
      return;
    }
    case Place::Kind::kBytes:
      state.stacks.push_back(node(place, below));
      return;
  }
}

// Equal costs are told apart by what the stacks hold: the numbers of nodes are of the order in which texts came.
void Automaton::keep_soonest(std::vector<uint32_t>& stacks) const {
  if (stacks.size() <= kMostStacks) return;
  const auto sooner = [&](uint32_t a, uint32_t b) { return nodes_[a].cost != nodes_[b].cost ? nodes_[a].cost < nodes_[b].cost : nodes_[a].hash < nodes_[b].hash; };
  std::nth_element(stacks.begin(), stacks.begin() + kMostStacks, stacks.end(), sooner);
  stacks.resize(kMostStacks);
}

uint32_t Automaton::state_number(State state) {
  if (state.stacks.empty() && !state.accepts) return kDead;
  keep_soonest(state.stacks);
  std::sort(state.stacks.begin(), state.stacks.end());
  std::string key(reinterpret_cast<const char*>(state.stacks.data()), state.stacks.size() * sizeof(uint32_t));
  key += state.accepts ? '1' : '0';
  const auto [at, fresh] = state_of_.try_emplace(std::move(key), static_cast<uint32_t>(states_.size()));
  if (!fresh) return at->second;
  state.cost = state.accepts ? 0 : kNever;
  for (const uint32_t n : state.stacks) state.cost = std::min(state.cost, nodes_[n].cost);
  stacks_ += state.stacks.size();
  states_.push_back(std::move(state));
  return at->second;
}

uint32_t Automaton::next(uint32_t state, unsigned char byte) {
  auto& table = states_[state].next;
  if (!table) {
    table = std::make_unique<std::array<uint32_t, 256>>();
    table->fill(kUnknown);
  }
  uint32_t& known = (*table)[byte];
  if (known != kUnknown) return known;
  State out;
  Seen seen;
  for (const uint32_t n : states_[state].stacks) {
    const Node top = nodes_[n];
    if (grammar_->sets_[places_[top.place].index][byte]) push(out, seen, top.place + 1, top.below);
  }
  return known = state_number(std::move(out));  // the table stays where it is
}

uint32_t Automaton::after(uint32_t state, std::string_view bytes) {
  for (const char c : bytes) {
    if (state == kDead) return kDead;
    state = next(state, static_cast<unsigned char>(c));
  }
  return state;
}

// Walks the vocabulary in byte order, going back only to where a token leaves the one before it.
const std::vector<Automaton::Mask>& Automaton::masks(uint32_t state) {
  if (!states_[state].masks.empty()) return states_[state].masks;
  if (mask_words_ > kMaskWords) {
    for (State& s : states_) s.masks = {};
    mask_words_ = 0;
  }
  const size_t words = (static_cast<size_t>(vocabulary_->tokens()) + kWordBits - 1) / kWordBits;
  std::vector<Mask> out;
  std::vector<uint32_t> path = {state};  // after 0, 1, ... bytes of the entry
  size_t dead = std::string::npos;       // bytes of the last entry that cannot be followed: so many and more
  for (const ByteVocabulary::Entry& e : vocabulary_->entries()) {
    if (e.shared >= dead) continue;
    dead = std::string::npos;
    path.resize(std::min<size_t>(path.size(), e.shared + 1));
    const std::string_view bytes = vocabulary_->bytes(e);
    for (size_t i = path.size() - 1; i < bytes.size(); ++i) {
      const uint32_t to = next(path.back(), static_cast<unsigned char>(bytes[i]));
      if (to == kDead) {
        dead = i + 1;
        break;
      }
      path.push_back(to);
    }
    if (dead != std::string::npos) continue;
    const int64_t cost = states_[path.back()].cost;
    auto at = std::find_if(out.begin(), out.end(), [&](const Mask& m) { return m.cost == cost; });
    if (at == out.end()) at = out.insert(at, {cost, std::vector<uint64_t>(words)});
    at->bits[static_cast<size_t>(e.token) / kWordBits] |= uint64_t{1} << static_cast<size_t>(e.token) % kWordBits;
  }
  if (out.empty()) out.push_back({kNever, std::vector<uint64_t>(words)});  // no token: an end alone
  std::sort(out.begin(), out.end(), [](const Mask& a, const Mask& b) { return a.cost < b.cost; });
  for (size_t i = 1; i < out.size(); ++i) {
    for (size_t w = 0; w < words; ++w) out[i].bits[w] |= out[i - 1].bits[w];
  }
  mask_words_ += out.size() * words;
  return states_[state].masks = std::move(out);
}

int64_t Pushdown::tokens_to_end() const {
  const std::lock_guard lock(automaton_->mutex_);
  return state_ == Automaton::kDead ? kNever : automaton_->states_[state_].cost;
}
bool Pushdown::may_end() const {
  const std::lock_guard lock(automaton_->mutex_);
  return state_ != Automaton::kDead && automaton_->states_[state_].accepts;
}
bool Pushdown::must_end() const {
  const std::lock_guard lock(automaton_->mutex_);
  return state_ != Automaton::kDead && automaton_->states_[state_].accepts && automaton_->states_[state_].stacks.empty();
}

void Pushdown::mask(std::span<float> logits, int64_t left, std::span<const int32_t> ends) {
  std::vector<std::pair<size_t, float>> kept;
  if (may_end()) {
    for (const int32_t t : ends) {
      if (static_cast<size_t>(t) < logits.size()) kept.emplace_back(t, logits[static_cast<size_t>(t)]);
    }
  }
  static const std::vector<uint64_t> none;
  {
    const std::lock_guard lock(automaton_->mutex_);
    const std::vector<uint64_t>* bits = &none;
    if (state_ != Automaton::kDead) {
      for (const Automaton::Mask& m : automaton_->masks(state_)) {
        if (m.cost < left) bits = &m.bits;
      }
    }
    apply(*bits, logits);
  }
  for (const auto& [token, logit] : kept) logits[token] = logit;
}

bool Pushdown::take(int32_t token) {
  const std::string_view bytes = automaton_->vocabulary_->bytes_of(token);
  if (bytes.empty() || state_ == Automaton::kDead) return false;
  const std::lock_guard lock(automaton_->mutex_);
  const uint32_t to = automaton_->after(state_, bytes);
  if (to == Automaton::kDead) return false;
  state_ = to;
  return true;
}

}  // namespace bgl::serve
