// What a model may write under a grammar with a vocabulary. A state follows all ways to read the text at once; a token is allowed when its bytes
// can be followed, and when the rest of the answer leaves room to come to an end. So whatever the model draws, the text that comes out is whole.
//
// States, the bytes between them and the tokens that each allows are worked out as they are met, and kept for every text that is written under
// the grammar: the first visit of a state walks the vocabulary once (milliseconds for 150,000 tokens), a later one copies a mask. Ref:
// arXiv:2307.09702 (masks by state), arXiv:2411.15100.
//
// A text that a grammar can read in many ways has a stack for each, and a schema of a few lines can double them with every byte. Of more than
// kMostStacks those are followed that end soonest: what comes out still holds to the grammar and comes to its end.
#pragma once

#include <array>
#include <deque>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "serve/grammar.h"

namespace bgl::serve {

// Shared by the texts under one grammar; any thread.
class Automaton {
 public:
  static constexpr int64_t kNever = std::numeric_limits<int32_t>::max();
  static constexpr size_t kMostStacks = 4096;  // of a state
  // Tokens that an end takes at most are counted by bytes that `vocabulary` has alone.
  Automaton(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const ByteVocabulary> vocabulary);
  // It has met so many states (tables of 8 MiB; masks take 16 more) that the next text is better given a new one.
  bool full() const;
  // Places in the grammar that were looked at so far: what all this has cost.
  int64_t looked_at() const;

 private:
  friend class Pushdown;
  static constexpr uint32_t kDead = 0xffffffff, kUnknown = 0xfffffffe;
  // A symbol of an alternative, or the end of one.
  struct Place {
    enum class Kind : uint8_t { kBytes, kRule, kEnd } kind;
    uint32_t index;
    int64_t cost;  // tokens from here to the end of the alternative
  };
  // A place in an alternative, and what comes after its rule; 0: nothing.
  struct Node {
    uint32_t place, below;
    int64_t cost;
    uint64_t hash;  // of all its places, whatever the numbers of the nodes below
  };
  // Tokens after which at most `cost` more end the text, as bits; ascending, each holds those before it.
  struct Mask {
    int64_t cost;
    std::vector<uint64_t> bits;
  };
  struct State {
    std::vector<uint32_t> stacks;  // nodes whose place is a set of bytes, sorted
    bool accepts = false;
    int64_t cost = 0;                                // tokens_to_end()
    std::unique_ptr<std::array<uint32_t, 256>> next; // by byte, where it is known
    std::vector<Mask> masks;                         // empty: not worked out, or dropped
  };

  // What follows is called with mutex_ held.
  void lay_out();
  class Seen;
  void push(State& state, Seen& seen, uint32_t place, uint32_t below);
  void keep_soonest(std::vector<uint32_t>& stacks) const;
  uint32_t node(uint32_t place, uint32_t below);
  uint32_t state_number(State state);  // kDead for one that allows nothing
  uint32_t next(uint32_t state, unsigned char byte);
  uint32_t after(uint32_t state, std::string_view bytes);
  const std::vector<Mask>& masks(uint32_t state);

  const std::shared_ptr<const Grammar> grammar_;
  const std::shared_ptr<const ByteVocabulary> vocabulary_;
  std::vector<Place> places_;
  std::vector<std::vector<uint32_t>> alternatives_;  // first places by rule
  mutable std::mutex mutex_;
  std::vector<Node> nodes_;
  std::unordered_map<uint64_t, uint32_t> node_of_;
  std::deque<State> states_;
  std::unordered_map<std::string, uint32_t> state_of_;
  uint32_t first_ = kDead;
  size_t mask_words_ = 0;  // of all states
  size_t stacks_ = 0;      // of all states
  int64_t looked_at_ = 0;
};

// Where one text stands. Single-threaded.
class Pushdown {
 public:
  static constexpr int64_t kNever = Automaton::kNever;
  explicit Pushdown(std::shared_ptr<Automaton> automaton) : automaton_(std::move(automaton)), state_(automaton_->first_) {}

  // So many tokens end the text from here; kNever: the vocabulary lacks a byte that every end needs.
  int64_t tokens_to_end() const;
  // The text may end here; and: nothing else can follow.
  bool may_end() const;
  bool must_end() const;
  // Makes logits of what may not come -infinity. `left`: tokens that may still be drawn, this one included. `ends`: tokens that end the
  // text, allowed where it may end.
  void mask(std::span<float> logits, int64_t left, std::span<const int32_t> ends);
  // False: the token does not fit here; nothing has changed then.
  bool take(int32_t token);

 private:
  std::shared_ptr<Automaton> automaton_;
  uint32_t state_;
};

}  // namespace bgl::serve
